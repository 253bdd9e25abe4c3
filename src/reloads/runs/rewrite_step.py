"""The middle step of a run: one batch, in this process or in the environment that its table asks for."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import OperatorError, ReloadsError, TableError
from reloads.outcome import Failure, Outcome, Postponement
from reloads.requests.batch_notes import BatchNote, note_batch
from reloads.rewriting.meter import report_nothing
from reloads.rewriting.subprocess_call import call_subprocess
from reloads.rewriting.time_limit import TimeLimit
from reloads.rewriting.virtual_environment import ensure_environment
from reloads.runs.following import begin_to_follow
from reloads.runs.wanted_days import refuse_missing_landing, whom_to_ask
from reloads.runs.worker import rewrite_here
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.access import refuse_moved, state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.staging import remove_abandoned_folders
from reloads.warehouse.upgrade import open_catalog

HANGING_SECONDS = 60
"""So long a process may take to end after its time is over."""

log = logging.getLogger(__name__)


def run_batch(
    settings: Settings,
    table: str,
    batch: Mapping[str, Any],
    *,
    run: str,
    now: datetime,
    catalog: Catalog | None = None,
) -> Outcome:
    """Rewrite and publish one batch; whatever went wrong stands in the outcome.

    ``catalog`` is given where somebody has just read the tables. Days that everybody who wanted them gave up are not
    begun. It needs no drop folder where the settings say that there is none.
    """
    planned = Batch.from_json(batch)
    outcome, cancelled = Outcome(), Days()
    try:
        refuse_missing_landing(settings, planned)
        cancelled = whom_to_ask(settings, table, planned).find_cancelled(planned)
    except OperatorError as error:
        outcome = _fail(planned, error)
    remaining = replace(planned, days=planned.days - cancelled - outcome.days)
    if remaining.days:
        with _note(settings, table, remaining, run=run) as note:
            outcome = _try_to_rewrite(settings, table, remaining, note, run=run, now=now, catalog=catalog)
    _log_outcome(table, outcome)
    return outcome.model_copy(update={"batch": planned.number, "cancelled": outcome.cancelled | cancelled})


def _note(
    settings: Settings, table: str, batch: Batch, *, run: str
) -> AbstractContextManager[BatchNote] | nullcontext[None]:
    """Note that the batch is at work, and how far it is, if there is a place for that."""
    return note_batch(settings.landing, table, batch, run=run) if settings.sees_landing else nullcontext()


def _try_to_rewrite(
    settings: Settings,
    table: str,
    batch: Batch,
    note: BatchNote | None,
    *,
    run: str,
    now: datetime,
    catalog: Catalog | None,
) -> Outcome:
    """What the rewriting comes to; an environment that cannot be used fails every day of the batch.

    A table folder that is broken now was good when the batch was planned, and is mended some time: the days wait.
    """
    try:
        catalog = catalog or open_catalog(settings)
        definition = catalog.definition(table)
        _refuse_moved(settings, definition, batch)
        # Nobody who reads the table misses what is published, whatever became of the cursors since the plan.
        begin_to_follow(settings, catalog, table)
        if definition.settings.requirements:
            return _rewrite_elsewhere(settings, definition, batch, note, run=run, now=now)
        report = note.write if note else report_nothing
        return rewrite_here(settings, catalog, definition, batch, run=run, now=now, report=report)
    except TableError as error:
        return Outcome(postponed=(Postponement(days=batch.days, why=str(error)),))
    except ReloadsError as error:
        return _fail(batch, error)


def _refuse_moved(settings: Settings, table: Table, batch: Batch) -> None:
    """Raise ``RequestError`` if the table was moved since the plan, as a worker may have its tables as of before."""
    if mirror_of(settings.warehouse) and batch.planned_at:
        state = state_of(folder_of(settings.warehouse, table))
        refuse_moved(state, state.read_head(), Point.parse(batch.planned_at))


def _fail(batch: Batch, error: ReloadsError) -> Outcome:
    failure = Failure(days=batch.days, error=str(error), transient=isinstance(error, OperatorError))
    return Outcome(failed=(failure,))


def _rewrite_elsewhere(
    settings: Settings, table: Table, batch: Batch, note: BatchNote | None, *, run: str, now: datetime
) -> Outcome:
    """Rewrite the batch in a process of the table's own environment."""
    begun = time.monotonic()
    python = ensure_environment(table.settings.requirements, folder=settings.environments)
    value = {
        "settings": settings.model_dump(mode="json"),
        "table": table.name,
        "version": table.version,
        "batch": batch.to_json(),
        "run": run,
        "now": now.isoformat(),
        "note": str(note.path) if note else None,
    }
    # It keeps to its limit itself, unless it hangs in something that cannot be interrupted.
    seconds = 60 * batch.minutes + HANGING_SECONDS if batch.minutes else None
    try:
        answer = call_subprocess(python, "reloads.runs.worker", value, seconds=seconds)
    except TimeoutError:
        remove_abandoned_folders(settings.warehouse)
        return _fail(batch, TimeLimit.begin(table.name, batch.minutes).error())
    outcome = Outcome.model_validate(answer)
    log.info("%s: its own environment cost %.2f s", table.name, time.monotonic() - begun - outcome.seconds)
    return outcome


def _log_outcome(table: str, outcome: Outcome) -> None:
    for result in outcome.checks:
        level = logging.ERROR if result.severity == "error" else logging.WARNING
        log.log(level, "%s: %s", table, result.sentence())
    log.info("%s: published %s", table, outcome.summary())
    for failure in outcome.failed:
        log.error("%s: %s kept the published files: %s", table, failure.days, failure.error)
    for reason in outcome.postponed:
        log.warning("%s: %s wait: %s", table, reason.days, reason.why)
