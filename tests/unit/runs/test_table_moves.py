"""Renaming, dropping and restoring a table: all of it moves, nothing else does, and a kill at any step is mended.

All of it holds in a folder and in an object store.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from pathlib import Path, PurePath, PurePosixPath
from unittest.mock import patch
from uuid import uuid4

import pytest

from reloads.days import Days
from reloads.errors import OperatorError, ReloadsError, RequestError
from reloads.inspection.calendar import read_calendar
from reloads.inspection.calendar_json import calendar_values
from reloads.inspection.verify import verify
from reloads.inspection.versions import Version, versions
from reloads.requests.watermark import read_watermark, write_watermark
from reloads.runs.drop_table import drop_table, dropped_tables, remove_dropped, restore_table, size_of
from reloads.runs.rename_table import rename_table
from reloads.settings import Settings
from reloads.stores.address import store_url
from reloads.stores.object_store import ObjectStore
from reloads.tables.catalog import Catalog
from reloads.warehouse.move_notes import list_begun
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.staging import staging_folder
from tests.support.chain import NOW, Chain
from tests.support.process_kill import SCRATCH, Killed, killed_after
from tests.support.s3_server import BUCKET
from tests.support.undo_history import deliver, reload, the_table, undone
from tests.support.warehouses import all_keys, keys, prefix_of, read_all

Act = Callable[[Chain], object]

DAYS = ("2025-01-01", "2025-01-03")
LAST = "d"
"""The table of the chain that no other one reads."""


@pytest.fixture(scope="module")
def history(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The chain with a history: each table was loaded, and one day of each was loaded again."""
    chain = chain_of(kind, tmp_path_factory.mktemp("history"))
    make_history(chain)
    return chain


@pytest.fixture
def loaded(history: Chain, tmp_path: Path) -> Chain:
    """A copy of it."""
    return copied(history, tmp_path / "home")


def chain_of(kind: str, home: Path) -> Chain:
    """The chain in a folder, or in an object store with a mirror in its home."""
    return Chain.at(home, warehouse=f"s3://{BUCKET}/{uuid4().hex}" if kind == "store" else "")


def make_history(chain: Chain) -> None:
    for table in "abcd":
        reload(chain, table, *DAYS)
    deliver(chain, "2025-01-02", 50)
    for table in "abcd":
        reload(chain, table, "2025-01-02")
    write_watermark(chain.settings.landing, "daily", LAST, "2025-01-30")


def look(chain: Chain, table: str) -> dict[str, object]:
    """All that a person can see of a table, without its name."""
    days = Days.between(date.fromisoformat(DAYS[0]), date.fromisoformat(DAYS[1]))
    calendar = calendar_values(
        read_calendar(chain.settings, Catalog.load(chain.settings.tables), table, days, now=NOW), now=NOW
    )
    kept: list[Version] = versions(chain.settings, the_table(chain, table))
    files = {name.partition(" ")[2]: file for name, file in files_of(chain).items() if name.startswith(f"{table} ")}
    requests = sorted(
        record.id for state in ("done", "failed") for record in chain.queue.records(state) if record.table == table
    )
    watermark = read_watermark(chain.settings.landing, "daily", table, date.fromisoformat)
    return {
        "calendar": {**calendar, "table": ""},
        "versions": kept,
        "files": files,
        "requests": requests,
        "watermark": watermark,
    }


def files_of(chain: Chain) -> dict[str, tuple[bytes, int]]:
    """Content and time of each published partition; an object store gives each copy a time of its own."""
    place = stored(chain)
    if place is None:
        return chain.files()
    contents = read_all(place)
    shown = {PurePosixPath(key): data for key, data in contents.items() if key.endswith("/data.parquet")}
    return {f"{key.parts[0]} {key.parts[1].removeprefix('day=')}": (data, 0) for key, data in shown.items()}


def stored(chain: Chain) -> TableFolder | None:
    """For the helpers that look into a store; None in a folder."""
    return TableFolder(chain.settings.warehouse, LAST, "day") if store_url(chain.settings.warehouse) else None


def everything(chain: Chain, *, but: str) -> dict[str, bytes]:
    """Each file of the home, and each object of the store, that has nothing to do with the table."""
    files: dict[str, bytes] = {}
    for path in sorted(chain.settings.home.rglob("*")):
        # The mirror follows from the store.
        if path.is_file() and not path.is_relative_to(chain.settings.mirrors) and not is_of(path, but):
            files[str(path.relative_to(chain.settings.home))] = path.read_bytes()
    if place := stored(chain):
        files |= {key: data for key, data in read_all(place).items() if not is_of(PurePosixPath(key), but)}
    return files


def is_of(path: PurePath, table: str) -> bool:
    """Whether the file has to do with the table, is a lock, or the log of a name that nobody has in these tests."""
    is_of_table = any(part in (table, f"{table}.json") or part.startswith(f"{table}@") for part in path.parts)
    is_left = path.parts[:2] == (".log", "last")
    return is_of_table or is_left or path.name.endswith(".lock") or path.name.endswith(f"-{table}")


def agrees(chain: Chain) -> bool:
    return not list(verify(chain.settings))


# renaming


def test_a_renamed_table_is_the_same_table_under_its_new_name(loaded: Chain) -> None:
    before = look(loaded, LAST)
    rename_table(loaded.settings, LAST, "last")
    assert look(loaded, "last") == before
    assert agrees(loaded)
    with pytest.raises(RequestError, match="table 'd' is unknown"):
        Catalog.load(loaded.settings.tables)[LAST]
    if place := stored(loaded):
        left = {key: data for key, data in read_all(place).items() if LAST in PurePosixPath(key).parts}
        assert {key.partition("/")[0] for key in left} == {".log"}
        assert not [key for key, data in left.items() if b'"act"' in data]
        return
    named = [path for path in loaded.settings.home.rglob("*") if path.name in (LAST, f"{LAST}.json")]
    assert not [path for path in named if path.is_file() or any(path.iterdir())]


def test_what_a_renamed_table_was_loaded_with_can_be_undone_and_it_goes_on_from_there(loaded: Chain) -> None:
    before = look(loaded, LAST)["files"]
    deliver(loaded, "2025-01-02", 70)
    for table in "abc":
        reload(loaded, table, "2025-01-02")
    request = reload(loaded, LAST, "2025-01-02")
    rename_table(loaded.settings, LAST, "last")
    undone(loaded, request)
    after = look(loaded, "last")["files"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert {day: content for day, (content, _) in after.items()} == {
        day: content for day, (content, _) in before.items()
    }


def test_a_renamed_table_follows_what_it_reads_as_before_and_is_not_stale(loaded: Chain) -> None:
    rename_table(loaded.settings, LAST, "last")
    loaded.ask("last", *DAYS, only="stale")
    assert not loaded.run("last").published
    deliver(loaded, "2025-01-01", 99)
    loaded.ask("b", "2025-01-01")
    reload(loaded, "a", "2025-01-01")
    assert ("last", ["2025-01-01"]) in loaded.work_off("b")


def test_nothing_else_changes_with_a_rename(loaded: Chain) -> None:
    before = everything(loaded, but=LAST)
    rename_table(loaded.settings, LAST, "last")
    rename_table(loaded.settings, "last", LAST)
    assert everything(loaded, but=LAST) == before


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("../d", "last", "'../d' is not a table's name: lower case letters, digits and _; reloads tables lists"),
        ("nobody", "last", "table 'nobody' is unknown; known tables are"),
        (LAST, "Last", "'Last' is not a table's name: lower case letters, digits and _; choose such a name"),
        (LAST, "a", "'a' is taken, "),
        ("b", "twice", "d reads b; write twice into its query first; it cannot be loaded until b has that name"),
    ],
)
def test_what_cannot_be_renamed_stays_as_it_is(loaded: Chain, old: str, new: str, sentence: str) -> None:
    before = everything(loaded, but="no table")
    with pytest.raises(RequestError) as raised:
        rename_table(loaded.settings, old, new)
    assert str(raised.value).startswith(sentence)
    assert everything(loaded, but="no table") == before


# dropping


def test_a_dropped_table_is_gone_and_comes_back_as_it_was(loaded: Chain) -> None:
    before, others = look(loaded, LAST), everything(loaded, but=LAST)
    drop_table(loaded.settings, LAST, now=NOW)
    with pytest.raises(RequestError, match="table 'd' is unknown"):
        Catalog.load(loaded.settings.tables)[LAST]
    assert not [name for name in files_of(loaded) if name.startswith(f"{LAST} ")]
    assert agrees(loaded)
    restore_table(loaded.settings, LAST)
    assert look(loaded, LAST) == before
    assert everything(loaded, but=LAST) == others
    assert agrees(loaded)


def test_another_table_may_take_the_name_and_the_dropped_one_waits(loaded: Chain) -> None:
    before = look(loaded, LAST)
    drop_table(loaded.settings, LAST, now=NOW)
    loaded.define(LAST, "select day, amount from raw")
    reload(loaded, LAST, *DAYS)
    with pytest.raises(RequestError, match=f"'{LAST}' is taken, .*; rename that table, or drop it"):
        restore_table(loaded.settings, LAST)
    rename_table(loaded.settings, LAST, "newer")
    restore_table(loaded.settings, LAST)
    for part in ("calendar", "versions", "files"):
        assert look(loaded, LAST)[part] == before[part]


def test_the_one_dropped_last_comes_back(loaded: Chain) -> None:
    drop_table(loaded.settings, LAST, now=NOW)
    loaded.define(LAST, "select day, 7 as amount from raw")
    drop_table(loaded.settings, LAST, now=NOW + timedelta(hours=1))
    restore_table(loaded.settings, LAST)
    assert the_table(loaded, LAST).query == "select day, 7 as amount from raw"


def test_a_dropped_table_is_kept_for_its_history_and_a_week_at_least(loaded: Chain) -> None:
    for days, kept in ((0, 7), (30, 30)):
        loaded.define(LAST, "select day, amount from raw", f"history_days = {days}")
        dropped = drop_table(loaded.settings, LAST, now=NOW, by="ann")
        assert (dropped.keep_until, dropped.by) == (NOW + timedelta(days=kept), "ann")
        assert remove_dropped(loaded.settings, now=dropped.keep_until) == 0
        assert [each.table for each in dropped_tables(loaded.settings)] == [LAST]
        assert remove_dropped(loaded.settings, now=dropped.keep_until + timedelta(seconds=1)) == 1
        assert not list(loaded.settings.home.rglob(f"{LAST}@*"))
        place = stored(loaded)
        assert place is None or keys(place, ".dropped") == []
        with pytest.raises(RequestError, match="no dropped table 'd' is kept; load it anew"):
            restore_table(loaded.settings, LAST)


def test_what_is_left_of_a_table_whose_folder_was_removed_can_be_dropped(loaded: Chain) -> None:
    for path in sorted((loaded.settings.tables / LAST).iterdir()):
        path.unlink()
    (loaded.settings.tables / LAST).rmdir()
    assert size_of(loaded.settings, LAST).partitions == 3
    drop_table(loaded.settings, LAST, now=NOW)
    assert not [name for name in files_of(loaded) if name.startswith(f"{LAST} ")]


def test_the_size_counts_each_file_once_with_what_is_kept_for_an_undo(loaded: Chain) -> None:
    size = size_of(loaded.settings, LAST)
    if place := stored(loaded):
        sizes = [len(data) for key, data in read_all(place).items() if key.startswith(f".versions/{LAST}/")]
    else:
        sizes = [path.stat().st_size for path in (loaded.settings.warehouse / ".versions" / LAST).rglob("*.parquet")]
    assert (size.partitions, len(sizes)) == (3, 4)
    assert size.bytes == sum(sizes)


def test_a_table_that_another_one_reads_is_not_dropped(loaded: Chain) -> None:
    with pytest.raises(RequestError, match="b, c read a; drop that first, or take a out of its query"):
        drop_table(loaded.settings, "a", now=NOW)


@pytest.mark.parametrize(
    "act",
    [lambda chain: drop_table(chain.settings, LAST, now=NOW), lambda chain: rename_table(chain.settings, LAST, "last")],
)
def test_a_table_in_use_stays_as_it_is(loaded: Chain, act: Callable[[Chain], object]) -> None:
    request = loaded.ask(LAST, *DAYS)
    with pytest.raises(RequestError, match=f"request {request.id} for {LAST} is open; wait for it, or cancel it"):
        act(loaded)
    loaded.queue.cancel(request.id, now=NOW)
    with (
        staging_folder(loaded.settings.warehouse, LAST),
        pytest.raises(RequestError, match="a batch of d that was begun is still running; ask again once it has ended"),
    ):
        act(loaded)
    act(loaded)


def test_what_is_in_the_way_in_a_folder_is_never_overwritten(chain: Chain) -> None:
    make_history(chain)
    loaded = chain
    in_the_way = loaded.settings.warehouse / ".versions" / "last"

    def put_in_the_way() -> None:
        in_the_way.mkdir()
        (in_the_way / "mine").write_text("mine")

    with suppress(Killed), killed_after(8, loaded.settings.home):
        rename_table(loaded.settings, LAST, "last")
    put_in_the_way()
    with pytest.raises(OperatorError, match=f"{in_the_way} is there, and .* belongs there; move one of the two away"):
        rename_table(loaded.settings, LAST, "last")
    assert (in_the_way / "mine").read_text() == "mine"


# kills


def rename(chain: Chain) -> None:
    rename_table(chain.settings, LAST, "last")


def drop(chain: Chain) -> None:
    drop_table(chain.settings, LAST, now=NOW)


def restore(chain: Chain) -> None:
    restore_table(chain.settings, LAST)


@pytest.mark.parametrize(("prepare", "act", "table"), [((), rename, "last"), ((), drop, ""), ((drop,), restore, LAST)])
def test_a_kill_at_any_step_leaves_the_table_whole_or_away_and_the_same_command_completes_it(
    prepare: Sequence[Act], act: Act, table: str, kind: str
) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch:
        original = chain_of(kind, Path(scratch) / "original")
        make_history(original)
        before = look(original, LAST)
        for step in prepare:
            step(original)
        kills = 0
        for chain, steps in copies(original, Path(scratch)):
            try:
                with killed_after(steps, chain.settings.home):
                    act(chain)
            except Killed:
                kills += 1
                for name in Catalog.load(chain.settings.tables).tables.keys() & {LAST, "last"}:
                    assert look(chain, name) == before
                with suppress(RequestError):  # it was done, and only what was left of it was not cleared away
                    act(chain)
            else:
                break
            if not table:
                restore(chain)
            assert look(chain, table or LAST) == before
            assert agrees(chain)
            assert list_begun(chain.settings.warehouse) == []
        assert kills > 10


def copies(original: Chain, scratch: Path) -> Iterator[tuple[Chain, int]]:
    for steps in count():
        yield copied(original, scratch / str(steps)), steps


def copied(original: Chain, home: Path) -> Chain:
    """The same home elsewhere and, if it has one, the same store under another prefix."""
    chain = original.copied(home)
    place = stored(original)
    if place is None:
        return chain
    prefix, new_prefix = prefix_of(place), uuid4().hex
    bucket = ObjectStore(f"s3://{BUCKET}")
    bucket.copy({f"{new_prefix}/{key}": f"{prefix}/{key}" for key in all_keys(place)})
    settings = Settings.from_environment(
        {"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC", "RELOADS_WAREHOUSE": f"s3://{BUCKET}/{new_prefix}"}
    )
    (settings.mirrors / original.settings.warehouse.name).rename(settings.warehouse)
    return replace(chain, settings=settings.model_copy(update={"threads": 2, "tasks_at_once": 2, "memory_mb": 1024}))


def test_where_the_definition_cannot_be_taken_away_nothing_was_begun(loaded: Chain) -> None:
    def refuse(_: Path, target: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(target))

    for act in (rename, drop):
        before = everything(loaded, but="no table")
        with patch.object(Path, "rename", refuse), pytest.raises(OperatorError, match="Read-only file system"):
            act(loaded)
        assert everything(loaded, but="no table") == before
        assert list_begun(loaded.settings.warehouse) == []


def test_while_a_move_is_interrupted_no_other_one_touches_its_tables(loaded: Chain) -> None:
    with suppress(Killed), killed_after(8, loaded.settings.home):
        rename_table(loaded.settings, LAST, "last")
    acts: list[Callable[[], object]] = [
        lambda: rename_table(loaded.settings, LAST, "other"),
        lambda: rename_table(loaded.settings, "a", "last"),
        lambda: drop_table(loaded.settings, LAST, now=NOW),
        lambda: restore_table(loaded.settings, LAST),
    ]
    for act in acts:
        with pytest.raises(ReloadsError, match="reloads rename d last was interrupted; give that command again first"):
            act()
    rename_table(loaded.settings, LAST, "last")
    assert agrees(loaded)
