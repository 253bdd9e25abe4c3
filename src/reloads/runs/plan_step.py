"""One run of one table: plan what is outstanding, rewrite each batch, settle what came of it.

Airflow runs these steps as tasks, the command line in one process. Each can be run twice: a crash between two of them
repeats work and loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from reloads.batch import Batch
from reloads.days import Days
from reloads.planning.batching import Limits, Piece, make_plan
from reloads.planning.selection import triage, workable
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.follow_ups import ask_for_rest, carry_on
from reloads.runs.retention import remove_expired
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, load_table
from reloads.warehouse.staging import remove_abandoned

log = logging.getLogger(__name__)


def plan_batches(settings: Settings, table: str, *, now: datetime) -> list[Batch]:
    """The batches of the next run of ``table``, from all its outstanding requests; empty if there is nothing to do."""
    remove_abandoned(settings.warehouse)
    remove_expired(settings, table, now=now)
    definition = load_table(settings.tables, table)
    # What a crash between publishing and settling left untold.
    carry_on(settings, table, now=now)
    ask_for_rest(settings, definition, now=now)
    queue = Queue(settings.landing)
    everything = queue.records("accepted")
    mine = [record for record in everything if record.table == table]
    queue.attend(mine)
    lineage = Catalog.load(settings.tables).lineage
    now_wanted = workable(mine, everything=everything, lineage=lineage)
    if waiting := [record.id for record in mine if record.id not in {one.id for one in now_wanted}]:
        log.info("%s: %s wait for the tables that this one reads", table, ", ".join(waiting))
    wanted, own = triage(settings, definition, now_wanted, now=now)
    plan = make_plan(wanted, limits=_limits(settings, definition), own=own)
    count = sum(len(piece.days) for piece in plan.pieces)
    log.info("%s: %d partitions in %d batches, %d left for the next run", table, count, len(plan.pieces), plan.left)
    return [batch_of(wanted, piece, number, len(plan.pieces)) for number, piece in enumerate(plan.pieces)]


def batch_of(records: Sequence[Record], piece: Piece, number: int, of: int) -> Batch:
    """The batch of a piece, for those of ``records`` that want some of its days."""
    wanting = [(record, both) for record in records if (both := record.outstanding & piece.days)]
    loud = Days.parse(text for record, days in wanting if record.cascade for text in days.texts())
    return Batch(piece, {record.id: days for record, days in wanting}, of, number, piece.days - loud)


def _limits(settings: Settings, table: Table) -> Limits:
    limits = table.settings
    return Limits(
        partitions_per_run=limits.partitions_per_run,
        parallelism=limits.parallelism or min(settings.threads, settings.tasks_at_once),
        days_per_batch=limits.days_per_batch,
        key_slices=limits.key_slices,
    )
