"""One batch of a run: what nobody wants any more is not begun, and whatever goes wrong stands in the outcome."""

from __future__ import annotations

import json
import logging
import venv
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet
import pytest

from reloads.days import Days
from reloads.errors import OperatorError, QueryError
from reloads.outcome import Failure, Outcome
from reloads.requests import batch_notes
from reloads.requests.progress import with_progress
from reloads.requests.record import Progress
from reloads.rewriting import publication
from reloads.rewriting import rewrite as rewrite_module
from reloads.rewriting.stage import Stage, Staged
from reloads.rewriting.virtual_environment import VirtualEnvironment
from reloads.runs import rewrite_step
from reloads.runs.rewrite_step import run_batch
from reloads.warehouse.partition_name import PartitionName
from tests.support.chain import NOW, Chain, JsonBatch
from tests.support.process_kill import Killed, killed_after

DAYS = ("2025-01-01", "2025-01-04")


def rewrite(chain: Chain, batch: JsonBatch) -> Outcome:
    return run_batch(chain.settings, "a", json.loads(json.dumps(batch)), run="run", now=NOW)


def names(chain: Chain) -> list[str]:
    return list(chain.files())


# what is rewritten


def test_a_batch_publishes_its_days_and_tells_its_number(chain: Chain) -> None:
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    outcome = rewrite(chain, batch | {"number": 7})
    assert (outcome.published.texts(), outcome.batch, outcome.failed) == (["2025-01-01..2025-01-04"], 7, ())
    assert names(chain) == [f"a 2025-01-0{day}" for day in range(1, 5)]


def test_its_parameters_and_keys_are_those_of_the_plan(chain: Chain) -> None:
    query = "select day, shop, amount * getvariable('factor') as amount from raw, (values ('n'), ('s')) as s(shop)"
    chain.define("a", query, "keys = ['shop']\n[parameters.factor]\ntype = 'integer'\ndefault = 1\n")
    chain.ask("a", "2025-01-03", keys={"shop": ["n"]}, parameters={"factor": 100})
    [batch] = chain.plan("a")
    rewrite(chain, batch)
    [file] = chain.settings.warehouse.glob("a/**/data.parquet")
    assert file.parent.name == "shop=n"
    assert pyarrow.parquet.ParquetFile(file).read().to_pydict() == {"amount": [300]}


def test_a_batch_that_is_tried_again_counts_what_its_run_published_before(chain: Chain) -> None:
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    first, second = rewrite(chain, batch), rewrite(chain, batch)
    assert first.published == second.published


def test_a_batch_of_another_run_finds_it_unchanged(chain: Chain) -> None:
    chain.ask("a", *DAYS)
    batches = chain.plan("a")
    chain.rewrite("a", batches)
    [outcome] = map(Outcome.model_validate, chain.rewrite("a", batches))
    assert (outcome.published.texts(), outcome.unchanged.texts()) == ([], ["2025-01-01..2025-01-04"])


@pytest.mark.parametrize(("threads", "memory_mb"), [(1, 300), (3, 900)])
def test_a_batch_has_the_threads_and_the_memory_of_the_machine_that_rewrites_it(
    chain: Chain, threads: int, memory_mb: int
) -> None:
    chain.define("a", "select day, current_setting('threads') as t, current_setting('memory_limit') as m from raw")
    chain.ask("a", "2025-01-03")
    [batch] = chain.plan("a")
    away = chain.away().settings.model_copy(update={"threads": threads, "memory_mb": memory_mb, "tasks_at_once": 1})
    run_batch(away, "a", json.loads(json.dumps(batch)), run="run", now=NOW)
    [file] = chain.settings.warehouse.glob("a/**/data.parquet")
    [row] = pyarrow.parquet.ParquetFile(file).read().to_pylist()
    assert (row["t"], row["m"]) == (threads, {300: "286.1 MiB", 900: "858.3 MiB"}[memory_mb])


# what was cancelled


def test_a_batch_whose_requests_were_all_cancelled_is_not_begun(chain: Chain) -> None:
    record = chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    chain.queue.cancel(record.id, now=NOW)
    outcome = rewrite(chain, batch)
    assert (outcome.cancelled.texts(), outcome.published.texts()) == (["2025-01-01..2025-01-04"], [])
    assert not (chain.settings.warehouse / "a").exists()


def test_what_is_cancelled_while_a_batch_runs_is_not_published(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = chain.ask("a", *DAYS)
    wanted = chain.ask("a", "2025-01-03", "2025-01-03")
    [batch] = chain.plan("a")
    write = Stage.write

    def write_while_somebody_cancels(stage: Stage, days: Days) -> dict[PartitionName, Staged]:
        staged = write(stage, days)
        chain.queue.cancel(given_up.id, now=NOW)
        return staged

    monkeypatch.setattr(Stage, "write", write_while_somebody_cancels)
    outcome = rewrite(chain, batch)
    assert outcome.cancelled.texts() == ["2025-01-01..2025-01-02", "2025-01-04"]
    assert outcome.published.texts() == ["2025-01-03"]
    assert [path.name for path in (chain.settings.warehouse / "a").iterdir()] == ["day=2025-01-03"]
    chain.settle("a", [batch], [outcome.to_json()])
    assert [chain.find_record(record.id)[0] for record in (given_up, wanted)] == ["cancelled", "done"]
    record = chain.find_record(given_up.id)[1]
    assert (record.published.texts(), record.cancelled.texts()) == (
        ["2025-01-03"],
        ["2025-01-01..2025-01-02", "2025-01-04"],
    )


def test_what_was_cancelled_of_a_request_that_failed_in_part_is_not_begun(chain: Chain) -> None:
    record = chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    failure = Failure(days=Days.parse(["2025-01-01"]), error="bad row")
    chain.queue.settle(record.id, Outcome(failed=(failure,)), run="the run before", now=NOW)
    chain.queue.cancel(record.id, now=NOW)
    assert chain.find_record(record.id)[0] == "failed"
    outcome = rewrite(chain, batch)
    assert outcome.cancelled.texts() == ["2025-01-02..2025-01-04"]
    assert names(chain) == ["a 2025-01-01"]


def test_days_that_another_request_wants_are_rewritten_all_the_same(chain: Chain) -> None:
    cancelled = chain.ask("a", *DAYS)
    chain.ask("a", "2025-01-03")
    [batch] = chain.plan("a")
    chain.queue.cancel(cancelled.id, now=NOW)
    outcome = rewrite(chain, batch)
    assert outcome.cancelled.texts() == ["2025-01-01..2025-01-02", "2025-01-04"]
    assert names(chain) == ["a 2025-01-03"]


@pytest.mark.parametrize("end", ["done", "failed"])
def test_a_request_that_ended_otherwise_gives_up_nothing(chain: Chain, end: str) -> None:
    # A cleared task of an old run.
    record = chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    (chain.settings.landing / "accepted" / f"{record.id}.json").rename(
        chain.queue.folder("done" if end == "done" else "failed") / f"{record.id}.json"
    )
    assert rewrite(chain, batch).cancelled.texts() == []


# what it says while it works


def add_progress(chain: Chain) -> dict[str, Progress | None]:
    """What the open records say now, by table and first day."""
    records = with_progress(chain.settings.landing, chain.queue.records("accepted"), now=datetime.now(UTC))
    return {str(record.days.ranges[0].first): record.progress for record in records}


@pytest.fixture
def seen(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Progress | None]]:
    """What the records said each time a batch was about to publish."""
    seen: list[dict[str, Progress | None]] = []
    build = publication.build_publication

    def look_and_build(*arguments: Any) -> Any:
        seen.append(add_progress(chain))
        return build(*arguments)

    monkeypatch.setattr(rewrite_module, "build_publication", look_and_build)
    monkeypatch.setattr(batch_notes, "WRITE_EVERY_SECONDS", 0)
    return seen


def test_each_request_of_a_batch_says_how_many_of_its_days_are_staged(
    chain: Chain, seen: list[dict[str, Progress | None]]
) -> None:
    chain.ask("a", *DAYS)
    chain.ask("a", "2025-01-03", "2025-01-05")
    chain.ask("a", "2025-01-20", "2025-01-21")
    chain.define("a", "select day, amount from raw", "days_per_batch = 1\nmb_per_batch = 0\nparallelism = 1")
    [batch] = chain.plan("a")
    rewrite(chain, batch)
    [progress] = seen
    assert {first: each and (each.days, each.staged, each.rows, each.step) for first, each in progress.items()} == {
        "2025-01-01": (4, 4, 4, "publishing"),
        "2025-01-03": (3, 3, 3, "publishing"),
        "2025-01-20": (2, 2, 2, "publishing"),
    }


def test_batches_of_one_request_add_up_until_their_run_is_settled(
    chain: Chain, seen: list[dict[str, Progress | None]]
) -> None:
    record = chain.ask("a", *DAYS)
    chain.define("a", "select day, amount from raw", "days_per_batch = 1\nmb_per_batch = 0\nparallelism = 2")
    batches = chain.plan("a")
    outcomes = chain.rewrite("a", batches, run="run")
    staged = [each["2025-01-01"] for each in seen]
    assert [(each.days, each.staged) for each in staged if each] == [(2, 2), (4, 4)]
    assert add_progress(chain)["2025-01-01"]
    chain.settle("a", batches, outcomes)
    assert list((chain.settings.landing / ".progress/a").iterdir()) == []
    assert chain.find_record(record.id)[0] == "done"


def test_a_day_that_fails_is_not_staged_and_the_others_stay_so(
    chain: Chain, seen: list[dict[str, Progress | None]]
) -> None:
    chain.define("a", "select day, if(amount = 2, error('bad row'), amount) as amount from raw")
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    rewrite(chain, batch)
    assert [(each.days, each.staged, each.rows) for one in seen if (each := one["2025-01-01"])] == [
        (4, 1, 1),
        (4, 3, 3),
    ]
    last = add_progress(chain)["2025-01-01"]
    assert last
    assert (last.staged, last.step) == (3, "done")


def test_a_day_that_is_written_and_then_refused_by_the_database_is_not_staged(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", "[checks.bad]\nseverity = 'error'")
    check = "create view bad as select day from new where if(amount = 4, error('bad check'), false);\n"
    (chain.settings.tables / "a" / "checks.sql").write_text(check)
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    assert rewrite(chain, batch).failed[0].days.texts() == ["2025-01-04"]
    last = add_progress(chain)["2025-01-01"]
    assert last
    assert (last.staged, last.rows) == (3, 3)


@pytest.mark.parametrize("steps", [5, 8, 12, 16, 20])
def test_a_batch_that_was_killed_leaves_nobody_running(chain: Chain, steps: int) -> None:
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    with pytest.raises(Killed), killed_after(steps, chain.settings.home):
        rewrite(chain, batch)
    assert list((chain.settings.landing / ".progress/a").glob("*.batch")) != []
    assert add_progress(chain) == {"2025-01-01": None}
    chain.plan("a")
    assert list((chain.settings.landing / ".progress/a").glob("*.batch")) == []


def test_a_batch_whose_progress_cannot_be_written_is_published_all_the_same(chain: Chain) -> None:
    (chain.settings.landing / ".progress").touch()
    chain.ask("a", *DAYS)
    assert chain.run("a").published.texts() == ["2025-01-01..2025-01-04"]


# what goes wrong


def test_a_day_that_fails_is_in_the_outcome_and_in_the_log(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    chain.define("a", "select day, if(amount = 2, error('bad row'), amount) as amount from raw")
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    outcome = rewrite(chain, batch)
    [failure] = outcome.failed
    assert (failure.days.texts(), failure.transient) == (["2025-01-02"], False)
    assert outcome.published.texts() == ["2025-01-01", "2025-01-03..2025-01-04"]
    [line] = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert line.startswith("a: 2025-01-02 kept the published files: ")
    assert "bad row" in line


def test_a_table_that_was_broken_meanwhile_postpones_the_batch_and_says_why(chain: Chain) -> None:
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    (chain.settings.tables / "a" / "query.sql").write_text("selec")
    outcome = rewrite(chain, batch)
    [reason] = outcome.postponed
    assert (reason.days.texts(), outcome.failed) == (["2025-01-01..2025-01-04"], ())
    assert "tables/a/query.sql does not parse" in reason.why
    with pytest.raises(OperatorError, match=r"2025-01-01\.\.2025-01-04 wait: .*does not parse"):
        outcome.raise_failures()


def test_an_environment_that_cannot_be_made_fails_the_batch_and_may_be_tried_again(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", 'requirements = ["nothing-like-it @ file:///nowhere"]')
    chain.settings.environments.parent.mkdir(exist_ok=True)
    chain.settings.environments.touch()
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    [failure] = rewrite(chain, batch).failed
    assert (failure.days.texts(), failure.transient) == (["2025-01-01..2025-01-04"], True)
    assert "cannot be written" in failure.error


ENDLESS = "(select count(*) from range(100000000) a, range(1000000) b where (a.range * b.range) % 7 = 3)"
"""A value that takes days."""


def test_a_batch_that_takes_longer_than_its_table_allows_fails_and_is_not_tried_again(chain: Chain) -> None:
    chain.define("a", f"select day, amount, {ENDLESS} as x from raw", "batch_minutes = 0.005")
    record = chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    assert batch["minutes"] == 0.005
    outcome = rewrite(chain, batch)
    with pytest.raises(QueryError, match=r"kept the published files: the batch took longer than 0\.005 minutes"):
        outcome.raise_failures()
    chain.settle("a", [batch], [outcome.to_json()])
    state, record = chain.find_record(record.id)
    assert (state, record.failed_days.texts()) == ("failed", ["2025-01-01..2025-01-04"])
    assert record.failed[0].error == (
        "the batch took longer than 0.005 minutes; ask for fewer days at once, "
        "or raise batch_minutes in tables/a/table.toml"
    )
    assert names(chain) == []
    assert list((chain.settings.warehouse / ".staging").iterdir()) == []


def test_an_environment_that_hangs_is_ended_a_while_after_the_time_is_over(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What Python itself imports before all else never comes to an end there.
    requirements = ["hanging"]
    environment = VirtualEnvironment.of(requirements, folder=chain.settings.environments)
    venv.create(environment.home, symlinks=True)
    (environment.packages / "sitecustomize.py").write_text("import signal\nsignal.pause()\n")
    environment.complete.touch()
    monkeypatch.setattr(rewrite_step, "HANGING_SECONDS", 0.5)
    toml = f"requirements = {json.dumps(requirements)}\nbatch_minutes = 0.001"
    chain.define("a", "select day, amount from raw", toml)
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    [failure] = rewrite(chain, batch).failed
    assert (failure.days.texts(), failure.transient) == (["2025-01-01..2025-01-04"], False)
    assert failure.error.startswith("the batch took longer than 0.001 minutes; ")


@pytest.mark.parametrize(("severity", "level"), [("error", logging.ERROR), ("warn", logging.WARNING)])
def test_what_a_check_found_is_logged_by_its_severity(
    chain: Chain, severity: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    chain.define("a", "select day, amount from raw", f"[checks.positive]\nseverity = '{severity}'\n")
    (chain.settings.tables / "a" / "checks.sql").write_text(
        "create view positive as select day from new where amount = 2;\n"
    )
    chain.ask("a", *DAYS)
    [batch] = chain.plan("a")
    rewrite(chain, batch)
    found = [one.levelno for one in caplog.records if "the check positive of 2025-01-02" in one.getMessage()]
    assert found[0] == level
