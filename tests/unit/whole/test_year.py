"""One year with one bad day in the middle: 364 days are published, and an undo puts back exactly what was there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from reloads.days import Days
from reloads.outcome import Outcome
from reloads.requests.record import Record
from reloads.runs.undo import undo_request
from reloads.warehouse.access import state_of
from reloads.warehouse.adoption import is_ours
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.verification import verify_table
from tests.support.chain import NOW, Chain

YEAR = Days.between(date(2025, 1, 1), date(2025, 12, 31))
LOADED = Days.between(date(2025, 1, 1), date(2025, 10, 26))
"""The days that are there before; the others come with the reload."""
BAD = date(2025, 7, 2)
GOOD = YEAR - Days.of([BAD])
AMOUNTS = """
    select cast(midnight as date) as day, n, {amount} as amount
    from generate_series(date '2024-12-01', date '2026-01-31', interval 1 day) as d(midnight)
    cross join generate_series(1, 3) as numbers(n)
"""
CHECK = """
    create view never_negative as
    select day, min(amount) as found, 'at least 0' as expected from new where amount < 0 group by day;
"""

Files = Mapping[date, tuple[int, bytes]]
"""By day, the time and the bytes of its file."""


@dataclass(frozen=True)
class Year:
    """A table of which most of a year was loaded, and a reload of all of it whose middle day breaks a check."""

    chain: Chain
    before: Files
    inodes: Mapping[date, int]
    """Of the files before."""
    outcome: Outcome
    request: Record
    after: Files


def path_of(chain: Chain, day: date) -> Path:
    return chain.settings.warehouse / "sales" / f"day={day}" / "data.parquet"


def files(chain: Chain) -> Files:
    """Every file below the table; fails where one is not a partition."""
    paths = [path for path in (chain.settings.warehouse / "sales").rglob("*") if not path.is_dir()]
    path_by_day = {date.fromisoformat(path.parent.name.removeprefix("day=")): path for path in paths}
    assert sorted(paths) == sorted(path_of(chain, day) for day in path_by_day)
    return {day: (path.stat().st_mtime_ns, path.read_bytes()) for day, path in path_by_day.items()}


def define(chain: Chain, amount: str) -> None:
    chain.define("sales", AMOUNTS.format(amount=amount), 'order_by = ["n"]')
    (chain.settings.tables / "sales" / "checks.sql").write_text(CHECK)


def reload(chain: Chain, days: Days) -> tuple[Record, Outcome]:
    """Ask, and go through a run step by step."""
    record = chain.ask("sales", str(min(days)), str(max(days)))
    batches = chain.plan("sales")
    outcomes: list[dict[str, Any]] = chain.rewrite("sales", batches)
    chain.settle("sales", batches, outcomes)
    return record, sum((Outcome.model_validate(outcome) for outcome in outcomes), start=Outcome())


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    chain = Chain.at(tmp_path_factory.mktemp("year"))
    define(chain, "n")
    assert reload(chain, LOADED)[1].published == LOADED
    before = files(chain)
    inodes = {day: path_of(chain, day).stat().st_ino for day in before}
    define(chain, f"if(day = date '{BAD}' and n = 2, -7, 10 * n)")
    request, outcome = reload(chain, YEAR)
    return Year(chain, before, inodes, outcome, request, files(chain))


def test_all_days_but_the_bad_one_are_published(year: Year) -> None:
    assert (year.outcome.published, year.outcome.failed_days) == (GOOD, YEAR - GOOD)
    assert Days.of(year.after) == YEAR
    assert not [day for day in GOOD if year.after[day] == year.before.get(day)]


def test_the_bad_day_keeps_its_file_to_the_inode(year: Year) -> None:
    assert year.after[BAD] == year.before[BAD]
    assert path_of(year.chain, BAD).stat().st_ino == year.inodes[BAD]


def test_the_outcome_names_check_day_found_and_expected(year: Year) -> None:
    [failure] = year.outcome.failed
    sentence = f"the check never_negative of {BAD} says: 1 violation, found -7, expected at least 0"
    assert (failure.days, failure.transient, failure.error) == (Days.of([BAD]), False, sentence)
    [result] = year.outcome.checks
    assert (result.check, result.severity, result.days) == ("never_negative", "error", Days.of([BAD]))
    assert (result.rows, result.found, result.expected) == (1, "-7", "at least 0")


def test_the_record_says_the_same_and_counts_the_rest(year: Year) -> None:
    state, record = year.chain.find_record(year.request.id)
    assert (state, record.published, record.unchanged, record.failed_days) == ("failed", GOOD, Days(), YEAR - GOOD)
    assert (record.failed, record.checks) == (year.outcome.failed, year.outcome.checks)
    assert (record.rows, record.rows_before) == (3 * 364, 3 * (len(LOADED) - 1))
    assert record.bytes == sum(len(year.after[day][1]) for day in GOOD)


def test_an_undo_puts_back_every_byte_time_and_absence_and_its_undo_brings_364_days_back(year: Year) -> None:
    chain = year.chain
    [undone] = undo_request(chain.settings, year.request.id, force=False, now=NOW + timedelta(hours=1))
    assert undone.published == GOOD
    assert files(chain) == year.before
    assert not [day for day in YEAR - LOADED if path_of(chain, day).parent.exists()]
    assert_log_knows_files(chain)

    [redone] = undo_request(chain.settings, undone.id, force=False, now=NOW + timedelta(hours=2))
    assert redone.published == GOOD
    assert files(chain) == year.after
    assert_log_knows_files(chain)
    assert chain.plan("sales") == []


def assert_log_knows_files(chain: Chain) -> None:
    folder = TableFolder(chain.settings.warehouse, "sales", "day")
    entries = state_of(folder).read_all().entries
    shown = [name for name, entry in entries.items() if entry.version]
    assert Days.of(name.day for name in shown) == Days.of(files(chain))
    assert all(is_ours(folder, name, entries[name]) for name in shown)
    assert verify_table(folder) == []
