"""A reload in this process, without Airflow: the same plan, rewrite and record as a run of the consumer DAG."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from reloads.outcome import Outcome
from reloads.planning.batching import Limits, cut_batches
from reloads.planning.selection import read_state, select_record_days
from reloads.requests.queue import Queue
from reloads.requests.record import Record, new_record
from reloads.requests.request import ReloadRequest
from reloads.runs.follow_ups import downstream_requests, link_children, request_schema_backfill
from reloads.runs.retention import remove_expired
from reloads.runs.rewrite_step import run_batch
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
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
    rewrite one partition, the last to finish stands, whole. After a crash the next run of a table asks its readers to
    follow what this one had published.
    """
    remove_abandoned_folders(settings.warehouse)
    run, now = f"command/{uuid4().hex[:12]}", clock()
    asked = [new_record(request, table, mode="command", origin=run, now=now) for table in request.tables]
    return run_records(settings, asked, run=run, clock=clock)


def cascade_locally(settings: Settings, changed: list[Record], *, clock: Clock = utc_now) -> list[Record]:
    """Rewrite the tables that follow the changes of these records, which are done; returns the finished records."""
    catalog, now, run = Catalog.load(settings.tables), clock(), f"command/{uuid4().hex[:12]}"
    told = {table: read_notices(settings.warehouse, table) for table in dict.fromkeys(one.table for one in changed)}
    children = [
        child
        for table, notices in told.items()
        for child in downstream_requests(settings, catalog, table, notices, now=now)
    ]
    finished = run_records(settings, children, run=run, clock=clock)
    for table, notices in told.items():
        link_children(
            Queue(settings.landing), notices, [one for one in finished if one.cause and one.cause.table == table]
        )
        for notice in notices:
            notice.path.unlink(missing_ok=True)
    return finished


def run_records(settings: Settings, asked: list[Record], *, run: str, clock: Clock) -> list[Record]:
    """Do these records and all that follow from them, inputs before readers."""
    catalog, queue = Catalog.load(settings.tables), Queue(settings.landing)
    waiting = list(asked)
    finished: list[Record] = []
    told: list[Notice] = []
    for table in catalog.lineage.load_order():
        if not (mine := [record for record in waiting if record.table == table]):
            continue
        remove_expired(settings, table, now=clock())
        done = _run_table(settings, catalog, mine, run=run, clock=clock)
        for record in done:
            queue.file_away(record)
        notices = read_notices(settings.warehouse, table)
        children = downstream_requests(settings, catalog, table, notices, now=clock())
        link_children(queue, notices, children)
        request_schema_backfill(settings, catalog[table], now=clock())
        waiting, finished, told = waiting + children, finished + done, told + notices
    # Only now: a crash before leaves the notices to the next run of these tables.
    for notice in told:
        notice.path.unlink(missing_ok=True)
    return finished


def _run_table(settings: Settings, catalog: Catalog, records: list[Record], *, run: str, clock: Clock) -> list[Record]:
    table = catalog[records[0].table]
    now, look = clock(), read_state(settings, table, records)
    planned = []
    for record in records:
        todo, skipped = select_record_days(record, look)
        planned.append(record.with_plan(planned=todo, skipped=skipped, now=now))
    own = {day: look.parameters(day) for record in planned if record.is_follow_up for day in record.outstanding}
    outcome = Outcome()
    for batch in cut_batches(planned, limits=ONE_BATCH, kept_parameters=own).batches:
        outcome += run_batch(settings, table.name, batch.to_json(), run=run, now=now)
    return [record.with_outcome(outcome, run=run, now=clock()) for record in planned]
