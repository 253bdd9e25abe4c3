"""What is kept of a look at all days of a table, so that the next one need not look at them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from reloads.days import Days
from reloads.inspection.calendar import CalendarDay, DayState
from reloads.warehouse.commit import Point


class KeptDay(NamedTuple):
    """What is kept of a day: 182,000 of them, of 50 tables in ten years."""

    state: DayState
    is_there: bool
    is_loaded: bool
    rows: int
    bytes: int
    request: str | None

    @classmethod
    def of(cls, day: CalendarDay) -> KeptDay:
        """What is kept of that day."""
        published = day.cell.published
        return cls(
            day.cell.state,
            published.is_there,
            published.is_loaded,
            published.rows or 0,
            published.bytes or 0,
            day.cell.request,
        )


@dataclass
class DaySums:
    """The sums of some days."""

    counts: Counter[DayState] = field(default_factory=Counter)
    rows: int = 0
    bytes: int = 0
    published: Days = field(default_factory=Days)

    @classmethod
    def of(cls, days: Mapping[date, KeptDay]) -> DaySums:
        """Those of these days."""
        return cls(
            Counter(day.state for day in days.values()),
            sum(day.rows for day in days.values()),
            sum(day.bytes for day in days.values()),
            Days.of(day for day, each in days.items() if each.is_there),
        )

    def replace(self, before: DaySums, after: DaySums, days: Days) -> DaySums:
        """The sums once these days, whose sums were ``before``, are ``after``."""
        counts = Counter(self.counts)
        counts.subtract(before.counts)
        counts.update(after.counts)
        return DaySums(
            counts,
            self.rows - before.rows + after.rows,
            self.bytes - before.bytes + after.bytes,
            (self.published - days) | after.published,
        )


@dataclass
class TableLook:
    """What was published of all days of a table when they were looked at."""

    version: str
    points: Mapping[str, Point]
    """How far the logs of the table and of its inputs had come."""
    looked_at: datetime
    days: dict[date, KeptDay] = field(default_factory=dict)
    known: Days = field(default_factory=Days)
    """The days that were looked at, as a set."""
    loaded: Days = field(default_factory=Days)
    sums: DaySums = field(default_factory=DaySums)

    def to_json(self) -> dict[str, Any]:
        """A value of a few bytes for each day."""
        return {
            "version": self.version,
            "points": {name: str(point) for name, point in self.points.items()},
            "looked_at": self.looked_at.isoformat(),
            "days": [[day.toordinal(), *each] for day, each in self.days.items()],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TableLook:
        """The inverse."""
        days = {date.fromordinal(ordinal): KeptDay(*each) for ordinal, *each in value["days"]}
        return cls(
            value["version"],
            {name: Point.parse(text) for name, text in value["points"].items()},
            datetime.fromisoformat(value["looked_at"]),
            days,
            Days.of(days),
            Days.of(day for day, each in days.items() if each.is_loaded),
            DaySums.of(days),
        )
