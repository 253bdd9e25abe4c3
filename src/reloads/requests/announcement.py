"""Announcements: one asset event on ``requested/<table>`` for all requests of a table that one look found.

The event only wakes the consumer, which reads the requests from the queue. So one event is enough for any number of
them, and a burst of requests does not become a burst of events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

from reloads.requests.record import Record


@dataclass(frozen=True)
class Announcement:
    """What the event says: the oldest of the requests, how many there are, and the range that holds all their days."""

    table: str
    first: date
    last: date
    request: str
    mode: str
    reason: str | None
    requests: int = 1

    @classmethod
    def of(cls, record: Record) -> Self:
        """The announcement of one request."""
        first, last = record.days.ranges[0].first, record.days.ranges[-1].last
        return cls(record.table, first, last, record.id, record.mode, record.reason)

    def with_record(self, record: Record) -> Self:
        """The announcement of one request more."""
        first, last = record.days.ranges[0].first, record.days.ranges[-1].last
        return replace(self, first=min(self.first, first), last=max(self.last, last), requests=self.requests + 1)

    def extra(self) -> dict[str, Any]:
        """The extra of the event; ``request`` tells it from an event that somebody else emits."""
        return {
            "table": self.table,
            "start_date": str(self.first),
            "end_date": str(self.last),
            "mode": self.mode,
            "request": self.request,
            "requests": self.requests,
            "reason": self.reason,
        }


def announce(records: Iterable[Record]) -> list[Announcement]:
    """One announcement for each table of these requests."""
    announcements: dict[str, Announcement] = {}
    for record in records:
        known = announcements.get(record.table)
        announcements[record.table] = known.with_record(record) if known else Announcement.of(record)
    return list(announcements.values())
