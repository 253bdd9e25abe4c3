"""Finding requests by what a person knows of them: an id, or the name of the file that they dropped.

Only names are listed, and only where a file is asked for; no record is read but those that are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from reloads.errors import RequestError, printable
from reloads.files import MAX_NAME_BYTES, printable_name
from reloads.requests.queue import RECORD_STATES, Queue
from reloads.requests.record import Record
from reloads.requests.record_file import order_by_age, read_records
from reloads.requests.record_id import matcher_of_records

SHOWN_IDS = 5


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


def list_ids(queue: Queue, start: str) -> list[str]:
    """The ids that begin so, of all records that are not archived, sorted."""
    return sorted(_list_ids(queue, lambda name: name.startswith(start) and name.endswith(".json")))


def resolve(queue: Queue, text: str) -> str:
    """The id or the dropped file that a person means by it: also by ``<id>.json``, and by the beginning of one id.

    What is the name of nothing comes back as it is. Raises ``RequestError`` where several ids begin so.
    """
    if not text or find_named(queue, text):
        return text
    stem = text.removesuffix(".json")
    if stem != text:
        return stem if _read_record(queue, stem) else text
    ids = list_ids(queue, text)
    if len(ids) > 1:
        shown = ", ".join(map(printable_name, ids[:SHOWN_IDS])) + (", …" if len(ids) > SHOWN_IDS else "")
        raise RequestError(
            f"{printable(text)!r} is how {len(ids)} requests begin: {shown}; write more of the one you mean"
        )
    return ids[0] if ids else text


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
