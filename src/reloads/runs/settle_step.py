"""The last step of a run: write down what each request came to, and say who has something to do now."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Failure, Outcome
from reloads.planning.selection import runnable_records
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.follow_ups import cascade_changes, request_schema_backfill
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import load_table
from reloads.tables.lineage import Lineage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """What a run came to."""

    published: Days
    failed: tuple[Failure, ...]
    announce: tuple[Record, ...]
    """Requests, of this table and of those that read it, that wake the next runs."""


def settle_batches(
    settings: Settings,
    table: str,
    batches: Sequence[Mapping[str, Any]],
    outcomes: Iterable[Mapping[str, Any]],
    *,
    run: str,
    now: datetime,
) -> Settled:
    """Write down what became of each request, move the finished ones, and ask the tables that read this one to follow.

    Days of a batch that left no outcome (its task was killed, and so were its retries) count as failed. Only requests
    that were planned make progress: one accepted later wants data of after its acceptance.
    """
    planned = [Batch.from_json(batch) for batch in batches or ()]
    outcome = _together(planned, [Outcome.model_validate(found) for found in outcomes if found], run)
    queue = Queue(settings.landing)
    # Before the requests are done, so that whoever waits for all to be done sees what follows from them.
    cascade_changes(settings, table, now=now)
    request_schema_backfill(settings, load_table(settings.tables, table), now=now)
    requests = {request for batch in planned for request in batch.requests}
    finished = (record.id for record in queue.outstanding(table) if not record.outstanding)
    for record_id in sorted(requests.union(finished)):
        record = queue.settle(record_id, outcome if record_id in requests else Outcome(), run=run, now=now)
        if record:
            log.info("request %s", record.progress())
    return Settled(outcome.published, outcome.failed, _next(settings, table))


def _together(planned: Sequence[Batch], found: Sequence[Outcome], run: str) -> Outcome:
    outcome = sum(found, start=Outcome())
    answered = {one.batch for one in found}
    silent = Days.union(batch.days for batch in planned if batch.number not in answered)
    if silent:
        error = f"the task ended without a result, it was killed or stopped; read its log in the run {run}"
        outcome += Outcome(failed=(Failure(days=silent, error=error, transient=True),))
    return outcome


def _next(settings: Settings, table: str) -> tuple[Record, ...]:
    """One request for each table that has something to do now: this one, its readers, and those that waited for it."""
    queue, lineage = Queue(settings.landing), Catalog.load(settings.tables).lineage
    everything = queue.records("accepted")
    concerned = {table, *_downstream(lineage, table)}
    mine = [record for record in everything if record.table in concerned]
    ready = runnable_records(mine, everything=everything, lineage=lineage)
    queue.attend(ready)
    return tuple({record.table: record for record in reversed(ready)}.values())


def _downstream(lineage: Lineage, table: str) -> set[str]:
    readers = set(lineage.downstream(table))
    return readers.union(*(_downstream(lineage, reader) for reader in readers))
