"""Which raw file of a day is another one since the day was made from it, and which one is not there yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

from reloads.days import Days
from reloads.raw_file import describe_change
from reloads.tables.definition import Table
from reloads.tables.raw_files import DayFiles, RawFiles
from reloads.warehouse.commit import Making


@dataclass(frozen=True)
class RawFileChanges:
    """The raw files of a table, looked at once for each day that is asked for."""

    table: Table
    raw: RawFiles

    def look_at(self, day: date) -> DayFiles:
        """What lies there of a day."""
        if day not in self._looks:
            self._looks[day] = self.raw.of_day(self.table, day)
        return self._looks[day]

    def why_changed(self, day: date, making: Making) -> str | None:
        """Which raw file of the day is another one, came or went; nothing where a folder of them is away."""
        if not self.table.file_sources:
            return None
        look = self.look_at(day)
        return None if look.is_unknown else describe_change(making.files, look.files)

    def undecidable(self, days: Days) -> Days:
        """Those of the days of which a raw file cannot be looked at, so that nobody knows whether they are stale."""
        if not self.table.file_sources:
            return Days()
        return Days.of(day for day in days if self.look_at(day).is_unknown)

    def why_waiting(self, day: date) -> str | None:
        """Why the day cannot be rewritten yet: the raw file that is not there; None where all are."""
        look = self.look_at(day) if self.table.file_sources else None
        return f"it waits for raw files: {look.missing}" if look and look.missing else None

    @cached_property
    def _looks(self) -> dict[date, DayFiles]:
        return {}
