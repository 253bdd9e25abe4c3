"""The upgrade: what a ledger, a history and notices held is in the log, and no file that readers see is touched."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from reloads.days import Days
from reloads.runs.following import follow
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.lineage import input_days
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Entry, Making, Point
from reloads.warehouse.cursors import Cursor, Position
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.publishing import publish
from reloads.warehouse.state import Snapshot
from reloads.warehouse.take_back import build_undo, find_take_back
from reloads.warehouse.upgrade import upgrade_warehouse
from reloads.warehouse.verification import verify_table
from tests.support.commit_history import NOON
from tests.support.old_warehouse import OldTable, build_table
from tests.support.process_kill import SCRATCH, Killed, killed_after

MONDAY, TUESDAY, WEDNESDAY = (date(2025, 1, day) for day in (6, 7, 8))
NOW = NOON + timedelta(days=1)
Files = dict[str, tuple[bytes, int, int]]


def upgrade(*tables: OldTable) -> list[str]:
    return upgrade_warehouse(tables[0].warehouse, {table.table: table.definition for table in tables}, now=NOW)


def entries(table: OldTable) -> Mapping[PartitionName, Entry]:
    return state_of(table.folder).read_all().entries


def contents(table: OldTable) -> dict[str, str]:
    return {str(name): path.read_text() for name, path in table.folder.published().items()}


def shown_files(warehouse: Path) -> Files:
    """Content, time and inode of each file that readers see."""
    files: Files = {}
    for path in sorted(warehouse.glob("[a-z]*/**/*")):
        if path.is_file():
            status = path.stat()
            files[str(path.relative_to(warehouse))] = (path.read_bytes(), status.st_mtime_ns, status.st_ino)
    return files


def undo(table: OldTable, request: str) -> list[str]:
    """Undo by the log; the partitions that it put back."""
    found = find_take_back(table.folder, request)
    place = Path(tempfile.mkdtemp(dir=table.warehouse, prefix=".staging-"))
    act = build_undo(table.folder, found, request=request, undo=f"u-{request}", run="undo", place=place, now=NOW)
    publish(table.folder, act)
    return sorted(map(str, found.back))


def stale_names(table: OldTable, *inputs: OldTable) -> list[str]:
    """The partitions and days that are not what they would be now, by comparing numbers."""
    sources = {source.table: state_of(source.folder).read_all() for source in inputs}
    stale: list[str] = []
    for name, entry in entries(table).items():
        making = entry.making
        is_known = making is not None and making.definition == table.definition.version
        if making is None or not is_known or not has_read_all(table, name.day, making, sources):
            stale.append(str(name))
    return sorted(stale)


def has_read_all(table: OldTable, day: date, making: Making, sources: Mapping[str, Snapshot]) -> bool:
    for source, window in table.definition.inputs.items():
        snapshot = sources[source]
        for input_day in input_days(Days.of([day]), window):
            for read in snapshot.of_day(input_day).values():
                if not making.inputs[source].includes(Point(snapshot.head.point.log, read.changed)):
                    return False
    return True


@pytest.fixture(params=["", "k"], ids=["without keys", "with keys"])
def sales(request: pytest.FixtureRequest, tmp_path: Path) -> OldTable:
    return OldTable(tmp_path, build_table("sales", keys=tuple(request.param)))


@pytest.fixture
def raw(tmp_path: Path) -> OldTable:
    return OldTable(tmp_path, build_table("raw"))


@pytest.fixture
def weekly(raw: OldTable) -> OldTable:
    """A table that reads two days of ``raw``."""
    return OldTable(raw.warehouse, build_table("weekly", inputs={"raw": 2}), {"raw": raw})


def key_of(table: OldTable) -> str:
    return "x" if table.folder.keys else ""


def whole_of(table: OldTable, *days: date) -> list[str]:
    return [f"day={day}" for day in days] if table.folder.keys else []


def names(table: OldTable) -> tuple[PartitionName, PartitionName]:
    return table.name(MONDAY, key_of(table)), table.name(TUESDAY, key_of(table))


def test_files_keep_bytes_times_and_inodes_and_nothing_is_at_fault(sales: OldTable) -> None:
    monday, tuesday = names(sales)
    sales.load({monday: "one", tuesday: "one"}, "first", whole=whole_of(sales, MONDAY, TUESDAY))
    sales.load({monday: "two"}, "second", whole=whole_of(sales, MONDAY))
    before = shown_files(sales.warehouse)
    inodes = {path.stat().st_ino for path in sales.warehouse.rglob("*.parquet")}
    assert upgrade(sales) == ["sales"]
    assert shown_files(sales.warehouse) == before
    assert {path.stat().st_ino for path in sales.warehouse.rglob("*.parquet")} == inodes
    assert verify_table(sales.folder) == []
    moved = {path.name for path in (sales.warehouse / ".before_log" / "sales").iterdir()}
    assert moved >= {"history", "ledger.json"}
    assert len(list((sales.warehouse / ".before_log" / "sales" / "history").iterdir())) == 5


def test_what_the_ledger_knew_of_a_file_stays_known(sales: OldTable) -> None:
    monday, _ = names(sales)
    sales.load({monday: "one"}, "first", whole=whole_of(sales, MONDAY))
    stamp = sales.load({monday: "second"}, "second", whole=whole_of(sales, MONDAY))
    upgrade(sales)
    entry = entries(sales)[monday]
    assert (entry.rows, entry.bytes, entry.content) == (6, 6, "1:second")
    assert entry.making is not None
    assert (entry.making.definition, entry.making.run) == ("sales-1", "run of second")
    assert entry.making.parameters == {"limit": 10}
    assert entry.making.made_at.timestamp() == stamp / 10**9
    head = state_of(sales.folder).read_head()
    assert head.columns == {"v": "INTEGER"}
    assert head.key_types == dict.fromkeys(sales.folder.keys, "VARCHAR")
    assert stale_names(sales) == []


def test_old_requests_are_undone_one_after_the_other(sales: OldTable) -> None:
    monday, tuesday = names(sales)
    sales.load({monday: "one"}, "first", whole=whole_of(sales, MONDAY))
    sales.load({monday: "two", tuesday: "two"}, "second", whole=whole_of(sales, MONDAY, TUESDAY))
    sales.load({monday: "again"}, "second", whole=whole_of(sales, MONDAY))
    sales.load({monday: "three"}, "third", whole=whole_of(sales, MONDAY))
    upgrade(sales)
    assert find_take_back(sales.folder, "second").later == {monday: "third"}
    assert undo(sales, "third") == [str(monday)]
    assert contents(sales) == {str(monday): "again", str(tuesday): "two"}
    assert undo(sales, "second") == [str(monday), str(tuesday)]
    assert contents(sales) == {str(monday): "one"}
    assert undo(sales, "first") == [str(monday)]
    assert contents(sales) == {}


def test_an_old_undo_counts_as_one(sales: OldTable) -> None:
    monday, _ = names(sales)
    sales.load({monday: "one"}, "first", whole=whole_of(sales, MONDAY))
    stamp = sales.load({monday: "two"}, "second", whole=whole_of(sales, MONDAY))
    sales.undo(stamp, "u")
    upgrade(sales)
    assert stale_names(sales) == []
    assert find_take_back(sales.folder, "second").undone_by
    assert sorted(map(str, find_take_back(sales.folder, "first").back)) == [str(monday)]
    assert undo(sales, "u") == [str(monday)]
    assert contents(sales) == {str(monday): "two"}


def test_what_somebody_wrote_between_two_requests_is_put_back_and_not_taken_for_theirs(sales: OldTable) -> None:
    monday, _ = names(sales)
    sales.load({monday: "one"}, "first", whole=whole_of(sales, MONDAY))
    sales.put(monday, "of somebody")
    sales.load({monday: "two"}, "second", whole=whole_of(sales, MONDAY))
    upgrade(sales)
    undo(sales, "second")
    assert contents(sales) == {str(monday): "of somebody"}
    assert list(find_take_back(sales.folder, "first").later) == [monday]


def test_an_act_that_did_not_come_to_replace_a_file_changed_nothing(sales: OldTable) -> None:
    monday, _ = names(sales)
    sales.load({monday: "one"}, "first", whole=whole_of(sales, MONDAY))
    file = sales.folder.file(monday)
    kept = sales.warehouse / "file"
    os.link(file, kept)
    sales.load({monday: "refused"}, "second", whole=whole_of(sales, MONDAY))
    kept.replace(file)
    upgrade(sales)
    assert find_take_back(sales.folder, "second").back == {}
    assert list(find_take_back(sales.folder, "first").back) == [monday]


def test_a_table_whose_history_expired_is_taken_over_without(sales: OldTable) -> None:
    monday, _ = names(sales)
    sales.load({monday: "one"}, "first", whole=whole_of(sales, MONDAY), keeps_history=False)
    upgrade(sales)
    assert stale_names(sales) == []
    assert state_of(sales.folder).log.numbers() == [1]
    assert find_take_back(sales.folder, "first").back == {}


def test_what_was_fresh_is_fresh_and_what_was_stale_is_stale(raw: OldTable, weekly: OldTable) -> None:
    days = [MONDAY, TUESDAY, WEDNESDAY]
    raw.load({raw.name(day): "one" for day in days}, "first")
    weekly.load({weekly.name(day): "one" for day in days}, "first")
    assert upgrade(raw, weekly) == ["raw", "weekly"]
    assert stale_names(weekly, raw) == []
    making = entries(weekly)[weekly.name(MONDAY)].making
    assert making is not None
    assert making.inputs == {"raw": state_of(raw.folder).read_head().point}


def reload_tuesday(raw: OldTable, _weekly: OldTable) -> None:
    raw.load({raw.name(TUESDAY): "two"}, "second")


def replace_wednesday(raw: OldTable, _weekly: OldTable) -> None:
    raw.put(raw.name(WEDNESDAY), "of somebody")


def remove_tuesday(raw: OldTable, _weekly: OldTable) -> None:
    raw.folder.file(raw.name(TUESDAY)).unlink()


def remove_input(raw: OldTable, _weekly: OldTable) -> None:
    shutil.rmtree(raw.folder.folder)


def replace_monday_itself(_raw: OldTable, weekly: OldTable) -> None:
    weekly.put(weekly.name(MONDAY), "of somebody")


def load_by_an_older_definition(_raw: OldTable, weekly: OldTable) -> None:
    weekly.load({weekly.name(MONDAY): "two"}, "second", version="old")


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (reload_tuesday, {TUESDAY, WEDNESDAY}),
        (replace_wednesday, {WEDNESDAY}),
        (remove_tuesday, {TUESDAY, WEDNESDAY}),
        (remove_input, {MONDAY, TUESDAY, WEDNESDAY}),
        (replace_monday_itself, {MONDAY}),
        (load_by_an_older_definition, {MONDAY}),
    ],
)
def test_what_changed_before_the_upgrade_is_stale(
    raw: OldTable, weekly: OldTable, change: Callable[[OldTable, OldTable], object], stale: set[date]
) -> None:
    days = [MONDAY, TUESDAY, WEDNESDAY]
    raw.load({raw.name(day): "one" for day in days}, "first", keeps_history=False)
    weekly.load({weekly.name(day): "one" for day in days}, "first")
    change(raw, weekly)
    upgrade(raw, weekly)
    assert stale_names(weekly, raw) == sorted(f"day={day}" for day in stale)


def test_what_an_input_was_put_back_to_is_what_was_read(raw: OldTable, weekly: OldTable) -> None:
    raw.load({raw.name(MONDAY): "one"}, "first")
    weekly.load({weekly.name(MONDAY): "one"}, "first")
    stamp = raw.load({raw.name(MONDAY): "two"}, "second")
    raw.undo(stamp, "u")
    upgrade(raw, weekly)
    assert stale_names(weekly, raw) == []


def test_a_table_whose_input_is_broken_is_stale_and_follows_it_later(raw: OldTable, weekly: OldTable) -> None:
    raw.load({raw.name(MONDAY): "one"}, "first")
    weekly.load({weekly.name(MONDAY): "one"}, "first")
    upgrade(weekly)
    making = entries(weekly)[weekly.name(MONDAY)].making
    assert making is not None
    assert making.definition != weekly.definition.version
    assert Cursor(raw.warehouse, "raw", "weekly").read() == Position(Point())


def test_a_day_is_whole_by_its_own_entry_or_by_all_of_its_slices(tmp_path: Path) -> None:
    table = OldTable(tmp_path, build_table("cut", keys=["k"], slices=2))
    thursday = date(2025, 1, 9)
    versions = ((MONDAY, "", ""), (TUESDAY, "", "older"), (WEDNESDAY, "", None), (thursday, "older", ""))
    for day, first, second in versions:
        for number, version in enumerate((first, second)):
            if version is not None:
                text = f"day={day}#{number}/2"
                table.load({table.name(day, f"k{number}"): "one"}, f"{day}", whole=[text], version=version)
    sunday = date(2025, 1, 5)
    table.load({table.name(sunday, "x"): "one"}, "sunday", whole=[f"day={sunday}"])
    upgrade(table)
    stale_days = [name for name in stale_names(table) if "/" not in name]
    assert stale_days == [f"day={day}" for day in (TUESDAY, WEDNESDAY, thursday)]


def test_an_undo_of_a_request_in_slices_takes_back_what_is_known_of_the_day(tmp_path: Path) -> None:
    table = OldTable(tmp_path, build_table("cut", keys=["k"], slices=2))
    for request, text in (("first", "one"), ("second", "two")):
        for number in range(2):
            table.load({table.name(MONDAY, f"k{number}"): text}, request, whole=[f"day={MONDAY}#{number}/2"])
    upgrade(table)
    assert undo(table, "second") == [f"day={MONDAY}/k=k0", f"day={MONDAY}/k=k1"]
    assert set(contents(table).values()) == {"one"}
    assert stale_names(table) == []
    undo(table, "first")
    assert contents(table) == {}


def test_what_was_known_of_a_day_comes_back_although_slices_of_two_definitions_lay_side_by_side(tmp_path: Path) -> None:
    table = OldTable(tmp_path, build_table("cut", keys=["k"], slices=2))
    for request, version in (("first", "older"), ("second", "")):
        for number in range(2):
            slice_name = f"day={MONDAY}#{number}/2"
            table.load({table.name(MONDAY, f"k{number}"): request}, request, whole=[slice_name], version=version)
    upgrade(table)
    assert stale_names(table) == []
    undo(table, "second")
    making = entries(table)[table.name(MONDAY)].making
    assert making is not None
    assert making.definition == "older"


def test_a_day_that_an_old_undo_took_away_is_not_known_any_more(tmp_path: Path) -> None:
    table = OldTable(tmp_path, build_table("cut", keys=["k"]))
    stamp = table.load({table.name(MONDAY, "x"): "one"}, "first", whole=[f"day={MONDAY}"])
    table.load({table.name(MONDAY, "x"): "two"}, "second", whole=[f"day={MONDAY}"])
    table.undo(stamp, "u")
    upgrade(table)
    assert contents(table) == {}
    assert entries(table)[table.name(MONDAY)].making is None


def test_a_value_of_a_key_may_hold_a_hash(tmp_path: Path) -> None:
    table = OldTable(tmp_path, build_table("cut", keys=["k"]))
    name = PartitionName("day", MONDAY, (("k", "a#1"),))
    table.load({name: "one"}, "first", whole=[f"day={MONDAY}"])
    upgrade(table)
    assert stale_names(table) == []


def test_a_day_with_a_partition_that_somebody_removed_is_stale(tmp_path: Path) -> None:
    table = OldTable(tmp_path, build_table("cut", keys=["k"]))
    table.load({table.name(MONDAY, key): "one" for key in "ab"}, "first", whole=[f"day={MONDAY}"])
    table.folder.file(table.name(MONDAY, "a")).unlink()
    upgrade(table)
    assert f"day={MONDAY}" in stale_names(table)


def test_a_day_that_was_loaded_without_rows_stays_loaded(tmp_path: Path) -> None:
    table = OldTable(tmp_path, build_table("cut", keys=["k"]))
    table.load({}, "first", whole=[f"day={MONDAY}"], keeps_history=False)
    upgrade(table)
    assert table.folder.has_day(MONDAY)
    assert entries(table)[table.name(MONDAY)].making is not None


def followed_days(*tables: OldTable) -> dict[str, tuple[list[str], tuple[str, ...]]]:
    """What each table's downstream tables are asked for, and the requests that caused it."""
    home = tables[0].warehouse.parent / "home"
    settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC"})
    settings = settings.model_copy(update={"warehouse": tables[0].warehouse})
    settings.landing.mkdir(parents=True, exist_ok=True)
    catalog = Catalog({table.table: table.definition for table in tables}, {})
    asked: dict[str, tuple[list[str], tuple[str, ...]]] = {}
    for table in tables:
        for record in follow(settings, catalog, table.table, now=NOW):
            assert record.cause is not None
            asked[record.table] = (record.days.texts(), record.cause.requests)
    return asked


@pytest.fixture
def apart(tmp_path: Path) -> OldTable:
    """A table with a home beside the warehouse."""
    return OldTable(tmp_path / "warehouse", build_table("raw"))


def reader_of(table: OldTable) -> OldTable:
    return OldTable(table.warehouse, build_table("weekly", inputs={table.table: 1}), {table.table: table})


@pytest.mark.parametrize("keeps_history", [True, False])
def test_days_that_nobody_followed_are_followed_and_no_others(apart: OldTable, *, keeps_history: bool) -> None:
    apart.load({apart.name(day): "one" for day in (MONDAY, TUESDAY, WEDNESDAY)}, "first")
    apart.load({apart.name(MONDAY): "two"}, "second", notices=True, keeps_history=keeps_history)
    apart.load({apart.name(WEDNESDAY): "two"}, "third")
    weekly = reader_of(apart)
    upgrade(apart, weekly)
    requests = ("second",) if keeps_history else ()
    assert followed_days(apart, weekly) == {"weekly": ([str(MONDAY)], requests)}
    assert followed_days(apart, weekly) == {}


def test_without_a_notice_nobody_is_asked(apart: OldTable) -> None:
    apart.load({apart.name(MONDAY): "one"}, "first")
    weekly = reader_of(apart)
    upgrade(apart, weekly)
    point = state_of(apart.folder).read_head().point
    assert Cursor(apart.warehouse, "raw", "weekly").read() == Position(point)
    assert followed_days(apart, weekly) == {}


def test_a_damaged_notice_is_one_of_all_days(apart: OldTable) -> None:
    stamp = apart.load({apart.name(day): "one" for day in (MONDAY, WEDNESDAY)}, "first", notices=True)
    (apart.warehouse / ".changes" / "raw" / f"{stamp}.json").write_text("{")
    weekly = reader_of(apart)
    upgrade(apart, weekly)
    assert followed_days(apart, weekly)["weekly"][0] == [str(MONDAY), str(WEDNESDAY)]


def test_a_day_of_which_nothing_is_left_is_followed(tmp_path: Path) -> None:
    table = OldTable(tmp_path / "warehouse", build_table("cut", keys=["k"]))
    name = table.name(MONDAY, "x")
    table.load({name: "one"}, "first", whole=[f"day={MONDAY}"], keeps_history=False)
    table.load({name: ""}, "second", whole=[f"day={MONDAY}"], keeps_history=False, notices=True)
    weekly = reader_of(table)
    upgrade(table, weekly)
    assert verify_table(table.folder) == []
    assert followed_days(table, weekly) == {"weekly": ([str(MONDAY)], ())}


def test_a_damaged_ledger_makes_all_of_the_table_stale(sales: OldTable, caplog: pytest.LogCaptureFixture) -> None:
    monday, tuesday = names(sales)
    sales.load({monday: "one", tuesday: "one"}, "first", whole=whole_of(sales, MONDAY, TUESDAY))
    (sales.warehouse / ".ledger" / "sales.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert upgrade(sales) == ["sales"]
    assert "is damaged" in caplog.text
    assert {str(monday), str(tuesday)} <= set(stale_names(sales))
    assert undo(sales, "first") == [str(monday), str(tuesday)]


def test_a_damaged_act_is_passed_over(sales: OldTable, caplog: pytest.LogCaptureFixture) -> None:
    monday, _ = names(sales)
    sales.load({monday: "one"}, "first", whole=whole_of(sales, MONDAY))
    stamp = sales.load({monday: "two"}, "second", whole=whole_of(sales, MONDAY))
    sales.load({monday: "three"}, "third", whole=whole_of(sales, MONDAY))
    (sales.warehouse / ".history" / "sales" / f"{stamp}.json").write_text('{"requests": 1}')
    upgrade(sales)
    assert "is damaged" in caplog.text
    assert find_take_back(sales.folder, "second").back == {}
    undo(sales, "third")
    assert contents(sales) == {str(monday): "two"}
    assert (sales.warehouse / ".before_log" / "sales" / "history" / f"{stamp}.json").exists()


def test_a_reload_of_new_columns_that_was_still_to_be_asked_for_is_named(
    raw: OldTable, caplog: pytest.LogCaptureFixture
) -> None:
    raw.schema_backfill = "raw-1/5"
    raw.load({raw.name(MONDAY): "one"}, "first")
    upgrade(raw)
    assert "ask for what is stale" in caplog.text


def test_a_table_that_is_not_in_the_catalog_is_left_alone(raw: OldTable) -> None:
    raw.load({raw.name(MONDAY): "one"}, "first")
    gone = OldTable(raw.warehouse, build_table("gone"))
    gone.load({gone.name(MONDAY): "one"}, "first")
    assert upgrade(raw) == ["raw"]
    assert (raw.warehouse / ".ledger" / "gone.json").exists()
    assert (raw.warehouse / ".history" / "gone").exists()


def test_what_the_old_release_did_beside_a_log_is_taken_over_by_it(sales: OldTable) -> None:
    monday, tuesday = names(sales)
    sales.load({monday: "one", tuesday: "one"}, "first", whole=whole_of(sales, MONDAY, TUESDAY))
    upgrade(sales)
    sales.load({monday: "two"}, "second", whole=whole_of(sales, MONDAY))
    before = shown_files(sales.warehouse)
    assert upgrade(sales) == ["sales"]
    assert shown_files(sales.warehouse) == before
    assert verify_table(sales.folder) == []
    assert entries(sales)[monday].content == "1:two"
    assert state_of(sales.folder).read_head().point.number == 2
    aside = sales.warehouse / ".before_log" / "sales"
    assert json.loads((aside / "ledger-2.json").read_text())["entries"][str(monday)]["content"] == "1:two"
    assert (aside / "history-2").is_dir()


def test_two_processes_take_a_table_over_once(sales: OldTable) -> None:
    monday, _ = names(sales)
    for number in range(5):
        sales.load({monday: str(number)}, f"r{number}", whole=whole_of(sales, MONDAY))
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: upgrade(sales), range(4)))
    assert sorted(results) == [[], [], [], ["sales"]]
    assert verify_table(sales.folder) == []


def test_a_second_look_costs_the_same_however_large_the_table_is(tmp_path: Path) -> None:
    counts: list[int] = []
    for size in (1, 40):
        table = OldTable(tmp_path / str(size), build_table("raw"))
        table.load({table.name(MONDAY + timedelta(days=number)): "one" for number in range(size)}, "first")
        upgrade(table)
        with count_looks() as looks, killed_after(0, table.warehouse):
            assert upgrade(table) == []
        counts.append(len(looks))
    assert counts[0] == counts[1] < 6


@contextmanager
def count_looks() -> Iterator[list[Any]]:
    looks: list[Any] = []

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def look(*arguments: Any, **options: Any) -> Any:
            looks.append(arguments)
            return function(*arguments, **options)

        return look

    with (
        patch.object(os, "stat", counting(os.stat)),
        patch.object(os, "scandir", counting(os.scandir)),
        patch.object(os, "open", counting(os.open)),
        patch.object(os, "listdir", counting(os.listdir)),
    ):
        yield looks


def build_old_warehouse(warehouse: Path) -> list[OldTable]:
    """A table with keys and a history, one with an undo and a stranger, and one that reads the first."""
    first = OldTable(warehouse, build_table("first", keys=["k"], slices=2))
    for request, text in (("one", "1"), ("two", "22")):
        for number in range(2):
            slice_name = f"day={MONDAY}#{number}/2"
            first.load({first.name(MONDAY, f"k{number}"): text}, request, whole=[slice_name], notices=request == "two")
    first.load({first.name(MONDAY, "k1"): ""}, "three")
    plain = OldTable(warehouse, build_table("plain"))
    plain.load({plain.name(MONDAY): "1", plain.name(TUESDAY): "1"}, "one")
    stamp = plain.load({plain.name(MONDAY): "22"}, "two")
    plain.undo(stamp, "u")
    plain.put(plain.name(TUESDAY), "of somebody")
    last = OldTable(warehouse, build_table("last", inputs={"first": 1}), {"first": first})
    last.load({last.name(MONDAY): "1"}, "one")
    return [first, plain, last]


@contextmanager
def old_warehouse() -> Iterator[list[OldTable]]:
    home = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        yield build_old_warehouse(home / "warehouse")
    finally:
        shutil.rmtree(home)


def describe(tables: list[OldTable]) -> dict[str, Any]:
    """All files of the warehouse but locks and what a killed process was writing, with the names of logs left out."""
    warehouse = tables[0].warehouse
    logs = {state_of(table.folder).read_head().point.log: table.table for table in tables}
    files: dict[str, Any] = {}
    for path in warehouse.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".lock":
            text = path.read_text()
            for log, table in logs.items():
                text = text.replace(log, table) if log else text
            published = path.stat().st_mtime_ns if path.suffix == ".parquet" else None
            files[str(path.relative_to(warehouse))] = (text, published)
    return files


def test_an_upgrade_that_is_killed_anywhere_is_completed_by_the_next_one() -> None:
    with old_warehouse() as tables:
        assert upgrade(*tables) == ["first", "plain", "last"]
        expected = describe(tables)
    for steps in count():
        with old_warehouse() as tables:
            shown = shown_files(tables[0].warehouse)
            try:
                with killed_after(steps, tables[0].warehouse):
                    upgrade(*tables)
                break
            except Killed:
                assert shown_files(tables[0].warehouse) == shown
            upgrade(*tables)
            assert shown_files(tables[0].warehouse) == shown
            assert describe(tables) == expected, steps
            assert upgrade(*tables) == []
    assert steps > 100


def test_the_log_appears_only_when_all_else_of_it_is_there() -> None:
    for steps in count():
        with old_warehouse() as tables:
            try:
                with killed_after(steps, tables[0].warehouse):
                    upgrade(*tables)
                break
            except Killed:
                pass
            for table in tables:
                state = state_of(table.folder)
                if state.log.numbers():
                    assert state.read_head().point.number == state.log.numbers()[-1]
                    assert list(state.behind()) == []
                    assert verify_table(table.folder) == []
