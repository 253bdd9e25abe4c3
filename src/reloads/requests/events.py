"""Asset events: what ours say, and how a foreign one on ``requested/<table>`` becomes an accepted request.

An event that this pipeline emits names the request it announces; that request is in the queue, so the event only wakes
the consumer. A foreign event (of another team's DAG, or through the REST API) has no request yet: it becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from reloads.days import Days
from reloads.errors import RequestError, shorten
from reloads.files import write_atomically
from reloads.requests.queue import Queue
from reloads.requests.record import Record, new_record
from reloads.requests.request import ReloadRequest, check_request, parse_request
from reloads.requests.watermark import read_watermark, write_watermark
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

LOOK_BACK = timedelta(minutes=10)
"""How far before the newest event seen events are read again: one may become visible after a younger one."""


@dataclass(frozen=True)
class RequestEvent:
    """An asset event as Airflow's log keeps it; ``origin`` tells it from all others."""

    timestamp: datetime
    origin: str
    extra: Mapping[str, Any]


def publication_extra(table: str, days: Days) -> dict[str, Any]:
    """The extra of the event on ``warehouse/<table>`` that says which partitions were published."""
    return {
        "table": table,
        "start_date": str(days.ranges[0].first),
        "end_date": str(days.ranges[-1].last),
        "ranges": days.texts(),
    }


def unseen_since(settings: Settings, table: str, *, now: datetime) -> datetime:
    """The time from which on events of ``table`` may not have been seen yet."""
    return (_read_newest_seen(settings, table) or now - timedelta(days=1)) - LOOK_BACK


def accept_foreign_events(
    settings: Settings, catalog: Catalog, table: str, events: Iterable[RequestEvent], *, now: datetime
) -> list[Record]:
    """Accept each foreign event as a request, once however often it is seen; bad ones are rejected."""
    queue, today = Queue(settings.landing), settings.day_of(now)
    accepted: list[Record] = []
    watermark = newest = _read_newest_seen(settings, table)
    for event in events:
        newest = max(newest or event.timestamp, event.timestamp)
        if event.extra.get("request"):
            continue
        try:
            request = _parse_extra(table, event.extra)
            check_request(request, catalog=catalog, today=today)
        except RequestError as error:
            _reject(queue, table, event, error)
            continue
        record = new_record(request, table, mode="event", origin=event.origin, now=now)
        if queue.add(record):
            accepted.append(record)
    if newest and newest != watermark:
        write_watermark(queue.landing, "events", table, newest.isoformat())
    return accepted


def _read_newest_seen(settings: Settings, table: str) -> datetime | None:
    """The time of the newest event that was ever seen."""
    return read_watermark(settings.landing, "events", table, datetime.fromisoformat)


def _parse_extra(table: str, extra: Mapping[str, Any]) -> ReloadRequest:
    if extra.get("table", table) != table:
        raise RequestError(
            f"table {shorten(repr(extra['table']))} is not the one whose asset the event is on; emit it on that one"
        )
    fields = {name: value for name, value in extra.items() if name in ReloadRequest.model_fields}
    return parse_request(fields | {"table": table})


def _reject(queue: Queue, table: str, event: RequestEvent, error: RequestError) -> None:
    """Leave the sentence where rejected files have theirs; the event itself stays in Airflow's log."""
    folder = queue.folder("rejected")
    label = f"event-{table}-{event.timestamp:%Y%m%dT%H%M%S}-{sha256(event.origin.encode()).hexdigest()[:8]}"
    sentence = f"event on requested/{table} of {event.timestamp.isoformat()} by {event.origin}: {error}\n"
    if not (folder / f"{label}.error.txt").exists():
        write_atomically(folder / f"{label}.error.txt", sentence)
