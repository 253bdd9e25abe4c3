"""What the asset events say that this pipeline emits.

An announcement is one event on ``requested/<table>`` for all requests of a table that one look found. It only wakes the
consumer, which reads the requests from the queue. So one event is enough for any number of them, and a burst of
requests does not become a burst of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

from reloads.days import Days
from reloads.errors import shorten
from reloads.requests.record import Record

LOOK_AGAIN = "look-again"
"""What stands for the request in the event by which a plan has the next one look back at the log of events."""

_HOW = {
    "daily": "by the clock",
    "landing": "by a file",
    "manual": "by a form",
    "event": "by an event",
    "arrival": "by raw files",
    "cascade": "follows its inputs",
    "schema": "its columns changed",
}
"""How somebody asked, by the mode of the record."""


@dataclass(frozen=True)
class Announcement:
    """What the event says: the oldest of the requests, how many there are, and the range that holds all their days."""

    table: str
    first: date
    last: date
    request: str
    days: Days
    """Of that request."""
    mode: str
    reason: str | None
    requested_by: str | None = None
    requests: int = 1

    @classmethod
    def of(cls, record: Record) -> Self:
        """The announcement of one request."""
        first, last = record.days.ranges[0].first, record.days.ranges[-1].last
        return cls(record.table, first, last, record.id, record.days, record.mode, record.reason, record.requested_by)

    def with_record(self, record: Record) -> Self:
        """The announcement of one request more."""
        first, last = record.days.ranges[0].first, record.days.ranges[-1].last
        return replace(self, first=min(self.first, first), last=max(self.last, last), requests=self.requests + 1)

    def extra(self) -> dict[str, Any]:
        """The extra of the event; ``request`` tells it from an event that somebody else emits."""
        return {
            "about": self._about(),
            "table": self.table,
            "start_date": str(self.first),
            "end_date": str(self.last),
            "mode": self.mode,
            "request": self.request,
            "requests": self.requests,
            "reason": self.reason,
            "requested_by": self.requested_by,
        }

    def _about(self) -> str:
        """The event in one sentence, which a page shows first as its name does."""
        text = f"{shorten(str(self.days))} of {self.table} ({_HOW.get(self.mode, self.mode)}"
        text += f", {shorten(self.requested_by)})" if self.requested_by else ")"
        text += f": {self.reason}" if self.reason else ""
        return text if self.requests == 1 else f"{text}; and {self.requests - 1} more, {self.first} to {self.last}"


def announce(records: Iterable[Record]) -> list[Announcement]:
    """One announcement for each table of these requests."""
    announcements: dict[str, Announcement] = {}
    for record in records:
        known = announcements.get(record.table)
        announcements[record.table] = known.with_record(record) if known else Announcement.of(record)
    return list(announcements.values())


def look_again_extra(table: str) -> dict[str, Any]:
    """The extra of the event on ``requested/<table>`` that only asks for one more run."""
    return {"about": "look at the log of events once more", "table": table, "request": LOOK_AGAIN}


def publication_extra(table: str, days: Days, *, requests: Sequence[str], rows: int, commit: str) -> dict[str, Any]:
    """The extra of the event on ``warehouse/<table>`` that says which partitions changed.

    It names the first of the ``requests`` that changed them, and counts all.
    """
    about = f"{shorten(str(days))} of {table} changed; rows of these days now: {rows:,}"
    return {
        "about": about,
        "table": table,
        "start_date": str(days.ranges[0].first),
        "end_date": str(days.ranges[-1].last),
        "ranges": days.texts(),
        "rows": rows,
        "request": requests[0] if requests else None,
        "requests": len(requests),
        "commit": commit,
    }
