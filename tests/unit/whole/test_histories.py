"""Short histories of which the model once thought wrongly, and said so of a product that was right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reloads.requests.record import Record
from reloads.requests.record_file import order_by_age
from tests.unit.whole.definitions import DAYS
from tests.unit.whole.test_whole import Whole

FOURTH, FIFTH = DAYS[3], DAYS[4]


@contextmanager
def told_to_the_end() -> Iterator[Whole]:
    """A history that a test begins; what is left of it is done then, and looked at."""
    whole = Whole()
    try:
        yield whole
    finally:
        whole.teardown()


def request(table: str, day: int, **fields: object) -> dict[str, object]:
    text = str(DAYS[day - 1])
    return {"table": [table], "start_date": text, "end_date": text, "only": "all", "cascade": True, **fields}


def records_of(history: Whole, table: str) -> list[Record]:
    """The records of a table in the order in which they were accepted."""
    records = [record for record in history.world.records().values() if record.table == table]
    return sorted(records, key=order_by_age)


@pytest.mark.parametrize("kill", range(9, 14))
def test_a_command_completes_nothing_of_a_table_of_which_it_rewrites_nothing(kill: int) -> None:
    with told_to_the_end() as history:
        history.load(first=FOURTH, last=FIFTH)
        [undone] = records_of(history, "week")
        history.undo_record(undone, force=False, kill=kill)
        history.run_locally(request=request("base", 2, cascade=False), kill=None)


def test_a_forced_undo_takes_back_who_brought_the_day_whole_since() -> None:
    with told_to_the_end() as history:
        history.load(first=FIFTH, last=FIFTH)
        [first] = records_of(history, "keyed")
        history.reload(request=request("keyed", 5, parameters={"mul": 2}), kill=None, killed_step="plan")
        history.undo_record(first, force=True, kill=None)


@pytest.mark.parametrize("kill", range(21, 26))
def test_an_undo_brings_back_what_an_undo_committed_that_was_killed(kill: int) -> None:
    with told_to_the_end() as history:
        history.load(first=FOURTH, last=FIFTH)
        history.correct(day=FOURTH, rows=(("a", 5),), cascade=True)
        history.correct(day=FIFTH, rows=(("a", 7),), cascade=True)
        history.drain()
        first, second = records_of(history, "week")
        history.undo_record(second, force=False, kill=kill)
        history.undo_record(first, force=True, kill=2, is_repeated=True)
        history.undo_record(records_of(history, "week")[-1], force=False, kill=None)


@pytest.mark.parametrize("kill", range(22, 27))
def test_an_undo_that_completes_what_a_command_committed_does_not_make_downstream_tables_follow(kill: int) -> None:
    with told_to_the_end() as history:
        history.load(first=FOURTH, last=FOURTH)
        [first] = records_of(history, "base")
        history.run_locally(request=request("base", 5, cascade=False), kill=kill)
        history.undo_record(first, force=False, kill=None)


def test_a_key_comes_out_though_another_one_might_be_refused_with_its_parameters() -> None:
    with told_to_the_end() as history:
        history.load(first=FOURTH, last=FOURTH)
        history.lose_bookkeeping()
        keyed = request("keyed", 4, keys={"k": ["a"]}, parameters={"mul": 10})
        history.reload(request=keyed, kill=None, killed_step="plan")
        history.correct(day=FOURTH, rows=(("b", 7),), cascade=True)
