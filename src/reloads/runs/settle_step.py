"""The last step of a run: write down what each request came to, and say which tables have something to do now."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Failure, Outcome
from reloads.planning.runnable_requests import runnable_records
from reloads.planning.selection import find_waiting
from reloads.requests.announcement import Announcement, announce
from reloads.requests.batch_notes import forget_batches
from reloads.requests.neglect import attend
from reloads.requests.queue import Queue
from reloads.runs.arrivals import ask_for_arrivals
from reloads.runs.credit import complete_outcomes, credit_requests
from reloads.runs.following import follow
from reloads.runs.pace import note_pace
from reloads.runs.retention import remove_expired
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.raw_files import RawFiles

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """What a run came to."""

    table: str
    published: Days
    failed: tuple[Failure, ...]
    announce: tuple[Announcement, ...]
    """What wakes the next runs, of this table and of downstream tables."""
    outcomes: tuple[Outcome, ...] = ()
    """Of each batch."""


def settle_batches(
    settings: Settings,
    catalog: Catalog,
    table: str,
    batches: Sequence[Mapping[str, Any]],
    outcomes: Iterable[Mapping[str, Any]],
    *,
    run: str,
    now: datetime,
) -> Settled:
    """Write down what became of each request, move the finished ones, and ask downstream tables to follow.

    Only requests that were planned make progress, each by what was planned for it: one accepted later must see data
    from after its acceptance.
    """
    settings.require_landing()
    planned = [Batch.from_json(batch) for batch in batches or ()]
    answers = [Outcome.model_validate(value) for value in outcomes if value]
    completed = complete_outcomes(planned, answers, run=run)
    # Before the requests are done, so that whoever waits for all to be done sees what follows from them.
    follow(settings, catalog, table, now=now, ended_run=run)
    _settle_requests(Queue(settings.landing), table, credit_requests(planned, completed), run=run, now=now)
    if settings.workers > 1:
        note_pace(settings.landing, table, completed)
    forget_batches(settings.landing, table, run=run)
    if catalog.is_loadable(table):
        # A table that keeps nothing for an undo gives back the space of what was replaced now, not in its next run.
        remove_expired(settings, catalog, catalog[table], now=now)
        # For files that came while the run was at work nobody asked, because their days had been asked for.
        days = Days.union(batch.days for batch in planned)
        ask_for_arrivals(settings, catalog, catalog[table], raw=RawFiles.look(settings), now=now, among=days)
    return Settled(
        table,
        # Readers see a day change, whatever became of its other parts.
        published=Days.union(outcome.published for outcome in completed),
        failed=sum(completed, start=Outcome()).failed,
        outcomes=tuple(completed),
        announce=_requests_to_announce(settings, catalog, table),
    )


def _settle_requests(
    queue: Queue, table: str, outcome_by_request: Mapping[str, Outcome], *, run: str, now: datetime
) -> None:
    """Write into each request what came of it, and file away others that have nothing left to do."""
    outcomes: dict[str, Outcome] = {}
    for record in queue.accepted(table):
        # A crash came between writing the record and moving it.
        if not record.outstanding:
            outcomes[record.id] = Outcome()
    outcomes |= outcome_by_request
    for settled in queue.settle_all(dict(sorted(outcomes.items())), run=run, now=now):
        log.info("request %s", settled.describe_progress())


def _requests_to_announce(settings: Settings, catalog: Catalog, table: str) -> tuple[Announcement, ...]:
    """The requests of each table that has something to do now: this one and all that follow it.

    Those of a table that cannot be loaded now are neglected until it is mended.
    """
    queue = Queue(settings.landing)
    accepted = queue.records("accepted")
    tables = {table, *catalog.lineage.all_downstream(table)}
    records = [record for record in accepted if record.table in tables and catalog.is_loadable(record.table)]
    waiting = find_waiting(accepted, catalog, raw=RawFiles.look(settings))
    runnable = runnable_records(records, everything=accepted, lineage=catalog.lineage, waiting_for_files=waiting)
    attend(queue, runnable)
    return tuple(announce(runnable))
