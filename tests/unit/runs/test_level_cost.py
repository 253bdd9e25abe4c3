"""Level cost: what an act touches of a table does not depend on how many partitions and commits the table has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from reloads.days import Days
from reloads.inspection.preview import preview
from reloads.requests.record import Record
from reloads.requests.request import parse_request
from reloads.runs.following import begin_to_follow, follow
from reloads.runs.local_run import run_locally
from reloads.runs.retention import remove_expired
from reloads.runs.undo import undo_request
from reloads.tables.catalog import Catalog
from reloads.warehouse.partitions import TableFolder, folder_of
from tests.support.chain import NOW, Chain
from tests.support.command_line import call
from tests.support.long_history import fill
from tests.support.touches import count_names, count_touches

FEW, MANY = 4, 150
"""Commits before what is looked at, and as many behind it."""
DAYS_A_COMMIT = 3
DAY = "2025-01-10"
SHOPS = "select day, amount // 100 as shop, amount from raw where amount > 0"
TABLES = ("a", "shops")
"""One without keys, which others read, and one with keys."""

LOOKS_FOR_THE_NEXT = 2

Act = Callable[[Chain, str], object]


def folder(chain: Chain, table: str) -> TableFolder:
    return folder_of(chain.settings.warehouse, Catalog.load(chain.settings.tables)[table])


def publish_others(chain: Chain, table: str, commits: int, *, first: date, after: timedelta) -> None:
    """Publish days that nobody asks about, each once, and let everybody follow."""
    last = first + timedelta(days=commits * DAYS_A_COMMIT - 1)
    fill(
        folder(chain, table),
        Days.between(first, last),
        commits=commits,
        begin=NOW + after,
        columns={"amount": "INTEGER"},
        key_values=("0", "1", "2"),
    )
    catalog = Catalog.load(chain.settings.tables)
    begin_to_follow(chain.settings, catalog, table)
    assert follow(chain.settings, catalog, table, now=NOW) == []


amounts = count(1000)


def reload(chain: Chain, table: str, *, amount: int | None = None, **more: Any) -> Record:
    """Rewrite the day, to another amount unless one is given."""
    chain.deliver(DAY, amount or next(amounts))
    record = chain.ask(table, DAY, **{"cascade": False, **more})
    chain.work_off(table)
    ended = chain.queue.get(record.id)
    assert ended is not None
    assert not ended.failed
    return ended


def make_chain(home: Path, table: str, commits: int) -> tuple[Chain, Record]:
    """The table with so many commits before those of January and behind them, and a request in their middle."""
    chain = Chain.at(home)
    chain.define("shops", SHOPS, 'keys = ["shop"]')
    publish_others(chain, table, commits, first=date(2010, 1, 1), after=timedelta(days=-3))
    names = ["a", "b", "c", "d"] if table == "a" else ["shops"]
    for name in names:
        chain.ask(name, "2025-01-01", "2025-01-31", cascade=False)
    chain.work_off(*names)
    record = reload(chain, table, amount=120)
    publish_others(chain, table, commits, first=date(2017, 1, 1), after=timedelta(minutes=1))
    return chain, record


@pytest.fixture(params=TABLES, scope="module")
def table(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory, table: str) -> list[tuple[Chain, Record]]:
    """The same table with few commits and with many. All tests do the same in both of them."""
    home = tmp_path_factory.mktemp(table)
    return [make_chain(home / f"{commits:03}", table, commits) for commits in (FEW, MANY)]


def touch(chain: Chain, act: Callable[[], object]) -> Counter[str]:
    """How often files are opened and folders listed, how many names are taken, and bytes read and written."""
    before = kept_files(chain)
    with count_touches(chain.settings.home) as touches, count_names(chain.settings.warehouse) as names:
        act()
    # Not those in a day: which one a folder lists first depends on the folder, and some days have more keys.
    touches.update({f"names in {place}": number for place, number in names.items() if "=" not in place})
    touches["bytes written"] = sum(size for file, size in kept_files(chain).items() if file not in before)
    counts: Counter[str] = Counter()
    for name, number in touches.items():
        counts[re.sub("day=[0-9-]{10}", "day=…", re.sub("-[0-9a-f]{12}", "-…", name))] += number
    return counts


def kept_files(chain: Chain) -> dict[tuple[Path, int, int], int]:
    """The sizes of all that is kept of the log and derived from it."""
    sizes: dict[tuple[Path, int, int], int] = {}
    for place in (".log", ".state", ".cursors"):
        for path in (chain.settings.warehouse / place).rglob("*"):
            status = path.stat()
            if path.is_file():
                sizes[path, status.st_ino, status.st_ctime_ns] = status.st_size
    return sizes


def assert_level(table: str, touches: Sequence[Counter[str]]) -> None:
    few, many = touches
    # Some texts hold seconds that a rewrite took.
    for name in ("bytes", "bytes written"):
        assert many.pop(name, 0) == pytest.approx(few.pop(name, 0), rel=0.005), name
    assert many == few
    for place in (".log", ".state", ".versions"):
        assert f"list warehouse/{place}/{table}" not in many


def reload_to_the_same(chain: Chain, table: str) -> None:
    """A reload that finds what the last one published."""
    [line] = (chain.settings.source / f"{DAY}.csv").read_text().splitlines()[1:]
    ended = reload(chain, table, amount=int(line.partition(",")[2]))
    assert ended.unchanged == ended.days


def reload_what_is_stale(chain: Chain, table: str) -> None:
    assert reload(chain, table, only="stale").skipped_days == Days.parse([DAY])


def follow_a_change(chain: Chain, table: str) -> None:
    children = reload(chain, table, cascade=True).children
    assert len(children) == (2 if table == "a" else 0)


def run_command(chain: Chain, table: str) -> None:
    chain.deliver(DAY, next(amounts))
    request = parse_request({"table": table, "start_date": DAY})
    [record, *_] = run_locally(chain.settings, request, clock=lambda: NOW)
    assert record.published == record.days


def plan(chain: Chain, table: str) -> None:
    request = parse_request({"table": table, "start_date": DAY, "only": "stale"})
    assert preview(chain.settings, request, now=NOW)


def undo(chain: Chain, table: str) -> None:
    record = reload(chain, table)
    [undone] = undo_request(chain.settings, record.id, force=False, now=NOW)
    assert undone.published == record.days


ACTS: dict[str, Act] = {
    "reload": reload,
    "reload to the same": reload_to_the_same,
    "reload what is stale": reload_what_is_stale,
    "reload and follow": follow_a_change,
    "run": run_command,
    "plan": plan,
    "history": lambda _, table: call("history", table, DAY),
    "status": lambda _chain, _table: call("status"),
    "undo": undo,
}


@pytest.mark.parametrize("name", ACTS)
def test_an_act_touches_as_much_of_a_large_table_as_of_a_small_one(
    chains: list[tuple[Chain, Record]], table: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    touches: list[Counter[str]] = []
    for chain, _ in chains:
        monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
        touches.append(touch(chain, partial(ACTS[name], chain, table)))
    assert_level(table, touches)


def test_an_undo_does_not_read_what_others_published_since(chains: list[tuple[Chain, Record]], table: str) -> None:
    touches: list[Counter[str]] = []
    for chain, record in chains:
        undo_it = partial(undo_request, chain.settings, record.id, force=True, now=NOW)
        touches.append(touch(chain, undo_it))
    assert_level(table, touches)


def expire(chain: Chain, table: str, now: datetime) -> Counter[str]:
    catalog = Catalog.load(chain.settings.tables)
    return touch(chain, lambda: remove_expired(chain.settings, catalog, catalog[table], now=now))


def test_retention_reads_nothing_before_something_expires(chains: list[tuple[Chain, Record]], table: str) -> None:
    few, many = (expire(chain, table, NOW + timedelta(hours=1)) for chain, _ in chains)
    # Whoever opens a table, and whoever reads its head, looks for a commit that is not there yet.
    assert many[f"open warehouse/.log/{table}"] == LOOKS_FOR_THE_NEXT
    assert_level(table, [few, many])


def test_retention_reads_only_what_expires(chains: list[tuple[Chain, Record]], table: str) -> None:
    # The first two of the commits, which were published in the seconds after the first.
    now = NOW - timedelta(days=3) + timedelta(days=7, seconds=1)
    few, many = (expire(chain, table, now) for chain, _ in chains)
    # Each once for its versions and once as it leaves the log; and the third, as times of files are rounded.
    assert many[f"open warehouse/.log/{table}"] == LOOKS_FOR_THE_NEXT + 5
    assert_level(table, [few, many])
