"""The daily load: which days are due."""

from __future__ import annotations

from datetime import date, timedelta

from reloads.days import Days


def due_days(*, yesterday: date, last: date | None, first_day: date, at_most: int, look_back: int = 0) -> Days:
    """The days to load now: yesterday, and each day since ``last`` that nobody asked for while nothing ran.

    ``look_back`` so many days before them are due again, for rows that came late.

    ``last`` is the day of the last daily request, None before the first. Of a long gap the newest ``at_most`` days are
    due; older ones are a reload that somebody asks for.
    """
    first = yesterday if last is None else min(last + timedelta(days=1), yesterday)
    first = max(first, yesterday - timedelta(days=at_most - 1))
    first = max(first - timedelta(days=look_back), first_day)
    return Days.between(first, yesterday) if first <= yesterday else Days()
