"""A run of a table: what is planned, what is written down, and that each step can be run twice."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet
import pytest

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Outcome
from reloads.requests.conversion import new_record
from reloads.requests.queue import Queue, State
from reloads.requests.record import Mode, Record
from reloads.requests.request import ReloadRequest
from reloads.requests.watermark import write_watermark
from reloads.runs import plan_step
from reloads.runs.pace import read_pace
from reloads.runs.plan_step import plan_batches
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import Settled, settle_batches
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.staging import staging_folder
from reloads.warehouse.upgrade import open_catalog
from tests.conftest import THREE_ROWS_A_DAY
from tests.support.chain import Chain

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
DefineTable = Callable[..., Path]
JsonBatch = dict[str, object]


class Run:
    """The steps of the consumer DAG, called as its tasks call them: with values that went through XCom."""

    def __init__(self, settings: Settings, table: str = "sales", run: str = "run/1") -> None:
        self.settings, self.table, self.run = settings, table, run

    def plan(self) -> list[JsonBatch]:
        return [
            batch.to_json()
            for batch in plan_batches(self.settings, Catalog.load(self.settings.tables), self.table, now=NOW)
        ]

    def rewrite(self, batch: JsonBatch) -> JsonBatch:
        return run_batch(self.settings, self.table, batch, run=self.run, now=NOW).to_json()

    def settle(self, batches: list[JsonBatch], outcomes: list[JsonBatch]) -> Settled:
        return settle_batches(
            self.settings, open_catalog(self.settings), self.table, batches, outcomes, run=self.run, now=NOW
        )

    def whole(self) -> Settled:
        batches = self.plan()
        return self.settle(batches, [self.rewrite(batch) for batch in batches])


@pytest.fixture
def run(sales_settings: Settings) -> Run:
    """Runs on a machine for two tasks at once."""
    return Run(sales_settings.model_copy(update={"threads": 2, "tasks_at_once": 2, "memory_mb": 1024}))


def accept(
    queue: Queue, first: str, last: str | None = None, *, table: str = "sales", mode: Mode = "landing"
) -> Record:
    request = ReloadRequest.model_validate({"table": table, "start_date": first, "end_date": last or first})
    number = sum(len(queue.records(state)) for state in ("accepted", "done", "failed"))
    record = new_record(request, table, mode=mode, origin=f"test {number}", now=NOW)
    assert queue.add(record)
    return record


def states(queue: Queue) -> dict[str, State]:
    found: tuple[State, ...] = ("accepted", "done", "failed", "cancelled")
    return {record.id: state for state in found for record in queue.records(state)}


def the(queue: Queue, record: Record) -> Record:
    return next(
        r for state in ("accepted", "done", "failed", "cancelled") for r in queue.records(state) if r.id == record.id
    )


def days(*texts: str) -> Days:
    return Days.parse(texts)


def planned(batches: list[JsonBatch]) -> list[Days]:
    return [Batch.from_json(batch).days for batch in batches]


# plan


def test_without_requests_there_is_nothing_to_do(run: Run) -> None:
    assert run.plan() == []
    assert run.settle([], []) == Settled("sales", Days(), (), ())


def test_a_request_is_cut_into_as_many_batches_as_run_at_once(queue: Queue, run: Run) -> None:
    accept(queue, "2025-01-01", "2025-03-31")
    assert planned(run.plan()) == [days("2025-01-01..2025-02-14"), days("2025-02-15..2025-03-31")]


def test_a_month_is_not_worth_two_tasks(queue: Queue, run: Run) -> None:
    accept(queue, "2025-01-01", "2025-01-31")
    assert planned(run.plan()) == [days("2025-01-01..2025-01-31")]


def on_machines(run: Run, workers: int) -> Run:
    return Run(run.settings.model_copy(update={"workers": workers}))


def test_for_several_machines_a_request_is_cut_into_ever_shorter_batches(queue: Queue, run: Run) -> None:
    accept(queue, "2024-01-01", "2024-12-31")
    assert [len(each) for each in planned(on_machines(run, 2).plan())] == [46, 46, 46, 46, 31, 31, 31, 31, 31, 27]


def test_the_last_batch_is_as_short_as_is_worth_a_task_by_how_long_the_days_took_last(queue: Queue, run: Run) -> None:
    fleet = on_machines(run, 2)
    for pace, shortest in (("4.0", 5), ("60", 1), ("0.01", 366), ("nan", 31), ("-1", 31), ("often", 31)):
        write_watermark(queue.landing, "pace", "sales", pace)
        accept(queue, "2024-01-01", "2024-12-31")
        lengths = [len(each) for each in planned(fleet.plan())]
        assert all(length >= shortest for length in lengths[:-1])
        assert min(lengths) <= shortest


def test_on_one_machine_the_pace_changes_nothing(queue: Queue, run: Run) -> None:
    accept(queue, "2024-01-01", "2024-12-31")
    before = run.plan()
    write_watermark(queue.landing, "pace", "sales", "60")
    assert [batch["days"] for batch in run.plan()] == [batch["days"] for batch in before]
    assert len(before) == 2


def test_a_run_on_several_machines_notes_how_long_a_day_took(queue: Queue, run: Run) -> None:
    accept(queue, "2025-01-01", "2025-01-04")
    run.whole()
    assert read_pace(queue.landing, "sales") is None
    accept(queue, "2025-01-01", "2025-01-04")
    fleet = on_machines(run, 2)
    batches = fleet.plan()
    [outcome] = [fleet.rewrite(batch) for batch in batches]
    fleet.settle(batches, [outcome | {"seconds": 10.0}])
    assert read_pace(queue.landing, "sales") == 2.5
    fleet.settle([], [])
    assert read_pace(queue.landing, "sales") == 2.5, "a run that rewrote nothing says nothing"


def test_a_table_may_ask_for_fewer_batches_at_once_than_all_machines_do(
    queue: Queue, run: Run, define: DefineTable
) -> None:
    define("sales", THREE_ROWS_A_DAY, "parallelism = 1")
    accept(queue, "2024-01-01", "2024-12-31")
    assert [len(each) for each in planned(on_machines(run, 8).plan())][:2] == [183, 92]


QUARTER = "2025-01-01..2025-03-31"
RANDOM = """
    select midnight::date as day, random() as value
    from generate_series(date '2025-01-01', date '2025-03-31', interval 1 day) as days(midnight)
    cross join range(3000)
"""


@pytest.mark.parametrize(
    ("mb_per_batch", "expected"),
    [
        pytest.param(0, ["2025-01-01..2025-02-14", "2025-02-15..2025-03-31"], id="the size does not matter"),
        pytest.param(1, ["2025-01-01..2025-02-14", "2025-02-15..2025-03-31"], id="2.2 MB are worth two"),
        pytest.param(2, [QUARTER], id="and these are not"),
        pytest.param(512, [QUARTER], id="much less than one batch"),
    ],
)
def test_days_that_are_small_as_published_are_not_worth_two_tasks(
    queue: Queue, run: Run, define: DefineTable, mb_per_batch: int, expected: list[str]
) -> None:
    define("sales", RANDOM, f"mb_per_batch = {mb_per_batch}")
    accept(queue, "2025-01-01", "2025-03-31")
    assert len(run.plan()) == 2, "nobody knows how large they will be"
    run.whole()
    accept(queue, "2025-01-01", "2025-03-31")
    assert planned(run.plan()) == [days(text) for text in expected]


def test_days_without_a_file_count_as_large_as_the_others(queue: Queue, run: Run, define: DefineTable) -> None:
    define("sales", RANDOM, "mb_per_batch = 1")
    accept(queue, "2025-02-01", "2025-02-28")
    run.whole()
    accept(queue, "2025-01-01", "2025-03-31")
    assert len(run.plan()) == 2, "28 days are 0.7 MB, and 90 are 2.2"


def test_a_batch_names_the_requests_that_it_serves(queue: Queue, run: Run) -> None:
    record = accept(queue, "2025-01-01")
    [batch] = run.plan()
    assert batch["requests"] == {record.id: ["2025-01-01"]}


def test_a_run_takes_daily_days_first_and_leaves_the_rest_to_the_next(
    queue: Queue, run: Run, define: DefineTable, sales_settings: Settings
) -> None:
    query = (sales_settings.tables / "sales" / "query.sql").read_text()
    define("sales", query, "partitions_per_run = 3")
    reload = accept(queue, "2025-02-01", "2025-02-05")
    daily = accept(queue, "2025-01-15", mode="daily")

    settled = run.whole()
    assert settled.published == days("2025-01-15", "2025-02-04..2025-02-05")
    assert [one.request for one in settled.announce] == [reload.id]
    assert states(queue) == {reload.id: "accepted", daily.id: "done"}

    assert run.whole().announce == ()
    assert states(queue) == {reload.id: "done", daily.id: "done"}


def test_a_run_concerns_its_own_table_only(queue: Queue, run: Run) -> None:
    ours, theirs = accept(queue, "2025-01-01"), accept(queue, "2025-01-01", table="visits")
    run.whole()
    assert states(queue) == {ours.id: "done", theirs.id: "accepted"}
    assert not (run.settings.warehouse / "visits").exists()


def test_planning_removes_what_a_crash_left_in_staging(queue: Queue, run: Run) -> None:
    with staging_folder(run.settings.warehouse, "sales") as used:
        (used.parent / "sales-dead").mkdir()
        (used.parent / "sales-dead.lock").touch()
        run.plan()
        assert {path.name for path in used.parent.iterdir()} == {used.name, f"{used.name}.lock"}
    assert queue.accepted("sales") == []


# rewrite and settle


def test_overlapping_requests_are_rewritten_once_and_both_are_done(queue: Queue, run: Run) -> None:
    first, second = accept(queue, "2025-01-01", "2025-01-10"), accept(queue, "2025-01-05", "2025-01-20")
    batches = run.plan()
    assert planned(batches) == [days("2025-01-01..2025-01-20")]
    outcomes = [run.rewrite(batch) for batch in batches]
    run.settle(batches, outcomes)
    assert states(queue) == {first.id: "done", second.id: "done"}
    assert [(len(the(queue, r).published), the(queue, r).rows) for r in (first, second)] == [(10, 30), (16, 48)]


def test_a_partition_names_the_requests_it_was_written_for(queue: Queue, run: Run) -> None:
    first, second = accept(queue, "2025-01-01"), accept(queue, "2025-01-01")
    run.whole()
    file = TableFolder(run.settings.warehouse, "sales", "day").partition(date(2025, 1, 1))
    footer = pyarrow.parquet.ParquetFile(file).metadata.metadata
    assert sorted(json.loads(footer[b"reloads.requests"])) == sorted([first.id, second.id])


@pytest.mark.parametrize(
    ("last", "share"),
    [
        pytest.param("2025-03-31", {"threads": [1], "memory": ["488.2 MiB"]}, id="two batches"),
        pytest.param("2025-01-01", {"threads": [2], "memory": ["488.2 MiB"]}, id="one batch"),
    ],
)
def test_the_batches_of_a_run_share_the_machine(
    queue: Queue, run: Run, define: DefineTable, last: str, share: dict[str, list[object]]
) -> None:
    settings = "current_setting('threads') as threads, current_setting('memory_limit') as memory"
    define(
        "sales",
        f"select date '2025-01-01' + cast(n as int) as day, {settings} from range(90) as r(n)",
    )
    accept(queue, "2025-01-01", last)
    run.whole()
    for file in (run.settings.warehouse / "sales").glob("*/*.parquet"):
        assert pyarrow.parquet.ParquetFile(file).read().to_pydict() == share


def test_a_request_accepted_while_a_run_is_under_way_waits_for_the_next(queue: Queue, run: Run) -> None:
    early = accept(queue, "2025-01-01", "2025-01-03")
    batches = run.plan()
    outcomes = [run.rewrite(batch) for batch in batches]
    late = accept(queue, "2025-01-02")
    settled = run.settle(batches, outcomes)
    assert states(queue) == {early.id: "done", late.id: "accepted"}
    assert [one.request for one in settled.announce] == [late.id]
    again = Run(run.settings, run="run/2").whole()
    assert again.published == Days(), "the day holds what the request asks for already"
    assert the(queue, late).unchanged == days("2025-01-02")
    assert states(queue)[late.id] == "done"


def test_a_batch_without_outcome_counts_as_failed(queue: Queue, run: Run) -> None:
    record = accept(queue, "2025-01-01", "2025-03-31")
    batches = run.plan()
    settled = run.settle(batches, [run.rewrite(batches[0])])
    assert settled.published == days("2025-01-01..2025-02-14")
    [failure] = settled.failed
    assert (failure.days, failure.transient) == (days("2025-02-15..2025-03-31"), True)
    assert failure.error.startswith("the task ended without a result, it was killed or stopped")
    assert states(queue) == {record.id: "failed"}
    assert the(queue, record).failed == (failure,)


@pytest.mark.parametrize("outcomes", [[], [None]], ids=["none", "null"])
def test_xcom_without_values_counts_as_no_outcome(queue: Queue, run: Run, outcomes: list[JsonBatch]) -> None:
    record = accept(queue, "2025-01-01")
    run.settle(run.plan(), outcomes)
    assert states(queue) == {record.id: "failed"}


def test_a_failed_request_whose_batch_is_cleared_and_succeeds_is_done(
    queue: Queue, run: Run, define: DefineTable, sales_settings: Settings
) -> None:
    good = (sales_settings.tables / "sales" / "query.sql").read_text()
    define("sales", f"select * from ({good}) where if(day = date '2025-01-02', error('bad row'), true)")
    record = accept(queue, "2025-01-01", "2025-01-03")
    batches = run.plan()
    run.settle(batches, [run.rewrite(batch) for batch in batches])
    failed = the(queue, record)
    assert states(queue) == {record.id: "failed"}
    assert (failed.published, failed.failed[0].days) == (days("2025-01-01", "2025-01-03"), days("2025-01-02"))
    assert "bad row" in failed.failed[0].error

    define("sales", good)
    run.settle(batches, [run.rewrite(batch) for batch in batches])
    assert states(queue) == {record.id: "done"}
    assert (the(queue, record).published, the(queue, record).failed) == (record.days, ())


def test_a_request_cancelled_while_a_run_is_under_way_stays_cancelled(queue: Queue, run: Run) -> None:
    record = accept(queue, "2025-01-01")
    batches = run.plan()
    outcomes = [run.rewrite(batch) for batch in batches]
    queue.cancel(record.id, now=NOW)
    run.settle(batches, outcomes)
    assert states(queue) == {record.id: "done"}, "its only batch had begun and was finished"


def test_of_a_request_cancelled_before_a_batch_begins_the_batch_is_not_begun(queue: Queue, run: Run) -> None:
    record, other = accept(queue, "2025-01-01", "2025-03-31"), accept(queue, "2025-03-31")
    batches = run.plan()
    first = run.rewrite(batches[0])
    queue.cancel(record.id, now=NOW)
    run.settle(batches, [first, run.rewrite(batches[1])])
    assert states(queue) == {record.id: "cancelled", other.id: "done"}
    after = the(queue, record)
    assert after.published == days("2025-01-01..2025-02-14", "2025-03-31"), "what somebody else wants is done"
    assert after.cancelled == days("2025-02-15..2025-03-30")


def test_what_a_run_is_about_is_not_neglected(queue: Queue, run: Run) -> None:
    record = accept(queue, "2025-01-01")
    path = queue.folder("accepted") / f"{record.id}.json"
    before = path.stat().st_mtime_ns
    run.plan()
    assert path.stat().st_mtime_ns > before


# a crash between any two steps


def contents(folder: Path) -> dict[str, bytes]:
    # Without the footer, which names the run, and so only the rows.
    return {
        str(path.relative_to(folder)): repr(pyarrow.parquet.ParquetFile(path).read().to_pylist()).encode()
        for path in folder.glob("[!.]*/**/data.parquet")
    }


def crash_after_plan(run: Run, _: Queue) -> None:
    assert run.plan() == run.plan()


def crash_after_one_batch(run: Run, _: Queue) -> None:
    run.rewrite(run.plan()[0])


def crash_after_all_batches(run: Run, _: Queue) -> None:
    for batch in run.plan():
        run.rewrite(batch)


def crash_after_one_request_was_settled(run: Run, queue: Queue) -> None:
    outcomes = [Outcome.model_validate(run.rewrite(batch)) for batch in run.plan()]
    first = queue.accepted("sales")[0]
    queue.settle(first.id, sum(outcomes, start=Outcome()), run=run.run, now=NOW)


def crash_between_record_and_rename(run: Run, queue: Queue) -> None:
    outcomes = [Outcome.model_validate(run.rewrite(batch)) for batch in run.plan()]
    for record in queue.accepted("sales"):
        after = record.with_outcome(sum(outcomes, start=Outcome()), run=run.run, now=NOW)
        (queue.folder("accepted") / f"{record.id}.json").write_text(after.to_json())


def crash_after_settle(run: Run, queue: Queue) -> None:
    batches = run.plan()
    outcomes = [run.rewrite(batch) for batch in batches]
    run.settle(batches, outcomes)
    done = states(queue)
    run.settle(batches, outcomes)
    assert states(queue) == done


@pytest.mark.parametrize(
    "crash",
    [
        crash_after_plan,
        crash_after_one_batch,
        crash_after_all_batches,
        crash_after_one_request_was_settled,
        crash_between_record_and_rename,
        crash_after_settle,
    ],
    ids=lambda crash: crash.__name__,
)
def test_whatever_a_crash_interrupted_the_next_run_ends_in_the_same_state(
    queue: Queue, run: Run, crash: Callable[[Run, Queue], None]
) -> None:
    first, second = accept(queue, "2025-01-01", "2025-02-28"), accept(queue, "2025-02-01", "2025-03-31")
    crash(run, queue)
    assert Run(run.settings, run="run/2").whole().announce == ()
    assert states(queue) == {first.id: "done", second.id: "done"}
    for record in (first, second):
        assert (the(queue, record).fulfilled, the(queue, record).rows) == (record.days, 3 * len(record.days))
    rows = contents(run.settings.warehouse)
    assert len(rows) == 90
    assert len({content.count(b"sale_id") for content in rows.values()}) == 1


def test_a_run_takes_the_oldest_requests_and_leaves_the_others_to_the_next(
    queue: Queue, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_step, "REQUESTS_PER_RUN", 2)
    records = [accept(queue, f"2025-01-0{number}") for number in (1, 2, 3)]
    oldest = sorted(records, key=lambda record: (record.accepted_at, record.id))[:2]
    served: set[str] = set()
    for batch in run.plan():
        served |= set(Batch.from_json(batch).requests)
    assert served == {record.id for record in oldest}
    assert run.whole().announce != ()
    assert run.whole().announce == ()
    assert set(states(queue).values()) == {"done"}


# requests with other keys and parameters

SHOPS = "select day, shop, amount * getvariable('factor') as amount from a cross join (values ('n'), ('s')) as s(shop)"
FACTOR = "keys = ['shop']\n[parameters.factor]\ntype = 'integer'\ndefault = 1\n"


@pytest.fixture
def shops(chain: Chain) -> Chain:
    """Two shops a day, which follow the table a; the first day is loaded."""
    chain.define("shops", SHOPS, FACTOR)
    chain.ask("a", "2025-01-01", "2025-01-02", cascade=False)
    chain.ask("shops", "2025-01-01")
    chain.work_off("a", "shops")
    return chain


def amounts(chain: Chain) -> dict[str, list[int]]:
    """What the table holds, by partition."""
    folder = chain.settings.warehouse / "shops"
    found: dict[str, list[int]] = {}
    for file in sorted(folder.rglob("*.parquet")):
        name = str(file.parent.relative_to(folder))
        found[name] = pyarrow.parquet.ParquetFile(file).read().column("amount").to_pylist()
    return found


def test_requests_for_other_keys_with_other_parameters_are_done_in_one_run(shops: Chain) -> None:
    north = shops.ask("shops", "2025-01-01", keys={"shop": ["n"]}, parameters={"factor": 10})
    south = shops.ask("shops", "2025-01-01", keys={"shop": ["s"]}, parameters={"factor": 20})
    shops.run("shops")
    assert amounts(shops) == {"day=2025-01-01/shop=n": [10], "day=2025-01-01/shop=s": [20]}
    for record in (north, south):
        state, after = shops.find_record(record.id)
        assert (state, after.rows) == ("done", 1), "the other's rows are not its own"


def test_requests_for_one_partition_with_other_parameters_are_done_in_their_order(shops: Chain) -> None:
    first = shops.ask("shops", "2025-01-01", parameters={"factor": 10})
    later = NOW + timedelta(seconds=1)
    second = shops.ask("shops", "2025-01-01", at=later, keys={"shop": ["s"]}, parameters={"factor": 20})
    assert [one.request for one in shops.run("shops").announce] == [second.id]
    assert amounts(shops) == {"day=2025-01-01/shop=n": [10], "day=2025-01-01/shop=s": [10]}
    assert (shops.find_record(first.id)[0], shops.find_record(second.id)[0]) == ("done", "accepted")
    assert shops.run("shops").announce == ()
    assert amounts(shops) == {"day=2025-01-01/shop=n": [10], "day=2025-01-01/shop=s": [20]}


def test_a_cascade_keeps_the_parameters_of_each_partition_and_is_up_to_date_then(shops: Chain) -> None:
    shops.ask("shops", "2025-01-01", keys={"shop": ["s"]}, parameters={"factor": 10})
    shops.run("shops")
    shops.deliver("2025-01-01", 5)
    shops.ask("a", "2025-01-01")
    shops.work_off("a", "shops")
    assert amounts(shops) == {"day=2025-01-01/shop=n": [5], "day=2025-01-01/shop=s": [50]}
    record = shops.ask("shops", "2025-01-01", only="stale")
    assert shops.plan("shops") == []
    assert [reason.why for reason in shops.find_record(record.id)[1].skipped] == ["it is up to date"]


@pytest.mark.parametrize("mode", ["cascade", "daily"])
def test_a_request_that_waits_is_not_ended_by_a_narrower_one(shops: Chain, mode: Mode) -> None:
    waiting = shops.ask("shops", "2025-01-01", "2025-01-02", mode=mode)
    shops.ask("a", "2025-01-02", cascade=False)
    narrow = shops.ask("shops", "2025-01-02", keys={"shop": ["n"]})
    shops.run("shops")
    assert shops.find_record(narrow.id)[0] == "done"
    state, after = shops.find_record(waiting.id)
    assert (state, after.outstanding) == ("accepted", days("2025-01-02"))
    shops.work_off("a", "shops")
    assert shops.find_record(waiting.id)[0] == "done"
    assert len(amounts(shops)) == 4


def test_of_two_requests_that_share_a_day_one_is_cancelled_and_the_other_done(shops: Chain) -> None:
    north = shops.ask("shops", "2025-01-01", keys={"shop": ["n"]}, parameters={"factor": 10})
    south = shops.ask("shops", "2025-01-01", keys={"shop": ["s"]}, parameters={"factor": 20})
    batches = shops.plan("shops")
    shops.queue.cancel(north.id, now=NOW)
    shops.settle("shops", batches, shops.rewrite("shops", batches))
    assert (shops.find_record(north.id)[0], shops.find_record(south.id)[0]) == ("cancelled", "done")
    assert amounts(shops) == {"day=2025-01-01/shop=n": [1], "day=2025-01-01/shop=s": [20]}


def test_the_log_lists_the_requests_with_reason_and_person(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first = chain.ask("a", "2025-01-01", "2025-01-02", reason="late\nfiles", requested_by="ada")
    second = chain.ask("a", "2025-01-05", at=NOW + timedelta(seconds=1))
    chain.plan("a")
    lines = [one.getMessage() for one in caplog.records if "asks for" in one.getMessage()]
    assert lines == [
        f"a: {first.id} asks for 2025-01-01..2025-01-02 (by ada: late\\nfiles)",
        f"a: {second.id} asks for 2025-01-05",
    ]


def test_of_many_requests_the_log_lists_the_first_and_counts_the_others(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(23):
        chain.ask("a", "2025-01-05")
    chain.plan("a")
    messages = [one.getMessage() for one in caplog.records]
    assert len([message for message in messages if "asks for" in message]) == 20
    assert "a: and 3 more requests" in messages
