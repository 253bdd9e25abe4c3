"""Which table that a query reads has changed since a day was made from it: a comparison of numbers of commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from reloads.warehouse.commit import Making, Point
from reloads.warehouse.state import Snapshot

NOTHING_READ = Point()


@dataclass(frozen=True)
class InputChanges:
    """What the logs say of the inputs of a table, as far as some of its days depend on them."""

    windows: Mapping[str, int]
    """Of each input, on how many of its days a day depends."""
    snapshots: Mapping[str, Snapshot]

    def why_changed(self, day: date, making: Making) -> str | None:
        """Which input changed after it was read for the day; None where none did."""
        for name, window in self.windows.items():
            if not making.inputs.get(name, NOTHING_READ).has_read(*self._last_change(name, day, window)):
                return f"{name} changed"
        return None

    def _last_change(self, name: str, day: date, window: int) -> tuple[str, int]:
        """The log of an input, and the last commit in it that changed what the day depends on; 0 if none ever did."""
        snapshot = self.snapshots[name]
        if window == 1:
            return snapshot.head.point.log, snapshot.last_changes.get(day, 0)
        if (name, day) not in self._last_changes:
            changes, ordinal = snapshot.last_changes, day.toordinal()
            days = (date.fromordinal(each) for each in range(max(1, ordinal + 1 - window), ordinal + 1))
            self._last_changes[name, day] = max(changes.get(each, 0) for each in days)
        return snapshot.head.point.log, self._last_changes[name, day]

    @cached_property
    def _last_changes(self) -> dict[tuple[str, date], int]:
        """Of the inputs, for each day; a day of a table with keys is asked for once for each of them."""
        return {}
