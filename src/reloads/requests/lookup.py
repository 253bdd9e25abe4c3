"""Finding requests by what a person knows of them: an id, or the name of the file that they dropped.

Only names are listed, and only where a file is asked for; no record is read but those that are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from reloads.files import MAX_NAME_BYTES, printable_name
from reloads.requests.queue import RECORD_STATES, Queue, order_by_age, read_records
from reloads.requests.record import Record
from reloads.requests.record_id import matcher_of_records


def find_named(queue: Queue, id_or_file: str) -> list[Record]:
    """The records of that id, or of the dropped file of that name, oldest first; those archived are not found."""
    name = printable_name(id_or_file)
    ids = _list_ids(queue, matcher_of_records(name)) if name.endswith(".json") else {id_or_file}
    records: list[Record] = []
    for record_id in ids:
        record = _read_record(queue, record_id)
        if record and name in (record.id, record.file):
            records.append(record)
    return sorted(records, key=order_by_age)


def _list_ids(queue: Queue, is_match: Callable[[str], bool]) -> set[str]:
    """The ids that match, of all records that are not archived."""
    ids: set[str] = set()
    # In the order in which records move, so that one that moves meanwhile is met all the same.
    for state in RECORD_STATES:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(queue.landing / state) as entries:
            ids.update(entry.name.removesuffix(".json") for entry in entries if is_match(entry.name))
    return ids


def _read_record(queue: Queue, record_id: str) -> Record | None:
    """The record of that id; None if there is none, also because no file can have that name."""
    if "/" in record_id or len(os.fsencode(f"{record_id}.json")) > MAX_NAME_BYTES:
        return None
    for _ in RECORD_STATES:
        location = queue.find(record_id)
        if location is None:
            return None
        records = read_records([location.path])
        if records:
            return records[0]
    return None
