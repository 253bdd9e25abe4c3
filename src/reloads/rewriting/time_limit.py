"""The time limit of a batch: queries that are still at work then are interrupted, and the batch ends with a sentence.

A task that Airflow's LocalExecutor runs for more than 100 minutes is killed (3.3.2; apache/airflow 67939): then nobody
knows why its days failed, and it is tried again, for as long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING

from reloads.errors import ReloadsError, TimeLimitError

if TYPE_CHECKING:
    import duckdb

INTERRUPT_EVERY_SECONDS = 0.2
"""DuckDB forgets an interruption once a query begins, and some steps take a failed query for an answer and go on."""


@dataclass(frozen=True)
class TimeLimit:
    """When a batch has to be done. What is being published then is published to its end."""

    table: str
    minutes: float
    ends_at: float
    """By the clock that only goes forward."""

    @classmethod
    def begin(cls, table: str, minutes: float | None) -> TimeLimit:
        """The limit of a batch that begins now; without minutes it has none."""
        minutes = float("inf") if minutes is None else minutes
        return cls(table, minutes, time.monotonic() + 60 * minutes)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.ends_at

    def error(self) -> TimeLimitError:
        """What is said of the days that are not published then."""
        return TimeLimitError(
            f"the batch took longer than {self.minutes:g} minutes; ask for fewer days at once, "
            f"or raise batch_minutes in tables/{self.table}/table.toml"
        )

    def check(self) -> None:
        """Raise ``TimeLimitError`` if the time is over."""
        if self.is_over:
            raise self.error()

    @contextmanager
    def bounded(self, db: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """End the queries of the block once the time is over, and then the block with ``TimeLimitError``.

        Whatever the block makes of a query that was interrupted does not count, so it must not leave anything behind.
        """
        import duckdb

        self.check()
        if self.minutes == float("inf"):
            yield
            return
        ended = Event()
        thread = Thread(target=self._interrupt, args=(db, ended), name="time-limit", daemon=True)
        thread.start()
        try:
            yield
        except (duckdb.Error, ReloadsError) as error:
            if self.is_over:
                raise self.error() from error
            raise
        finally:
            ended.set()
            thread.join()
        self.check()

    def _interrupt(self, db: duckdb.DuckDBPyConnection, ended: Event) -> None:
        pause = max(0.0, self.ends_at - time.monotonic())
        while not ended.wait(pause):
            db.interrupt()
            pause = INTERRUPT_EVERY_SECONDS
