"""One run of one table: plan what is outstanding, rewrite each batch, settle what came of it.

Airflow runs these steps as tasks, the command line in one process. Each can be run twice: a crash between two of them
repeats work and loses nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime

from reloads.batch import Batch
from reloads.planning.batching import Limits, cut_batches
from reloads.planning.selection import runnable_records, select_days
from reloads.requests.queue import Queue
from reloads.runs.follow_ups import cascade_changes, request_schema_backfill
from reloads.runs.retention import remove_expired
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, load_table
from reloads.warehouse.staging import remove_abandoned_folders

log = logging.getLogger(__name__)


def plan_batches(settings: Settings, table: str, *, now: datetime) -> list[Batch]:
    """The batches of the next run of ``table``, from all its outstanding requests; empty if there is nothing to do."""
    remove_abandoned_folders(settings.warehouse)
    remove_expired(settings, table, now=now)
    definition = load_table(settings.tables, table)
    # What a crash between publishing and settling left untold.
    cascade_changes(settings, table, now=now)
    request_schema_backfill(settings, definition, now=now)
    queue = Queue(settings.landing)
    everything = queue.records("accepted")
    mine = [record for record in everything if record.table == table]
    queue.attend(mine)
    lineage = Catalog.load(settings.tables).lineage
    now_wanted = runnable_records(mine, everything=everything, lineage=lineage)
    if waiting := [record.id for record in mine if record.id not in {one.id for one in now_wanted}]:
        log.info("%s: %s wait for the tables that this one reads", table, ", ".join(waiting))
    wanted, own = select_days(settings, definition, now_wanted, now=now)
    plan = cut_batches(wanted, limits=_limits(settings, definition), kept_parameters=own)
    count = sum(len(batch.days) for batch in plan.batches)
    log.info(
        "%s: %d partitions in %d batches, %d left for the next run", table, count, len(plan.batches), plan.days_left
    )
    return list(plan.batches)


def _limits(settings: Settings, table: Table) -> Limits:
    limits = table.settings
    return Limits(
        partitions_per_run=limits.partitions_per_run,
        parallelism=limits.parallelism or min(settings.threads, settings.tasks_at_once),
        days_per_batch=limits.days_per_batch,
        key_slices=limits.key_slices,
    )
