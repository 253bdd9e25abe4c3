"""The first task of a run: plan it, and do a run of one batch to its end.

A task of its own for the batch, and one to settle, cost twice as much as a small batch itself. So they are for a run of
several batches, and for a batch that fails here: Airflow tries that again, and shows in red what is wrong with it.

A task that was killed is tried again, and goes on with the batches that it had planned. Planned anew, the days that it
has published would no longer be those of the request, and the record would not say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reloads.batch import Batch
from reloads.errors import OperatorError, QueryError
from reloads.outcome import Outcome
from reloads.requests.batch_notes import note_run, read_begun_batches
from reloads.runs.plan_step import plan_batches
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import Settled, settle_batches
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.task_settings import read_task_settings


@dataclass(frozen=True)
class BegunRun:
    """A run that was planned and, where it has one batch at most, tried."""

    batches: tuple[Batch, ...]
    outcome: Outcome | None = None
    """Of the one batch, if it was tried."""
    settled: Settled | None = None
    """What the run came to, if it has ended."""

    def tasks(self) -> list[dict[str, Any]]:
        """What is left for the tasks that rewrite: each batch, and what came of it if trying again cannot help."""
        is_final = self.outcome is not None and isinstance(_find_fault(self.outcome), QueryError)
        tried = {"tried": self.outcome.to_json()} if self.outcome and is_final else {}
        return [batch.to_json() | tried for batch in self.batches]


def begin_run(
    settings: Settings, catalog: Catalog, table: str, *, run: str, clock: Callable[[], datetime], may_end: bool = True
) -> BegunRun:
    """Plan a run of ``table``. Where it has one batch at most and ``may_end``: rewrite that, and settle if all is well.

    ``run`` names the run, also in a later try of the same. A table that other workers rewrite is left to them.
    """
    settings.require_landing()
    batches = tuple(read_begun_batches(settings.landing, table, run=run))
    if not batches:
        batches = tuple(plan_batches(settings, catalog, table, now=clock()))
        if batches:
            note_run(settings.landing, table, batches, run=run)
    if len(batches) > 1 or not may_end or (batches and read_task_settings(settings, table).is_elsewhere):
        return BegunRun(batches)
    values = [batch.to_json() for batch in batches]
    outcomes = [run_batch(settings, table, value, run=run, now=clock(), catalog=catalog) for value in values]
    outcome = outcomes[0] if outcomes else None
    if outcome and _find_fault(outcome):
        return BegunRun(batches, outcome)
    answers = [each.to_json() for each in outcomes]
    settled = settle_batches(settings, catalog, table, values, answers, run=run, now=clock())
    return BegunRun(batches, outcome, settled)


def _find_fault(outcome: Outcome) -> OperatorError | QueryError | None:
    """What went wrong, if anything; an ``OperatorError`` may go well the next time."""
    try:
        outcome.raise_failures()
    except (OperatorError, QueryError) as fault:
        return fault
    return None
