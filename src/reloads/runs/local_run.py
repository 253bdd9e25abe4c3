"""A reload in this process, without Airflow, planned and rewritten as a run of ``rewrite_<table>`` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from reloads.batch import Batch
from reloads.outcome import Failure, Outcome
from reloads.planning.batching import Limits
from reloads.requests.conversion import new_record
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.request import ReloadRequest
from reloads.runs.credit import complete_outcomes, credit_requests
from reloads.runs.follow_ups import downstream_requests, link_children, remove_notices, request_schema_backfill
from reloads.runs.plan_step import plan_records
from reloads.runs.retention import remove_expired
from reloads.runs.rewrite_step import run_batch
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.change_notices import Notice, read_notices
from reloads.warehouse.staging import remove_abandoned_folders

ONE_BATCH = Limits(partitions_per_run=10**9, parallelism=1, days_per_batch=10**9)
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time now, aware."""
    return datetime.now(UTC)


def run_locally(settings: Settings, request: ReloadRequest, *, clock: Clock = utc_now) -> list[Record]:
    """Rewrite what a checked request asks for, and the tables that follow; returns the finished records.

    The request never enters ``accepted/``, so a consumer that runs at the same time does not take it too. Should both
    rewrite one partition, the last to finish stands, whole. After a crash the next run of a table asks its downstream
    tables to follow what this one had published.
    """
    remove_abandoned_folders(settings.warehouse)
    run, now = _new_run_id(), clock()
    records = [new_record(request, table, mode="command", origin=run, now=now) for table in request.tables]
    return _run_records(settings, Catalog.load(settings.tables), records, run=run, clock=clock)


def cascade_locally(settings: Settings, causes: Sequence[Record], *, clock: Clock = utc_now) -> list[Record]:
    """Rewrite the tables that follow the changes of these records, which are done; returns the finished records."""
    catalog, queue = Catalog.load(settings.tables), Queue(settings.landing)
    notices_by_table: dict[str, list[Notice]] = {}
    children: list[Record] = []
    for cause in causes:
        if cause.table not in notices_by_table:
            notices = read_notices(settings.warehouse, cause.table)
            notices_by_table[cause.table] = notices
            children += downstream_requests(settings, catalog, cause.table, notices, now=clock())
    finished = _run_records(settings, catalog, children, run=_new_run_id(), clock=clock)
    for table, notices in notices_by_table.items():
        link_children(queue, notices, [record for record in finished if record.cause and record.cause.table == table])
        remove_notices(notices)
    return finished


def _new_run_id() -> str:
    return f"command/{uuid4().hex[:12]}"


def _run_records(
    settings: Settings, catalog: Catalog, records: Sequence[Record], *, run: str, clock: Clock
) -> list[Record]:
    """Do these records and all that follow from them, inputs before downstream tables."""
    queue = Queue(settings.landing)
    waiting = list(records)
    finished: list[Record] = []
    followed: list[Notice] = []
    for table in catalog.lineage.load_order():
        records_of_table = [record for record in waiting if record.table == table]
        if not records_of_table:
            continue
        for record in _run_table(settings, catalog, catalog[table], records_of_table, run=run, clock=clock):
            queue.file_away(record)
            finished.append(record)
        notices = read_notices(settings.warehouse, table)
        children = downstream_requests(settings, catalog, table, notices, now=clock())
        link_children(queue, notices, children)
        request_schema_backfill(settings, catalog[table], now=clock())
        waiting += children
        followed += notices
    # Only now: a crash before leaves the notices to the next run of these tables.
    remove_notices(followed)
    return finished


def _run_table(
    settings: Settings, catalog: Catalog, table: Table, records: Sequence[Record], *, run: str, clock: Clock
) -> list[Record]:
    """Plan, rewrite and settle the records of one table; they stay outside the queue."""
    remove_expired(settings, table, now=clock())
    open_records = list(records)
    while True:
        now = clock()
        selections, plan = plan_records(settings, catalog, table, open_records, limits=ONE_BATCH, now=now)
        open_records = [selection.record for selection in selections]
        if not plan.batches:
            return [record.with_outcome(Outcome(), run=run, now=clock()) for record in open_records]
        # Each batch ends all of its days, so that in the end nothing is outstanding.
        outcome_by_request = _run_batches(settings, table, plan.batches, run=run, now=now)
        settled_at = clock()
        for position, record in enumerate(open_records):
            if record.id in outcome_by_request:
                open_records[position] = record.with_outcome(outcome_by_request[record.id], run=run, now=settled_at)


def _run_batches(
    settings: Settings, table: Table, batches: Sequence[Batch], *, run: str, now: datetime
) -> dict[str, Outcome]:
    """Rewrite the batches one after another, so that each has the machine to itself; what came of each request."""
    outcomes: list[Outcome] = []
    for batch in batches:
        alone = replace(batch, batch_count=1)
        outcomes.append(_without_postponed(run_batch(settings, table.name, alone.to_json(), run=run, now=now)))
    return credit_requests(batches, complete_outcomes(batches, outcomes, run=run))


def _without_postponed(outcome: Outcome) -> Outcome:
    """The outcome with days that wait as failed, because a command does not come back to them."""
    failures = tuple(Failure(days=reason.days, error=reason.why) for reason in outcome.postponed)
    return outcome.model_copy(update={"failed": (*outcome.failed, *failures), "postponed": ()})
