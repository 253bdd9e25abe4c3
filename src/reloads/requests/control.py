"""Steering requests that are under way or ended: cancel, retry, undo."""

from __future__ import annotations

import json
import logging
from datetime import datetime

from reloads.errors import RequestError
from reloads.files import free_name, write_atomically
from reloads.requests.queue import Queue, read_record
from reloads.requests.record import Record, request_from_record

log = logging.getLogger(__name__)


def find_records(queue: Queue, wanted: str) -> list[Record]:
    """The records of that id, or of the dropped file of that name; raises ``RequestError`` if there are none."""
    found = [
        record
        for state in ("accepted", "done", "failed", "cancelled")
        for record in queue.records(state)
        if wanted in (record.id, record.file)
    ]
    if not found:
        raise RequestError(f"{wanted!r} is no request; reloads status lists them")
    return found


def cancel_request(queue: Queue, wanted: str, *, now: datetime) -> list[Record]:
    """Give up what is outstanding: batches that run are finished, the rest is not begun."""
    found = find_records(queue, wanted)
    cancelled = [record for one in found if (record := queue.cancel(one.id, now=now))]
    if not cancelled:
        state = queue.find(found[0].id)
        raise RequestError(
            f"{wanted!r} has ended already ({state[0] if state else 'gone'}); undo puts back what it did"
        )
    return cancelled


def retry_request(queue: Queue, wanted: str) -> list[str]:
    """Ask again for what is missing from a failed or cancelled request; returns the names of the files dropped."""
    dropped = []
    for record in find_records(queue, wanted):
        found = queue.find(record.id)
        if found is None or found[0] not in ("failed", "cancelled"):
            continue
        fields = request_from_record(json.loads(read_record(found[1]).to_json()))
        name = f"{free_name(queue.landing, f'retry-{record.id}', endings=('.json',))}.json"
        write_atomically(queue.landing / name, json.dumps(fields, indent=2) + "\n")
        dropped.append(name)
    if not dropped:
        raise RequestError(f"{wanted!r} neither failed nor was cancelled; ask for its days with: reloads request")
    return dropped
