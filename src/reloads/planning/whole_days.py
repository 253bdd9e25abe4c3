"""The days of a table without keys, looked at together: what lies there of each, and why it is to be rewritten.

Each day has one partition, so nothing is sorted or looked up by name, and what the log has of a month is parsed once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import groupby
from typing import NamedTuple

from reloads.days import Days
from reloads.warehouse.commit import Making
from reloads.warehouse.found_files import FileLook
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.piece import Facts
from reloads.warehouse.state import Snapshot

MISSING = "it is missing"
UNKNOWN = "it is not known what it was made from"
GONE = "a file of it is gone"

WhyMaking = Callable[[date, Making | None], str | None]


class WholeDay(NamedTuple):
    """One day as it is published."""

    why: str | None
    """Why it is to be rewritten; None if it is as it should be."""
    rows: int | None
    """None where nothing is published, or where they are not known."""
    bytes: int | None
    """None where there is no file."""


def why_file(version: int, *, is_there: bool, is_ours: bool) -> str | None:
    """What speaks against a partition before it is asked what it was made from; ``version`` is what the log has."""
    if not is_there:
        return GONE if version else MISSING
    return None if version and is_ours else UNKNOWN


def look_at_whole_days(
    folder: TableFolder, published: Snapshot, days: Days, why_making: WhyMaking
) -> dict[date, WholeDay]:
    """Each of these days, of which ``published`` was read; ``why_making`` says what speaks against a making."""
    look, begin = FileLook(folder), f"{folder.day_column}="
    found: dict[date, WholeDay] = {}
    for _, month in groupby(days, key=lambda day: (day.year, day.month)):
        facts: Facts | None = None
        makings: dict[int, Making | None] = {}
        for day in month:
            facts = facts or published.facts_of(published.form.piece_of(day))
            name = begin + day.isoformat()
            fact = facts.by_name.get(name)
            version = fact["version"] if fact else 0
            size, is_ours = look.look(
                name, version, fact["bytes"] if fact else 0, fact.get("modified_ns", 0) if fact else 0
            )
            if fact and is_ours:
                place = fact["making"]
                if place not in makings:
                    makings[place] = facts.making(place)
                why = why_making(day, makings[place])
            else:
                why = why_file(version, is_there=size is not None, is_ours=is_ours)
            is_known = is_ours or (size is None and version > 0)
            found[day] = WholeDay(why, fact["rows"] if fact and is_known else None, size)
    return found
