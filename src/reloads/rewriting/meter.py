"""The meter of a batch: adds up what is staged, and tells whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from reloads.days import Days
from reloads.progress import BatchProgress, Step
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
        self._progress = BatchProgress()

    def count(self, rows: Mapping[PartitionName, int], *, complete: Days) -> None:
        """These are the rows of all files that lie in the staging folder, and the days of which all files lie there."""
        rows_by_day: dict[date, int] = {}
        for name, count in rows.items():
            rows_by_day[name.day] = rows_by_day.get(name.day, 0) + count
        self._rows, self._complete = rows_by_day, complete

    def show(self, step: Step, percent: int | None = None) -> None:
        """Tell how far the batch is."""
        staged = self._complete | Days.of(self._kept)
        self._report(BatchProgress(step, staged, self._kept | self._rows, percent))

    def keep(self, days: Days) -> None:
        """Of what is written now the batch is done with these days, and others are written again or not at all."""
        for day in days:
            self._kept[day] = self._rows.get(day, 0)
        self._rows, self._complete = {}, Days()
