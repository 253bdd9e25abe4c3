"""Days, date ranges and sets of days: the only date convention of the project.

A day is a ``datetime.date`` with the text form ``YYYY-MM-DD`` and no other. A range includes both its ends.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain

from reloads.errors import RequestError, shorten

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_day(text: object, *, field: str = "day") -> date:
    """The day that ``text`` names.

    Raises ``RequestError`` for anything but ``YYYY-MM-DD``: other forms that ISO 8601 allows (``20130101``,
    ``2013-W01-1``), times, numbers and null are refused, because a guess would rewrite the wrong days.
    """
    if not isinstance(text, str) or not _DAY.fullmatch(text):
        shown = "null" if text is None else shorten(repr(text))
        raise RequestError(f"{field} {shown} is not a day of the form YYYY-MM-DD; write it like '2013-01-31'")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RequestError(f"{field} '{text}' is not in the calendar; write a day that exists") from error


@dataclass(frozen=True, order=True)
class DateRange:
    """First and last day, both included. The text form is ``first..last``, or the day alone where they are one."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise RequestError(f"end_date {self.last} is before start_date {self.first}; swap them")

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[date]:
        return map(date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    @classmethod
    def parse(cls, text: str) -> DateRange:
        """The inverse of ``str(range)``."""
        first, dots, last = text.partition("..")
        return cls(parse_day(first), parse_day(last if dots else first))


def _ends(date_range: DateRange) -> tuple[date, date]:
    return date_range.first, date_range.last


@dataclass(frozen=True)
class Days:
    """A set of days, held as sorted ranges that neither overlap nor touch, so that equal sets are equal values."""

    ranges: tuple[DateRange, ...] = ()

    @classmethod
    def of(cls, days: Iterable[date]) -> Days:
        """The set of the given days, in any order, duplicates welcome."""
        # On ordinals: 4,000 days take 0.3 ms, and 12 ms as ranges of one day each.
        ranges: list[DateRange] = []
        first, last = 0, -1  # the calendar's first day is ordinal 1: no day follows on -1
        for ordinal in sorted({day.toordinal() for day in days}):
            if ordinal != last + 1:
                if first:
                    ranges.append(DateRange(date.fromordinal(first), date.fromordinal(last)))
                first = ordinal
            last = ordinal
        if first:
            ranges.append(DateRange(date.fromordinal(first), date.fromordinal(last)))
        return cls(tuple(ranges))

    @classmethod
    def between(cls, first: date, last: date) -> Days:
        """All days of the range, both ends included."""
        return cls((DateRange(first, last),))

    @classmethod
    def from_ranges(cls, ranges: Iterable[DateRange]) -> Days:
        """The days of these ranges, in any order, which may overlap.

        By arithmetic on the ends, never day by day: a file can name the same million days a thousand times.
        """
        merged: list[DateRange] = []
        # By a key: to compare dataclasses takes four times as long, and a file of 1 MiB can hold 70,000 ranges.
        for date_range in sorted(ranges, key=_ends):
            if merged and (date_range.first - merged[-1].last).days <= 1:
                merged[-1] = DateRange(merged[-1].first, max(merged[-1].last, date_range.last))
            else:
                merged.append(date_range)
        return cls(tuple(merged))

    @classmethod
    def union(cls, sets: Iterable[Days]) -> Days:
        """The days that are in one of the sets at least."""
        return cls.from_ranges(chain.from_iterable(days.ranges for days in sets))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Days:
        """The inverse of ``texts()``."""
        return cls.from_ranges(map(DateRange.parse, texts))

    def texts(self) -> list[str]:
        """The ranges as texts, for JSON."""
        return [str(date_range) for date_range in self.ranges]

    def __iter__(self) -> Iterator[date]:
        return chain.from_iterable(self.ranges)

    def __len__(self) -> int:
        return sum(map(len, self.ranges))

    def __contains__(self, day: object) -> bool:
        if not isinstance(day, date):
            return False
        place = bisect_right(self.ranges, day, key=lambda each: each.first)
        return place > 0 and day <= self.ranges[place - 1].last

    def __or__(self, other: Days) -> Days:
        return Days.union((self, other))

    def __and__(self, other: Days) -> Days:
        common: list[DateRange] = []
        i = j = 0
        while i < len(self.ranges) and j < len(other.ranges):
            first = max(self.ranges[i].first, other.ranges[j].first)
            last = min(self.ranges[i].last, other.ranges[j].last)
            if first <= last:
                common.append(DateRange(first, last))
            # The range that ends first meets none of the later ones.
            if self.ranges[i].last < other.ranges[j].last:
                i += 1
            else:
                j += 1
        return Days(tuple(common))

    def __sub__(self, other: Days) -> Days:
        return self & other._complement()

    def _complement(self) -> Days:
        """Every day of the calendar that is not in this set."""
        gaps: list[DateRange] = []
        first = date.min
        for date_range in self.ranges:
            if first < date_range.first:
                gaps.append(DateRange(first, date_range.first - timedelta(days=1)))
            if date_range.last == date.max:
                return Days(tuple(gaps))
            first = date_range.last + timedelta(days=1)
        gaps.append(DateRange(first, date.max))
        return Days(tuple(gaps))

    def __str__(self) -> str:
        return ", ".join(self.texts()) or "no days"

    def newest(self, count: int) -> Days:
        """The last ``count`` days of this set, or all where it has no more. By arithmetic on the ends."""
        ranges: list[DateRange] = []
        missing = count
        for date_range in reversed(self.ranges):
            if missing <= 0:
                break
            first = max(date_range.first, date_range.last - timedelta(days=min(missing, len(date_range)) - 1))
            ranges.append(DateRange(first, date_range.last))
            missing -= len(ranges[-1])
        return Days(tuple(reversed(ranges)))

    def split(self, pieces: int) -> list[Days]:
        """At most ``pieces`` sets of consecutive days of this set, sizes differing by one at most, none empty."""
        days = list(self)
        count = min(pieces, len(days))
        sets: list[Days] = []
        first = 0
        for number in range(1, count + 1):
            end = len(days) * number // count
            sets.append(Days.of(days[first:end]))
            first = end
        return sets
