"""One batch of a run: rewritten here, or in the environment that its table asks for."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import OperatorError, ReloadsError
from reloads.outcome import Failure, Outcome
from reloads.requests.queue import Queue
from reloads.rewriting.subprocess_call import call_subprocess
from reloads.rewriting.virtual_environment import ensure_environment
from reloads.rewriting.worker import rewrite_here
from reloads.settings import Settings
from reloads.tables.definition import load_table

log = logging.getLogger(__name__)


def run_batch(settings: Settings, table: str, batch: Mapping[str, Any], *, run: str, now: datetime) -> Outcome:
    """Rewrite and publish one batch; whatever went wrong stands in the outcome.

    Days that nobody wants any more are not begun.
    """
    todo = Batch.from_json(batch)
    cancelled = _cancelled(settings, todo)
    if todo.days - cancelled:
        todo = replace(todo, days=todo.days - cancelled)
        outcome = _outcome(settings, table, todo, run=run, now=now)
    else:
        outcome = Outcome()
    for result in outcome.checks:
        log.log(logging.ERROR if result.severity == "error" else logging.WARNING, "%s: %s", table, result.sentence())
    log.info("%s: published %s", table, outcome.summary())
    for failure in outcome.failed:
        log.error("%s: %s kept the published files: %s", table, failure.days, failure.error)
    return outcome.model_copy(update={"batch": todo.number, "cancelled": cancelled})


def _outcome(settings: Settings, table: str, batch: Batch, *, run: str, now: datetime) -> Outcome:
    """What the rewriting comes to; a table or an environment that cannot be used fails every day of the batch."""
    try:
        return _rewrite(settings, table, batch, run=run, now=now)
    except ReloadsError as error:
        failure = Failure(days=batch.days, error=str(error), transient=isinstance(error, OperatorError))
        return Outcome(failed=(failure,))


def _rewrite(settings: Settings, table: str, batch: Batch, *, run: str, now: datetime) -> Outcome:
    requirements = load_table(settings.tables, table).settings.requirements
    if not requirements:
        return rewrite_here(settings, table, batch, run=run, now=now)
    begun = time.monotonic()
    python = ensure_environment(requirements, folder=settings.environments)
    value = {
        "settings": settings.model_dump(mode="json"),
        "table": table,
        "batch": batch.to_json(),
        "run": run,
        "now": now.isoformat(),
    }
    outcome = Outcome.model_validate(call_subprocess(python, "reloads.rewriting.worker", value))
    log.info("%s: its own environment cost %.2f s", table, time.monotonic() - begun - outcome.seconds)
    return outcome


def _cancelled(settings: Settings, batch: Batch) -> Days:
    """The days that nobody wants any more, as all who wanted them gave them up."""
    queue = Queue(settings.landing)
    wanted = given_up = Days()
    for name, days in batch.requests.items():
        record = queue.get(name)
        gone = record.cancelled & days if record else Days()
        wanted, given_up = wanted | (days - gone), given_up | gone
    return (batch.days & given_up) - wanted
