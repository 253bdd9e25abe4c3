"""A reload in this process, without Airflow, planned and rewritten as a run of ``rewrite_<table>`` does it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Failure, Outcome
from reloads.planning.batching import Limits
from reloads.planning.selection import Selection
from reloads.requests.batch_notes import forget_batches
from reloads.requests.conversion import new_record
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.request import ReloadRequest
from reloads.requests.untold import leave_untold
from reloads.runs.arrivals import look_anew
from reloads.runs.credit import complete_outcomes, credit_requests
from reloads.runs.following import begin_to_follow, follow
from reloads.runs.plan_step import plan_records
from reloads.runs.retention import remove_expired
from reloads.runs.rewrite_step import run_batch
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.staging import remove_abandoned_folders
from reloads.warehouse.upgrade import open_catalog

DAYS_AT_ONCE = 366
"""More days are done year by year, the newest first: no query spills more, and no commit holds more."""

LONGEST_REST = 5
"""In rests of a raw file: so long a command waits for one that is still written."""

ONE_BATCH = Limits(partitions_per_run=DAYS_AT_ONCE, parallelism=1, days_per_batch=DAYS_AT_ONCE)
Clock = Callable[[], datetime]
Say = Callable[[str], object]

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time now, aware."""
    return datetime.now(UTC)


def run_locally(
    settings: Settings, request: ReloadRequest, *, clock: Clock = utc_now, say: Say = log.info
) -> list[Record]:
    """Rewrite what a checked request asks for, and the tables that follow; returns the finished records.

    The request never enters ``accepted/``, so a consumer that runs at the same time does not take it too. Should both
    rewrite one partition, the one that read its inputs before the other published rewrites it again. What follows is
    accepted as after any run, so that a consumer does what a crash kept this command from doing. ``say`` is told of
    each year that is done, while others are left.
    """
    remove_abandoned_folders(settings.warehouse)
    run, now = _new_run_id(), clock()
    records = [new_record(request, table, mode="command", origin=run, now=now) for table in request.tables]
    return _run_records(settings, open_catalog(settings), records, run=run, clock=clock, say=say)


def run_follow_ups_locally(
    settings: Settings, records: Sequence[Record], *, clock: Clock = utc_now, say: Say = log.info
) -> list[Record]:
    """Rewrite what these accepted requests ask for, and what follows from them; returns the finished records."""
    return _run_records(settings, open_catalog(settings), records, run=_new_run_id(), clock=clock, say=say)


def _new_run_id() -> str:
    return f"command/{uuid4().hex[:12]}"


def _run_records(
    settings: Settings, catalog: Catalog, records: Sequence[Record], *, run: str, clock: Clock, say: Say
) -> list[Record]:
    """Do these records and all that follow from them, inputs before downstream tables."""
    settings.require_landing()
    waiting = list(records)
    finished: list[Record] = []
    for table in catalog.lineage.load_order():
        records_of_table = [record for record in waiting if record.table == table]
        if not records_of_table:
            continue
        begin_to_follow(settings, catalog, table)
        finished += _run_table(settings, catalog, catalog[table], records_of_table, run=run, clock=clock, say=say)
        waiting += [record for record in follow(settings, catalog, table, now=clock()) if record.table != table]
        leave_untold(settings.landing, table)
    return finished


def _run_table(
    settings: Settings, catalog: Catalog, table: Table, records: Sequence[Record], *, run: str, clock: Clock, say: Say
) -> list[Record]:
    """Plan, rewrite and settle the records of one table. Those of a command stay outside the queue until they end."""
    remove_expired(settings, catalog, table, now=clock())
    queue, open_records = Queue(settings.landing), list(records)
    while days := Days.union(record.outstanding for record in open_records).newest(DAYS_AT_ONCE):
        now = clock()
        some = [record.model_copy(update={"days": record.days & days}) for record in open_records]
        raw = _look_once_rested(settings, table, days)
        selections, plan = plan_records(settings, catalog, table, some, limits=ONE_BATCH, raw=raw, now=now)
        chosen = {each.record.id: each.planned_days for each in selections}
        queue.plan_all(chosen, now=now)
        # Each batch ends all of its days, so that in the end nothing is outstanding.
        outcomes = _run_batches(settings, table, plan.batches, run=run, now=now)
        for selection in selections:
            outcome = outcomes.get(selection.record.id, Outcome())
            outcomes[selection.record.id] = outcome + _fail_waiting(selection)
        settled_at = clock()
        queue.settle_all(outcomes, run=run, now=settled_at)
        forget_batches(settings.landing, table.name, run=run)
        for position, record in enumerate(open_records):
            outcome = outcomes.get(record.id, Outcome())
            planned_record = record.with_plan(**chosen[record.id]._asdict(), now=now)
            open_records[position] = planned_record.with_outcome(outcome, run=run, now=settled_at)
        left = Days.union(record.outstanding for record in open_records) - days
        if left:
            say(f"{table.name}: {Batch(days).label} done, {len(left)} days left")
    ended_at = clock()
    look_anew(settings, table, Days.union(record.fulfilled for record in open_records))
    # Those that asked for nothing, or of which all was skipped.
    queue.settle_all({record.id: Outcome() for record in open_records}, run=run, now=ended_at)
    remove_expired(settings, catalog, table, now=ended_at)
    return [_end(queue, record.with_outcome(Outcome(), run=run, now=ended_at)) for record in open_records]


def _look_once_rested(settings: Settings, table: Table, days: Days) -> RawFiles:
    """A look at the raw files of these days. A person may have written one a moment ago, and waits for the command."""
    end = time.monotonic() + LONGEST_REST * settings.stable_seconds
    while True:
        raw = RawFiles.look(settings)
        has_young = bool(table.file_sources) and any(raw.of_day(table, day).is_young for day in days)
        if not has_young or time.monotonic() >= end:
            return raw
        time.sleep(min(0.1, settings.stable_seconds))


def _fail_waiting(selection: Selection) -> Outcome:
    """The days without raw files as failed, because a command does not come back to them."""
    failures: list[Failure] = []
    for why, days in selection.waiting.items():
        failures.append(Failure(days=days, error=f"{why}; ask again once they are there"))
    return Outcome(failed=tuple(failures))


def _end(queue: Queue, record: Record) -> Record:
    """The record as it is filed away."""
    filed = queue.get(record.id)
    if filed is None:
        queue.file_away(record)
    return filed or record


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
