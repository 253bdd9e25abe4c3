"""The meter of a batch: adds up what is staged and how long each step takes, and tells whoever wants to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import date

from reloads.days import Days
from reloads.progress import STEPS, BatchProgress, Step
from reloads.warehouse.partition_name import PartitionName

Report = Callable[[BatchProgress], object]


def report_nothing(_progress: BatchProgress) -> None:
    """For a batch that nobody watches."""


class Meter:
    """What one batch has staged: of the days that it is done with, and of those that it writes now."""

    def __init__(self, report: Report = report_nothing) -> None:
        self._report = report
        self._kept: dict[date, int] = {}
        self._rows: dict[date, int] = {}
        self._complete = Days()
        self._seconds: dict[Step, float] = {}
        self._step, self._since = STEPS[0], time.monotonic()

    def count(self, rows: Mapping[PartitionName, int], *, complete: Days) -> None:
        """These are the rows of all files that lie in the staging folder, and the days of which all files lie there."""
        rows_by_day: dict[date, int] = {}
        for name, count in rows.items():
            rows_by_day[name.day] = rows_by_day.get(name.day, 0) + count
        self._rows, self._complete = rows_by_day, complete

    def show(self, step: Step, percent: int | None = None) -> None:
        """Tell how far the batch is."""
        self._count_seconds()
        self._step = step
        staged = self._complete | Days.of(self._kept)
        self._report(BatchProgress(step, staged, self._kept | self._rows, percent))

    def read_seconds(self) -> dict[str, float]:
        """The seconds of each step so far. Whether a query reads or writes is looked at once a second."""
        self._count_seconds()
        return {step: round(self._seconds[step], 3) for step in STEPS if step in self._seconds}

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self._seconds[self._step] = self._seconds.get(self._step, 0.0) + now - self._since
        self._since = now

    def keep(self, days: Days) -> None:
        """Of what is written now the batch is done with these days, and others are written again or not at all."""
        for day in days:
            self._kept[day] = self._rows.get(day, 0)
        self._rows, self._complete = {}, Days()
