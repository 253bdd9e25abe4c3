"""Records of a folder, each read once for as long as its file stays as it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from reloads.requests.record_file import order_by_age, read_records
from reloads.requests.record_id import is_id_for_table

_Stamp = tuple[int, int, int]


@dataclass
class RecordCache:
    """Reads the records of a state, and remembers those that it has read."""

    _known: dict[State, dict[str, tuple[_Stamp, Record | None]]] = field(default_factory=dict)

    def read(self, queue: Queue, state: State, *, table: str | None = None) -> list[Record]:
        """The records in that state that are not archived, oldest first; of all tables or of one."""
        folder = queue.landing / state
        stamps = _list_stamps(folder, lambda name: table is None or is_id_for_table(name, table))
        known = self._known.get(state, {})
        now_known: dict[str, tuple[_Stamp, Record | None]] = dict(known) if table else {}
        records: list[Record] = []
        for name, stamp in stamps.items():
            if name not in known or known[name][0] != stamp:
                now_known[name] = stamp, next(iter(read_records([folder / name])), None)
            else:
                now_known[name] = known[name]
            record = now_known[name][1]
            if record is not None and table in (None, record.table):
                records.append(record)
        self._known[state] = now_known
        return sorted(records, key=order_by_age)


def _list_stamps(folder: Path, is_wanted: Callable[[str], bool]) -> Mapping[str, _Stamp]:
    """By the name of a file, what changes with its content: a record is replaced whole."""
    stamps: dict[str, _Stamp] = {}
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".json") and is_wanted(entry.name.removesuffix(".json")):
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    stamps[entry.name] = status.st_ino, status.st_mtime_ns, status.st_size
    return stamps
