"""Holding: a request waits for the days of its inputs that are still to be rewritten, if nobody waits for it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.planning.selection import runnable_records
from reloads.requests.record import Mode, Record
from reloads.tables.lineage import Lineage

NOW = datetime(2025, 1, 31, 12, tzinfo=UTC)
CHAIN = Lineage({"a": {}, "b": {"a": 1}, "c": {"a": 7}, "d": {"b": 1, "c": 1}})


def record(table: str, *days: str, mode: Mode = "cascade", file: str | None = None, published: str = "") -> Record:
    done = Days.parse([published] if published else [])
    name = f"{table}-{mode}-{'-'.join(days)}"
    return Record(id=name, mode=mode, table=table, days=Days.parse(days), accepted_at=NOW, file=file, published=done)


def now(*records: Record, table: str) -> list[str]:
    """The days of ``table`` that can be worked on now."""
    mine = [one for one in records if one.table == table]
    found = runnable_records(mine, everything=records, lineage=CHAIN)
    return Days.parse(text for one in found for text in one.outstanding.texts()).texts()


def test_alone_nobody_waits() -> None:
    assert now(record("d", "2025-01-10"), table="d") == ["2025-01-10"]


@pytest.mark.parametrize("input_", ["a", "b", "c"])
def test_a_day_waits_for_every_input_near_or_far(input_: str) -> None:
    assert now(record("d", "2025-01-10"), record(input_, "2025-01-10", mode="landing"), table="d") == []


def test_only_the_days_wait_that_depend_on_it() -> None:
    asked = record("c", "2025-01-01..2025-01-31")
    assert now(asked, record("a", "2025-01-10"), table="c") == ["2025-01-01..2025-01-09", "2025-01-17..2025-01-31"]


def test_what_is_done_of_an_input_is_not_waited_for() -> None:
    half = record("a", "2025-01-10..2025-01-11", published="2025-01-10")
    assert now(record("b", "2025-01-10..2025-01-11"), half, table="b") == ["2025-01-10"]


def test_nobody_waits_for_a_reader() -> None:
    assert now(record("a", "2025-01-10"), record("d", "2025-01-10"), table="a") == ["2025-01-10"]


def test_nobody_waits_for_another_request_of_the_same_table() -> None:
    assert now(record("b", "2025-01-10"), record("b", "2025-01-10..2025-01-11"), table="b") == [
        "2025-01-10..2025-01-11"
    ]


@pytest.mark.parametrize(
    ("mode", "waits"),
    [
        ("cascade", True),
        ("daily", True),
        ("landing", False),
        ("manual", False),
        ("event", False),
        ("command", False),
        ("schema", False),
    ],
)
def test_a_request_waits_unless_somebody_asked_for_the_table_alone(mode: Mode, waits: bool) -> None:  # noqa: FBT001
    found = now(record("b", "2025-01-10", mode=mode), record("a", "2025-01-10", mode="landing"), table="b")
    assert found == ([] if waits else ["2025-01-10"])


@pytest.mark.parametrize(("other", "waits"), [("both.json", True), ("other.json", False), (None, False)])
def test_tables_asked_for_in_one_file_go_one_after_the_other(other: str | None, waits: bool) -> None:  # noqa: FBT001
    mine = record("b", "2025-01-10", mode="landing", file="both.json")
    theirs = record("a", "2025-01-10", mode="landing", file=other)
    assert now(mine, theirs, table="b") == ([] if waits else ["2025-01-10"])


def test_what_is_left_of_a_request_is_the_request_with_fewer_days() -> None:
    asked = record("b", "2025-01-09..2025-01-11", published="2025-01-09")
    [left] = runnable_records([asked], everything=[asked, record("a", "2025-01-10")], lineage=CHAIN)
    assert left == asked.model_copy(update={"days": Days.parse(["2025-01-09", "2025-01-11"])})


tables = st.sampled_from("abcd")
modes: st.SearchStrategy[Mode] = st.sampled_from(["daily", "landing", "cascade", "manual"])
some_days = st.frozensets(st.integers(5, 17).map(lambda n: date(2025, 1, n)), min_size=1, max_size=6)
files = st.sampled_from(["x.json", None])
requests = st.builds(
    lambda table, mode, days, file: record(table, *map(str, days), mode=mode, file=file),
    tables,
    modes,
    some_days,
    files,
)


@given(st.lists(requests, min_size=1, max_size=8))
def test_whatever_is_outstanding_something_can_be_done(found: list[Record]) -> None:
    records = [one.model_copy(update={"id": str(n)}) for n, one in enumerate(found)]
    rounds = 0
    while any(one.outstanding for one in records):
        done = {one.id: one.outstanding for one in runnable_records(records, everything=records, lineage=CHAIN)}
        assert done, "all wait for one another"
        records = [one.model_copy(update={"published": one.published | done.get(one.id, Days())}) for one in records]
        rounds += 1
    assert rounds <= 3, "one round for each level at most"
