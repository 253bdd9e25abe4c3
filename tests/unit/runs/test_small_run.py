"""A run of one batch ends where it is planned: with the records of a run of three tasks, wherever it is killed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from reloads.requests.batch_notes import open_runs, read_begun_batches
from reloads.requests.record import Record
from reloads.runs.settle_step import settle_batches
from reloads.runs.small_run import BegunRun, begin_run
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog
from tests.support.chain import NOW, Chain, told
from tests.support.process_kill import Killed, killed_after

RUN = "run/small"
FIRST, LAST = "2025-01-04", "2025-01-06"
NO_99 = "create view no_99 as select day from new where amount = 99 and day = date '2025-01-05'"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Three days of a and of b are published, and those of a corrected."""
    chain = Chain.at(tmp_path / "home")
    chain.ask("a", FIRST, LAST)
    chain.work_off("a", "b")
    for day in ("2025-01-04", "2025-01-05", "2025-01-06"):
        chain.deliver(day, 99)
    return chain


def begin(chain: Chain, table: str = "a", *, may_end: bool = True, run: str = RUN) -> BegunRun:
    """The first task of a run."""
    catalog = Catalog.load(chain.settings.tables)
    return begin_run(chain.settings, catalog, table, run=run, clock=lambda: NOW, may_end=may_end)


def of_request(chain: Chain, asked: Record) -> Record:
    """The record of the request now."""
    record = chain.queue.get(asked.id)
    assert record
    return record


def children(chain: Chain) -> list[tuple[str, list[str]]]:
    """What downstream tables are asked for."""
    open_records = [record for record in chain.queue.records("accepted") if record.mode == "cascade"]
    return sorted((record.table, record.outstanding.texts()) for record in open_records)


def test_a_run_of_one_batch_does_what_three_tasks_do(chain: Chain, tmp_path: Path) -> None:
    other = chain.copied(tmp_path / "other")
    asked, asked_there = chain.ask("a", FIRST, LAST), other.ask("a", FIRST, LAST)
    begun, settled = begin(chain), other.run("a")

    assert begun.settled
    assert begun.settled.published == settled.published == asked.days
    assert [each.table for each in begun.settled.announce] == [each.table for each in settled.announce]
    assert told(of_request(chain, asked)) == told(of_request(other, asked_there))
    assert children(chain) == children(other) != []
    assert of_request(chain, asked).runs == (RUN,)
    assert read_begun_batches(chain.settings.landing, "a", run=RUN) == []


def test_a_run_with_nothing_to_do_ends_at_once(chain: Chain) -> None:
    begun = begin(chain, "d")
    assert begun.settled
    assert (begun.batches, begun.outcome, begun.tasks()) == ((), None, [])


def test_several_batches_are_left_to_tasks_of_their_own(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", "days_per_batch = 10\nmb_per_batch = 0")
    asked = chain.ask("a", "2025-01-01", "2025-01-31")
    begun = begin(chain)
    assert len(begun.batches) > 1
    assert (begun.outcome, begun.settled) == (None, None)
    assert begun.tasks() == [batch.to_json() for batch in begun.batches]
    assert of_request(chain, asked).outstanding == asked.days


def test_a_plan_that_is_killed_once_it_is_noted_is_not_made_anew(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", "days_per_batch = 10\nmb_per_batch = 0")
    chain.ask("a", "2025-01-01", "2025-01-31")
    planned = begin(chain).batches
    assert len(planned) > 1
    # As a worker does it that sees no drop folder.
    chain.away().rewrite("a", [planned[0].to_json()], run=RUN)
    chain.ask("a", "2025-01-05")
    assert begin(chain).batches == planned
    assert begin(chain, run="run/other").batches != planned


def test_a_run_is_open_from_its_plan_until_it_has_settled(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", "days_per_batch = 10\nmb_per_batch = 0")
    chain.ask("a", "2025-01-01", "2025-01-31")
    batches = [batch.to_json() for batch in begin(chain).batches]
    assert open_runs(chain.settings.landing, "a", now=datetime.now(UTC)) == {RUN}
    outcomes = chain.away().rewrite("a", batches, run=RUN)
    assert open_runs(chain.settings.landing, "a", now=datetime.now(UTC)) == {RUN}
    settle_batches(chain.settings, open_catalog(chain.settings), "a", batches, outcomes, run=RUN, now=NOW)
    assert open_runs(chain.settings.landing, "a", now=datetime.now(UTC)) == set()
    assert list((chain.settings.landing / ".progress/a").iterdir()) == []


@pytest.mark.parametrize("of_all", [False, True], ids=["its own queue", "that of all rewrites"])
def test_a_table_with_a_queue_is_left_to_the_workers_of_that(chain: Chain, *, of_all: bool) -> None:
    toml = "" if of_all else 'queue = "workers"'
    chain.define("a", "select day, amount from raw", toml)
    home = replace(chain, settings=chain.settings.model_copy(update={"queue": "workers" if of_all else ""}))
    asked = chain.ask("a", FIRST, LAST)
    begun = begin(home)
    assert (len(begun.batches), begun.outcome, begun.settled) == (1, None, None)
    assert of_request(chain, asked).outstanding == asked.days
    outcomes = chain.away().rewrite("a", begun.tasks(), run=RUN)
    chain.settle("a", begun.tasks(), outcomes)
    assert of_request(chain, asked).published == asked.days
    assert begin(home, run="run/next").settled, "what has nothing to rewrite ends at once"


def test_a_run_that_has_to_turn_red_is_left_to_its_tasks(chain: Chain) -> None:
    asked = chain.ask("a", FIRST, LAST)
    begun = begin(chain, may_end=False)
    assert (len(begun.batches), begun.outcome, begun.settled) == (1, None, None)
    assert of_request(chain, asked).outstanding == asked.days


def test_a_batch_that_cannot_succeed_is_handed_on_with_what_came_of_it(chain: Chain) -> None:
    (chain.settings.tables / "a" / "checks.sql").write_text(NO_99)
    asked = chain.ask("a", FIRST, LAST)
    begun = begin(chain)
    assert begun.settled is None
    assert begun.outcome
    assert begun.outcome.published.texts() == ["2025-01-04", "2025-01-06"]
    [task] = begun.tasks()
    assert task["tried"] == begun.outcome.to_json()

    chain.settle("a", [task], [task["tried"]])
    record = of_request(chain, asked)
    assert record.published.texts() == ["2025-01-04", "2025-01-06"]
    assert record.failed_days.texts() == ["2025-01-05"]


def test_a_batch_that_may_succeed_the_next_time_is_tried_again_for_the_same_request(chain: Chain) -> None:
    asked = chain.ask("a", FIRST, LAST)
    warehouse = chain.settings.warehouse / "a" / "day=2025-01-05"
    # A file lies where the folder of the day belongs.
    kept = warehouse.rename(warehouse.with_name("kept"))
    warehouse.write_text("")
    begun = begin(chain)
    [task] = begun.tasks()
    assert begun.outcome
    assert begun.outcome.failed
    assert "tried" not in task

    warehouse.unlink()
    kept.rename(warehouse)
    chain.settle("a", [task], chain.rewrite("a", [task], run=RUN))
    assert of_request(chain, asked).published == asked.days, "also those that the first try published"


def test_wherever_it_is_killed_the_next_try_ends_with_the_same_record(chain: Chain, tmp_path: Path) -> None:
    whole = chain.copied(tmp_path / "whole")
    asked_there = whole.ask("a", FIRST, LAST)
    assert begin(whole).settled
    expected = told(of_request(whole, asked_there))
    assert expected["published"] == ["2025-01-04..2025-01-06"]

    for steps in count():
        home = chain.copied(tmp_path / str(steps))
        asked = home.ask("a", FIRST, LAST)
        try:
            with killed_after(steps, home.settings.home):
                begin(home)
        except Killed:
            begin(home)
        else:
            break
        assert told(of_request(home, asked)) == expected, f"killed after {steps} steps"
        assert children(home) == children(whole), f"killed after {steps} steps"
    assert steps > 20, "it was killed in the middle, too"


def test_if_every_try_is_killed_the_batch_is_settled_as_failed(chain: Chain) -> None:
    asked = chain.ask("a", FIRST, LAST)
    for steps in count():
        with pytest.raises(Killed), killed_after(steps, chain.settings.home):
            begin(chain)
        if begun := read_begun_batches(chain.settings.landing, "a", run=RUN):
            break
    chain.settle("a", [batch.to_json() for batch in begun], [])
    record = of_request(chain, asked)
    assert record.failed_days == asked.days
    assert "killed" in record.failed[0].error
