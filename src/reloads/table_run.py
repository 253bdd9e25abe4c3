"""One run of one table: plan what is outstanding, rewrite each batch, settle what came of it.

Airflow runs these steps as tasks, the command line in one process. Each can be run twice: a crash between two of them
repeats work and loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reloads.days import Days
from reloads.engine import Share
from reloads.plan import make_plan
from reloads.queue import Queue
from reloads.record import Failure, Outcome, Record
from reloads.rewrite import Provenance, rewrite_batch
from reloads.settings import Settings
from reloads.staging import remove_abandoned
from reloads.table import load_table

SHOWN_RANGES = 3
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Some days of one table, the requests they are rewritten for, and how many batches share the machine."""

    days: Days
    requests: tuple[str, ...]
    of: int

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom; ``label`` is what the UI shows."""
        return {"label": label(self.days), "days": self.days.texts(), "requests": list(self.requests), "of": self.of}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Batch:
        """The inverse of ``to_json``."""
        return cls(Days.parse(value["days"]), tuple(value["requests"]), value["of"])


@dataclass(frozen=True)
class Settled:
    """What a run came to."""

    published: Days
    failed: tuple[Failure, ...]
    outstanding: tuple[Record, ...]
    """Requests of the table that still want something: they wake the next run."""


def plan_batches(settings: Settings, table: str) -> list[Batch]:
    """The batches of the next run of ``table``, from all its outstanding requests; empty if there is nothing to do."""
    remove_abandoned(settings.warehouse)
    queue = Queue(settings.landing)
    records = queue.outstanding(table)
    limits = load_table(settings.tables, table).settings
    plan = make_plan(
        records,
        partitions_per_run=limits.partitions_per_run,
        parallelism=limits.parallelism or min(settings.threads, settings.tasks_at_once),
        days_per_batch=limits.days_per_batch,
    )
    queue.attend(records)
    wanted = sum(len(days) for days in plan.batches)
    log.info("%s: %d partitions in %d batches, %d left for the next run", table, wanted, len(plan.batches), plan.left)
    return [Batch(days, _wanting(records, days), len(plan.batches)) for days in plan.batches]


def rewrite_one(settings: Settings, table: str, batch: dict[str, Any], *, run: str, now: datetime) -> Outcome:
    """Rewrite and publish one batch; whatever went wrong stands in the outcome."""
    todo = Batch.from_json(batch)
    outcome = rewrite_batch(
        todo.days,
        table=load_table(settings.tables, table),
        warehouse=settings.warehouse,
        source=settings.source,
        share=Share.of(settings, batches=todo.of),
        provenance=Provenance(requests=todo.requests, run=run, written_at=now),
    )
    log.info("%s: published %s", table, outcome.summary())
    for failure in outcome.failed:
        log.error("%s: %s kept the published files: %s", table, failure.days, failure.error)
    return outcome


def settle_batches(
    settings: Settings,
    table: str,
    batches: Sequence[dict[str, Any]],
    outcomes: Iterable[dict[str, Any]],
    *,
    run: str,
    now: datetime,
) -> Settled:
    """Write down what became of each request and move the finished ones.

    Days of a batch that left no outcome (its task was killed, and so were its retries) count as failed. Only requests
    that were planned make progress: one accepted later wants data of after its acceptance.
    """
    outcome = sum(map(Outcome.model_validate, filter(None, outcomes)), start=Outcome())
    planned = [Batch.from_json(batch) for batch in batches or ()]
    unknown = Days.of(day for batch in planned for day in batch.days) - outcome.published - outcome.failed_days
    if unknown:
        error = f"the task ended without a result, it was killed or stopped; read its log in the run {run}"
        outcome += Outcome(failed=(Failure(days=unknown, error=error, transient=True),))
    queue = Queue(settings.landing)
    requests = {request for batch in planned for request in batch.requests}
    finished = (record.id for record in queue.outstanding(table) if not record.outstanding)
    for record_id in sorted(requests.union(finished)):
        record = queue.settle(record_id, outcome if record_id in requests else Outcome(), run=run, now=now)
        if record:
            log.info("request %s", record.progress())
    outstanding = tuple(queue.outstanding(table))
    queue.attend(outstanding)
    return Settled(outcome.published, outcome.failed, outstanding)


def label(days: Days) -> str:
    """The days in a few words."""
    shown = ", ".join(days.texts()[:SHOWN_RANGES]) + (", …" if len(days.ranges) > SHOWN_RANGES else "")
    return shown if len(days) == 1 else f"{shown} ({len(days)} days)"


def _wanting(records: Sequence[Record], days: Days) -> tuple[str, ...]:
    return tuple(record.id for record in records if record.outstanding & days)
