"""When a day is late, and how long its files are waited for: the spans of time that a table's settings name."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reloads.days import Days
from reloads.errors import shorten

_DUE = re.compile(r"([0-9]{2,3}):([0-5][0-9])")
_SPAN = re.compile(r"([1-9][0-9]{0,3}) (day|hour)s?")


def parse_due(text: str) -> timedelta:
    """The span that ``06:00`` names; ``ValueError`` with a clause for anything else."""
    match = _DUE.fullmatch(text)
    if match is None:
        raise ValueError(f"{shorten(repr(text))} is not a time like '06:00'; '30:00' is 6 o'clock one day later")
    return timedelta(hours=int(match[1]), minutes=int(match[2]))


def parse_span(text: str) -> timedelta:
    """The span that ``7 days`` or ``12 hours`` names; ``ValueError`` with a clause for anything else."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{shorten(repr(text))} is not a span like '7 days' or '12 hours'")
    return timedelta(hours=int(match[1]) * (24 if match[2] == "day" else 1))


def find_late_days(days: Days, due: str | None, *, now: datetime, time_zone: str) -> Days:
    """Those of the days that were due by now; none where no time is said."""
    if due is None:
        return Days()
    after = parse_due(due)
    return Days.of(day for day in days if end_of_day(day, time_zone=time_zone, after=after) <= now)


def end_of_day(day: date, *, time_zone: str, after: timedelta = timedelta()) -> datetime:
    """The moment at which the day ends, or so much later by the clocks of that zone."""
    midnight = datetime.combine(day + timedelta(days=1), time())
    # In UTC, as Python subtracts two times of one zone by what their clocks show.
    return (midnight + after).replace(tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
