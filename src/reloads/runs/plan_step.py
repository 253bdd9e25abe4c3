"""The first step of a run: choose what to rewrite from all that is outstanding, and cut it into batches.

Airflow runs the steps (plan, rewrite, settle) as tasks. Each can run twice: a crash between two of them repeats work
and loses nothing. ``local_run`` shares the choice of days and the rewriting, and settles by itself.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import printable, shorten
from reloads.planning.batching import Limits, Plan, cut_batches
from reloads.planning.runnable_requests import runnable_records
from reloads.planning.selection import Selection, find_waiting, read_state, select_days, written_parameters
from reloads.requests.batch_notes import forget_batches
from reloads.requests.neglect import attend, note_begun_run
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.arrivals import ask_for_arrivals
from reloads.runs.awaited_files import give_up_waiting, note_awaited_files
from reloads.runs.following import begin_to_follow, follow
from reloads.runs.left_definition import refuse_left
from reloads.runs.pace import read_pace
from reloads.runs.retention import remove_expired
from reloads.settings import Settings
from reloads.tables.arrival_settings import find_late_days
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles
from reloads.tables.task_settings import TaskSettings
from reloads.warehouse.access import state_of
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.staging import remove_abandoned_folders

REQUESTS_PER_RUN = 2000
"""The ids of a batch's requests go through XCom and into the footer of each of its partitions."""

LOGGED_REQUESTS = 20
SHORTEST_SECONDS = 20
"""So long a batch lasts at least that is worth a task on another machine: the task itself takes one or two."""

SAMPLED_DAYS = 5
"""Whose published size is looked at: each may cost the reading of another file of the table's state."""

log = logging.getLogger(__name__)


def plan_batches(settings: Settings, catalog: Catalog, table: str, *, now: datetime) -> list[Batch]:
    """The batches of the next run of ``table``, from all its outstanding requests; empty if there is nothing to do."""
    note_begun_run(settings.landing)
    remove_abandoned_folders(settings.warehouse)
    forget_batches(settings.landing, table)
    definition = catalog.definition(table)
    queue = Queue(settings.landing)
    remove_expired(settings, catalog, definition, now=now)
    refuse_left(settings, table)
    # What the inputs published while this table could not be asked, and what a crash kept others from asking.
    for name in (*definition.inputs, table):
        begin_to_follow(settings, catalog, name)
        follow(settings, catalog, name, now=now)

    raw = RawFiles.look(settings)
    give_up_waiting(settings, catalog, definition, raw=raw, now=now)
    accepted = queue.records("accepted")
    records = [record for record in accepted if record.table == table]
    attend(queue, records)
    others = [record for record in accepted if record.table != table]
    runnable = runnable_records(
        records,
        everything=accepted,
        lineage=catalog.lineage,
        # Those of this table are looked at anew, for each day that is to be rewritten.
        waiting_for_files=find_waiting(others, catalog, raw=raw),
    )
    _log_waiting(table, records, runnable)
    _log_requests(table, runnable)
    limits = _limits(settings, definition)
    # The oldest, so that of two requests for a day the younger is never served first.
    oldest = runnable[:REQUESTS_PER_RUN]
    selections, plan = plan_records(settings, catalog, definition, oldest, limits=limits, raw=raw, now=now)
    queue.plan_all({each.record.id: each.planned_days for each in selections}, now=now)
    # Nobody asked for files that came while these days were asked for, and no run settles them.
    skipped_days = Days.union(days for selection in selections for days in selection.skipped.values())
    ask_for_arrivals(settings, catalog, definition, raw=RawFiles.look(settings), now=now, among=skipped_days)
    _log_waiting_for_files(settings, definition, selections, now=now)
    note_awaited_files(settings, definition, queue.accepted(table), raw=raw)
    day_count = sum(len(batch.days) for batch in plan.batches)
    log.info("%s: %d days in %d batches, %d left for the next run", table, day_count, len(plan.batches), plan.days_left)
    return list(plan.batches)


def plan_records(
    settings: Settings,
    catalog: Catalog,
    table: Table,
    records: Sequence[Record],
    *,
    limits: Limits,
    raw: RawFiles,
    now: datetime,
) -> tuple[list[Selection], Plan]:
    """What a run takes on of these records of ``table``, and its batches. Writes nothing down."""
    state = read_state(settings, catalog, table, records, raw=raw)
    selections = select_days(records, state, now=now)
    selected = [selection.record for selection in selections]
    days = Days.union(record.outstanding for record in selected)
    limits = _limit_by_size(limits, settings, table, days)
    plan = cut_batches(selected, limits=limits, written=written_parameters(selections, state))
    planned_at = str(state.published.head.point)
    return selections, replace(plan, batches=tuple(replace(batch, planned_at=planned_at) for batch in plan.batches))


def _limit_by_size(limits: Limits, settings: Settings, table: Table, days: Days) -> Limits:
    """The limits for so many batches as these days are worth, by the size of some of them as they are published.

    DuckDB shares the work of one query among the cores. Two batches for a year of 36.5 million rows took 1.46 times as
    long as a plain copy, from the dropped file to the last partition, and one batch takes 1.17 times as long.
    """
    bytes_per_batch = 1_000_000 * table.settings.mb_per_batch
    is_on_one = limits.last_batch_days is None
    if not bytes_per_batch or not is_on_one or limits.parallelism == 1 or len(days) < 2 * limits.days_per_batch:
        return limits
    sample = list(days)[:: -(-len(days) // SAMPLED_DAYS)]
    published = state_of(folder_of(settings.warehouse, table)).read(sample)
    sizes = [sum(entry.bytes for entry in published.of_day(day).values() if entry.version) for day in sample]
    known = [size for size in sizes if size]
    if not known:
        return limits
    worth = sum(known) * len(days) // len(known) // bytes_per_batch
    return replace(limits, parallelism=max(1, min(limits.parallelism, worth)))


def _log_requests(table: str, records: Sequence[Record]) -> None:
    """Say whose requests the run has, the oldest first."""
    for record in records[:LOGGED_REQUESTS]:
        details = [f"by {record.requested_by}" if record.requested_by else "", record.reason or ""]
        text = ": ".join(shorten(printable(detail), 200) for detail in details if detail)
        log.info(
            "%s: %s asks for %s%s", table, record.id, shorten(str(record.outstanding)), f" ({text})" if text else ""
        )
    if len(records) > LOGGED_REQUESTS:
        log.info("%s: and %d more requests", table, len(records) - LOGGED_REQUESTS)


def _log_waiting(table: str, records: Sequence[Record], runnable: Sequence[Record]) -> None:
    runnable_ids = {record.id for record in runnable}
    waiting = [record.id for record in records if record.id not in runnable_ids]
    if waiting:
        log.info("%s: %s wait for the tables that this one reads", table, ", ".join(waiting))


def _log_waiting_for_files(settings: Settings, table: Table, selections: Sequence[Selection], *, now: datetime) -> None:
    for selection in selections:
        for why, days in selection.waiting.items():
            late = find_late_days(days, table.settings.due, now=now, time_zone=settings.time_zone)
            suffix = f"; late: {late}" if late else ""
            log.warning("%s: %s of %s: %s%s", table.name, days, selection.record.id, why, suffix)


def _limits(settings: Settings, table: Table) -> Limits:
    limits = table.settings
    at_once, last_batch_days = min(settings.threads, settings.tasks_at_once), None
    if settings.workers > 1:
        # How many threads they have is not known here.
        at_once = settings.workers * settings.tasks_at_once
        last_batch_days = _find_last_batch_days(settings, table)
    return Limits(
        partitions_per_run=limits.partitions_per_run,
        parallelism=limits.parallelism or at_once,
        days_per_batch=limits.days_per_batch,
        last_batch_days=last_batch_days,
        minutes_per_batch=TaskSettings.of(settings, limits).batch_minutes,
    )


def _find_last_batch_days(settings: Settings, table: Table) -> int:
    """The days of a batch that is just worth a task, by how long a day took the last time."""
    pace = read_pace(settings.landing, table.name)
    return math.ceil(SHORTEST_SECONDS / pace) if pace else table.settings.days_per_batch
