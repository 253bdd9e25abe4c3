"""Which days of a batch somebody still wants: its requests say so or, where these are not to be seen, the log does.

A worker of another machine may have no drop folder. A request that is cancelled after the plan is rewritten there all
the same, and its record says what was published. An undo is in the log, so what was taken back since the plan is not
published again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import OperatorError
from reloads.requests.queue import Queue
from reloads.settings import Settings
from reloads.warehouse.commit import Point
from reloads.warehouse.commit_log import CommitLog


class WantedDays(Protocol):
    """Who wants the days of a batch, asked anew each time, as people change their minds."""

    def find_cancelled(self, batch: Batch) -> Days:
        """The days of the batch that everybody who wanted them has given up."""

    def find_open(self, batch: Batch) -> Days:
        """The days of the batch that may be rewritten once more, after somebody else published them meanwhile."""


def whom_to_ask(settings: Settings, table: str, batch: Batch) -> WantedDays:
    """Whom this machine can ask who wants the days of the batch, of which a try begins now."""
    if settings.sees_landing:
        return _ByRequests(Queue(settings.landing))
    return _ByLog.now(CommitLog(settings.warehouse, table), batch)


def refuse_missing_landing(settings: Settings, batch: Batch) -> None:
    """Raise ``OperatorError`` if the drop folder of the batch should be here, and is not.

    One that is empty is a place where nothing is mounted, as whoever planned the batch for requests wrote to it.
    """
    if not settings.sees_landing or not batch.requests:
        return
    try:
        fault = "" if any(settings.landing.iterdir()) else "is empty, though a run was planned in it"
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    if fault:
        cure = "mount it, or set RELOADS_SEES_LANDING=false on a worker that has none"
        raise OperatorError(f"the drop folder {settings.landing} {fault}; {cure}")


@dataclass(frozen=True)
class _ByRequests:
    """By the records in the drop folder."""

    queue: Queue

    def find_cancelled(self, batch: Batch) -> Days:
        wanted_days = cancelled_days = Days()
        for record_id, days in batch.requests.items():
            record = self.queue.get(record_id)
            cancelled = record.cancelled & days if record else Days()
            cancelled_days |= cancelled
            wanted_days |= days - cancelled
        return (batch.days & cancelled_days) - wanted_days

    def find_open(self, batch: Batch) -> Days:
        # Somebody still waits for them: a command, or a request that no run has ended.
        open_days = Days()
        for record_id, days in batch.requests.items():
            record = self.queue.get(record_id)
            open_days |= record.outstanding & days if record else days
        return open_days & batch.days


@dataclass(frozen=True)
class _ByLog:
    """By the log of the table."""

    log: CommitLog
    begun_at: int
    """The number of the last commit when this try of the batch began."""

    @classmethod
    def now(cls, log: CommitLog, batch: Batch) -> _ByLog:
        number = _find_planned_at(batch)
        while number + 1 in log:
            number += 1
        return cls(log, number)

    def find_cancelled(self, batch: Batch) -> Days:
        undone = {commit.undoes for commit in self.log.after(_find_planned_at(batch)) if commit.act == "undo"}
        wanted_days = cancelled_days = Days()
        for request, days in batch.requests.items():
            # Only what has ended can be undone, and then nobody waits for the rest of it either.
            if request in undone:
                cancelled_days |= days
            else:
                wanted_days |= days
        return (batch.days & cancelled_days) - wanted_days

    def find_open(self, batch: Batch) -> Days:
        # What others published since may be what another try of this batch did, which was taken for dead, or what came
        # after the end of its requests. Airflow knows which try counts: that one is tried again, and begins anew.
        touched = Days.union(Days.of(name.day for name in commit.after) for commit in self.log.after(self.begun_at))
        return batch.days - touched


def _find_planned_at(batch: Batch) -> int:
    """The number of the last commit when the run was planned."""
    return Point.parse(batch.planned_at).number if batch.planned_at else 0
