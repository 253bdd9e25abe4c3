"""Reading the log of asset events in pages, oldest first.

Airflow's API server loads each event with a query of its own, so that a thousand events take it seconds, and a client
waits five. What is read is therefore read in pages that it answers in a fraction of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from reloads.errors import OperatorError

PAGE_SIZE = 200
"""Half a second's reading on two busy cores, where a client waits five seconds (Airflow 3.3.2)."""

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class RequestEvent:
    """An asset event as Airflow's log keeps it; ``origin`` tells it from all others."""

    timestamp: datetime
    origin: str
    extra: Mapping[str, Any]
    fault: str | None = None
    """Why the log cannot hand out what it holds; nothing but the time is known then."""


class LatePageError(OperatorError):
    """The log did not answer in time; it may do so for fewer events."""


class UnreadableEventError(OperatorError):
    """One of the events asked for can never be read, however often it is tried."""


class ReadPage(Protocol):
    """The log of one table's events."""

    def __call__(self, after: datetime, limit: int, before: datetime | None = None) -> Sequence[RequestEvent]:
        """The oldest ``limit`` events of ``after`` to ``before``, both included, by time; ties in any order.

        Raises ``UnreadableEventError`` if one of them is unreadable, ``LatePageError`` after a time-out, and
        ``OperatorError`` if the log does not answer.
        """


def read_pages(read_page: ReadPage, *, since: datetime, until: datetime) -> Iterator[Sequence[RequestEvent]]:
    """Every event from ``since`` on, in pages by time; at the seam of two pages an event may be in both.

    More events of one moment than a page holds are read in a larger page. An event that cannot be read is a page of
    its own, with its ``fault``; ``until`` is later than the time of any event.
    """
    page_size = limit = PAGE_SIZE
    after = since
    while True:
        try:
            page = read_page(after, limit)
        except UnreadableEventError as error:
            page = _readable_start(read_page, after, limit)
            yield page
            event = _find_unreadable(read_page, after, len(page) + 1, until=until, error=error)
            yield [event]
            # An event of the very microsecond would be passed over too, unless it was in the page before.
            after, limit = event.timestamp + MICROSECOND, page_size
            continue
        except LatePageError:
            if limit == 1 or page_size == 1:
                raise
            page_size = limit = max(1, page_size // 4)
            continue
        yield page
        if len(page) < limit:
            return
        newest = page[-1].timestamp
        if newest > after:
            after, limit = newest, page_size
        else:
            limit *= 2


def _readable_start(read_page: ReadPage, after: datetime, limit: int) -> Sequence[RequestEvent]:
    """The events before the first that cannot be read, which is among the oldest ``limit``."""
    page: Sequence[RequestEvent] = []
    good, bad = 0, limit
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            page, good = read_page(after, middle), middle
        except UnreadableEventError:
            bad = middle
    return page


def _find_unreadable(
    read_page: ReadPage, after: datetime, number: int, *, until: datetime, error: UnreadableEventError
) -> RequestEvent:
    """The event of that number from ``after`` on, which cannot be read, found by its time: no answer ever names it."""
    good, bad = after - MICROSECOND, until
    while bad - good > MICROSECOND:
        middle = good + (bad - good) // 2
        try:
            read_page(after, number, middle)
            good = middle
        except UnreadableEventError:
            bad = middle
    return RequestEvent(bad, f"event/unreadable/{bad.isoformat()}", {}, fault=str(error))
