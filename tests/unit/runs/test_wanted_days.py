"""Workers without a drop folder: they rewrite what was planned, and the requests say the same as of any other worker.

What people do meanwhile they see as far as the log tells it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import OperatorError
from reloads.outcome import Outcome
from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.control import retry_request
from reloads.requests.intake import collect_requests
from reloads.requests.record import Record
from reloads.requests.request import parse_request
from reloads.rewriting.stage import Stage, Staged
from reloads.runs.local_run import run_locally
from reloads.runs.small_run import begin_run
from reloads.runs.undo import undo_request
from reloads.runs.wanted_days import whom_to_ask
from reloads.tables.catalog import Catalog
from reloads.warehouse.partition_name import PartitionName
from tests.support.chain import NOW, Chain, JsonBatch, told

FIRST, LAST = "2025-01-01", "2025-01-04"
ALL = Days.parse([f"{FIRST}..{LAST}"])
MANY = "days_per_batch = 1\nmb_per_batch = 0\nparallelism = 4"
QUERY = "select day, amount from raw"
NO_2 = "create view no_2 as select day from new where amount = 2"


def rewrite(chain: Chain, batch: JsonBatch, run: str = "run") -> Outcome:
    """One try of a batch, with values that went through XCom."""
    [outcome] = chain.rewrite("a", [json.loads(json.dumps(batch))], run=run)
    return Outcome.model_validate(outcome)


# what is rewritten


def new_days(chain: Chain) -> None:
    chain.ask("a", FIRST, LAST)


def days_that_stay_the_same(chain: Chain) -> None:
    chain.ask("a", FIRST, LAST)
    chain.run("a")
    chain.deliver(LAST, 99)
    chain.ask("a", FIRST, LAST)


def a_day_that_fails(chain: Chain) -> None:
    chain.define("a", "select day, if(amount = 2, error('bad row'), amount) as amount from raw")
    chain.ask("a", FIRST, LAST)


def a_day_that_a_check_refuses(chain: Chain) -> None:
    (chain.settings.tables / "a" / "checks.sql").write_text(NO_2)
    chain.ask("a", FIRST, LAST)


def many_batches_and_requests(chain: Chain) -> None:
    chain.define("a", QUERY, MANY)
    chain.ask("a", FIRST, "2025-01-03")
    chain.ask("a", "2025-01-02", LAST, at=NOW + timedelta(seconds=1))


def a_day_without_raw_files(chain: Chain) -> None:
    (chain.settings.tables / "sources.toml").write_text('[amounts]\nfiles = "{day}.csv"\n')
    chain.define("a", "select day, amount from read_csv(getvariable('amounts'))")
    chain.ask("a", FIRST, LAST)


def a_broken_table(chain: Chain) -> None:
    chain.ask("a", FIRST, LAST)


SITUATIONS = [
    new_days,
    days_that_stay_the_same,
    a_day_that_fails,
    a_day_that_a_check_refuses,
    many_batches_and_requests,
    a_day_without_raw_files,
    a_broken_table,
]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_records_are_the_same_with_and_without_a_drop_folder(
    chain: Chain, tmp_path_factory: pytest.TempPathFactory, situation: Callable[[Chain], None]
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    # Raw files that were written a moment ago are taken for complete.
    rested = [
        replace(home, settings=home.settings.model_copy(update={"stable_seconds": 0.0}))
        for home in (chain, chain.copied(elsewhere / "home"))
    ]
    records: list[list[dict[str, Any]]] = []
    for home, worker in zip(rested, (rested[0], rested[1].away()), strict=True):
        situation(home)
        asked = [record.id for record in home.queue.accepted("a")]
        batches = home.plan("a")
        if situation is a_broken_table:
            (home.settings.tables / "a" / "query.sql").write_text("selec")
        if situation is a_day_without_raw_files:
            (home.settings.source / f"{LAST}.csv").unlink()
        outcomes = worker.rewrite("a", batches)
        if situation is a_broken_table:
            home.define("a", QUERY)
        home.settle("a", batches, outcomes)
        records.append([told(home.find_record(record_id)[1]) for record_id in asked])
        assert [home.find_record(name)[0] for name in asked]
    here, away = records
    assert here == away
    assert list(rested[0].files()) == list(rested[1].files())
    assert not rested[1].away().settings.landing.parent.exists()


# what people do meanwhile


def test_a_cancel_after_the_plan_comes_too_late_and_the_record_says_what_was_published(chain: Chain) -> None:
    record = chain.ask("a", FIRST, LAST)
    batches = chain.plan("a")
    chain.queue.cancel(record.id, now=NOW)
    chain.settle("a", batches, chain.away().rewrite("a", batches))
    state, record = chain.find_record(record.id)
    assert (state, record.published, record.cancelled) == ("done", ALL, Days())


def test_what_failed_of_a_request_that_was_cancelled_too_late_is_told_as_cancelled(chain: Chain) -> None:
    a_day_that_fails(chain)
    [record] = chain.queue.accepted("a")
    batches = chain.plan("a")
    chain.queue.cancel(record.id, now=NOW)
    chain.settle("a", batches, chain.away().rewrite("a", batches))
    state, record = chain.find_record(record.id)
    assert (state, record.published.texts()) == ("cancelled", [FIRST, f"2025-01-03..{LAST}"])
    assert (record.cancelled.texts(), record.failed) == (["2025-01-02"], ())


def test_a_cancel_before_the_plan_counts(chain: Chain) -> None:
    given_up, wanted = chain.ask("a", FIRST, LAST), chain.ask("a", "2025-01-03")
    chain.queue.cancel(given_up.id, now=NOW)
    batches = chain.plan("a")
    chain.settle("a", batches, chain.away().rewrite("a", batches))
    assert [chain.find_record(record.id)[0] for record in (given_up, wanted)] == ["cancelled", "done"]
    assert list(chain.files()) == ["a 2025-01-03"]


@pytest.fixture
def undone(chain: Chain) -> tuple[Chain, Record, list[JsonBatch]]:
    """A request of four batches, cancelled and undone once the first of them was published."""
    chain.define("a", QUERY, MANY)
    record = chain.ask("a", FIRST, LAST)
    batches = chain.plan("a")
    rewrite(chain.away(), batches[0])
    chain.queue.cancel(record.id, now=NOW)
    undo_request(chain.settings, record.id, force=False, now=NOW)
    assert chain.files() == {}
    return chain, record, batches


def test_what_was_taken_back_since_the_plan_is_not_published_again(
    undone: tuple[Chain, Record, list[JsonBatch]],
) -> None:
    chain, record, batches = undone
    # Airflow tries the first once more, and begins the others.
    outcomes = chain.away().rewrite("a", batches, run="run")
    assert chain.files() == {}
    chain.settle("a", batches, outcomes)
    state, record = chain.find_record(record.id)
    assert (state, record.cancelled, record.published) == ("cancelled", ALL, Days())


def test_what_was_taken_back_is_published_if_somebody_asks_again(
    undone: tuple[Chain, Record, list[JsonBatch]],
) -> None:
    chain, record, batches = undone
    chain.settle("a", batches, chain.away().rewrite("a", batches, run="run"))
    retry_request(chain.queue, record.id)
    collect_requests(
        chain.settings, Catalog.load(chain.settings.tables), clock=lambda: NOW, leave_out=leave_out_waiting
    )
    [again] = chain.queue.accepted("a")
    batches = chain.plan("a")
    chain.settle("a", batches, chain.away().rewrite("a", batches, run="again"))
    assert chain.find_record(again.id)[1].published == ALL
    assert len(chain.files()) == 4


def test_what_others_want_is_published_although_one_request_was_taken_back(chain: Chain) -> None:
    chain.define("a", QUERY, MANY)
    given_up, wanted = chain.ask("a", FIRST, LAST), chain.ask("a", "2025-01-03", LAST)
    batches = chain.plan("a")
    rewrite(chain.away(), batches[0])
    chain.queue.cancel(given_up.id, now=NOW)
    undo_request(chain.settings, given_up.id, force=False, now=NOW)
    chain.settle("a", batches, chain.away().rewrite("a", batches, run="run"))
    assert list(chain.files()) == ["a 2025-01-03", "a 2025-01-04"]
    assert chain.find_record(wanted.id)[1].published.texts() == [f"2025-01-03..{LAST}"]
    assert chain.find_record(given_up.id)[1].cancelled.texts() == [f"{FIRST}..2025-01-02"]


@pytest.fixture
def while_it_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], object]]]:
    """What somebody does once the next query has run and nothing of it is published."""
    acts: list[Callable[[], object]] = []
    write = Stage.write

    def write_and_be_overtaken(stage: Stage, days: Days) -> dict[PartitionName, Staged]:
        staged = write(stage, days)
        if acts:
            acts.pop()()
        return staged

    monkeypatch.setattr(Stage, "write", write_and_be_overtaken)
    yield acts
    assert acts == []


def test_what_another_run_published_meanwhile_is_left_to_the_next_try(
    chain: Chain, while_it_writes: list[Callable[[], object]]
) -> None:
    chain.define("a", "select day, amount * getvariable('factor') as amount from raw", FACTOR)
    chain.ask("a", FIRST, LAST, parameters={"factor": 10})
    [batch] = chain.plan("a")
    later = Batch.from_json(batch | {"requests": {}, "parameters": {"factor": 20}}).to_json()
    while_it_writes.append(lambda: rewrite(chain, later, run="another run"))
    outcome = rewrite(chain.away(), batch)
    [failure] = outcome.failed
    assert (failure.days, failure.transient, failure.superseded) == (ALL, True, True)
    with pytest.raises(OperatorError):
        outcome.raise_failures()
    twenty = chain.files()

    assert rewrite(chain.away(), batch).published == ALL, "Airflow tries only the one that counts once more"
    assert chain.files().keys() == twenty.keys()
    assert chain.files() != twenty


FACTOR = "[parameters.factor]\ntype = 'integer'\ndefault = 1"


def test_days_that_nobody_else_published_may_be_rewritten_once_more(chain: Chain) -> None:
    chain.define("a", QUERY, MANY)
    chain.ask("a", FIRST, LAST)
    batches = chain.plan("a")
    batch = Batch.from_json(batches[0])
    wanted = whom_to_ask(chain.away().settings, "a", batch)
    rewrite(chain, batches[1], run="another run")
    assert wanted.find_open(batch) == batch.days
    rewrite(chain, batches[0], run="another run")
    assert wanted.find_open(batch) == Days()
    assert whom_to_ask(chain.away().settings, "a", batch).find_open(batch) == batch.days, "another try"


# where the drop folder should be


@pytest.mark.parametrize(
    ("leave", "fault"),
    [
        pytest.param(lambda landing: landing.rename(landing.with_name("away")), "cannot be read", id="missing"),
        pytest.param(
            lambda landing: (landing.rename(landing.with_name("away")), landing.mkdir()), "is empty", id="empty"
        ),
    ],
)
def test_a_drop_folder_that_is_not_mounted_fails_the_batch_and_may_be_there_the_next_time(
    chain: Chain, leave: Callable[[Path], object], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    chain.ask("a", FIRST, LAST)
    [batch] = chain.plan("a")
    leave(chain.settings.landing)
    outcome = rewrite(chain, batch)
    [failure] = outcome.failed
    assert (failure.days, failure.transient, outcome.published) == (ALL, True, Days())
    assert failure.error.startswith(f"the drop folder {chain.settings.landing} {fault}")
    assert failure.error.endswith("; mount it, or set RELOADS_SEES_LANDING=false on a worker that has none")
    assert [one.levelno for one in caplog.records if fault in one.getMessage()] == [logging.ERROR]
    assert chain.files() == {}


def test_whoever_needs_the_drop_folder_refuses_to_work_without_it(chain: Chain) -> None:
    settings, catalog = chain.away().settings, Catalog.load(chain.settings.tables)
    request = parse_request({"table": "a", "start_date": FIRST})
    for act in (
        lambda: begin_run(settings, catalog, "a", run="run", clock=lambda: NOW),
        lambda: chain.away().settle("a", [], []),
        lambda: collect_requests(settings, catalog, clock=lambda: NOW, leave_out=leave_out_waiting),
        lambda: run_locally(settings, request, clock=lambda: NOW),
        lambda: undo_request(settings, "a", force=False, now=NOW),
    ):
        with pytest.raises(OperatorError, match="RELOADS_SEES_LANDING=false says that this machine has no drop folder"):
            act()
