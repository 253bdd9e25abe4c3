"""What a person does to requests that are under way or ended: find, cancel, retry."""

from __future__ import annotations

from datetime import datetime

from reloads.errors import RequestError
from reloads.files import free_name, write_atomically
from reloads.requests.conversion import request_from_record, without_progress
from reloads.requests.lookup import find_named
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.record_file import read_record
from reloads.requests.request import parse_request


def find_records(queue: Queue, id_or_file: str) -> list[Record]:
    """The records of that id, or of the dropped file of that name; raises ``RequestError`` if there are none."""
    records = find_named(queue, id_or_file)
    if not records:
        raise RequestError(f"{id_or_file!r} is not a request; reloads status lists them")
    return records


def cancel_request(queue: Queue, id_or_file: str, *, now: datetime) -> list[Record]:
    """Give up what is outstanding: nothing more of it is published, also by batches that run."""
    records = find_records(queue, id_or_file)
    cancelled: list[Record] = []
    for record in records:
        cancelled_record = queue.cancel(record.id, now=now)
        if cancelled_record:
            cancelled.append(cancelled_record)
    if not cancelled:
        location = queue.find(records[0].id)
        state = location.state if location else "gone"
        raise RequestError(f"{id_or_file!r} has ended already ({state}); undo puts back what it did")
    return cancelled


def retry_request(queue: Queue, id_or_file: str) -> list[str]:
    """Ask again for what is missing from a failed or cancelled request; returns the names of the files dropped.

    What is dropped is the record, as if somebody had moved it back.
    """
    names: list[str] = []
    for record in find_records(queue, id_or_file):
        location = queue.find(record.id)
        if location is None or location.state not in ("failed", "cancelled"):
            continue
        # Read again, as it may have changed since it was listed.
        repeated = without_progress(read_record(location.path))
        parse_request(request_from_record(repeated))
        name = f"{free_name(queue.landing, f'retry-{record.id}', endings=('.json',))}.json"
        write_atomically(queue.landing / name, repeated.to_json())
        names.append(name)
    if not names:
        raise RequestError(f"{id_or_file!r} neither failed nor was cancelled; ask for its days with: reloads request")
    return names
