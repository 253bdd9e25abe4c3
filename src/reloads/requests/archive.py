"""The archive of done requests: one file a month, ``landing/done/archive/YYYY-MM.jsonl``, one record a line.

A folder with years of single files is slow to list and tedious to back up. A record moves into the archive whole,
long after it was finished; a line of it put back into the drop folder as a ``.json`` file asks again.

``Queue.find`` does not look here, so only a record whose act of asking cannot be met again may move: a run's retry and
a rescan after a crash come within days, and a dropped file that could not be removed keeps its record in ``done/``.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reloads.errors import OperatorError
from reloads.files import sync_folder, write_atomically
from reloads.requests.queue import Queue

YOUNGEST_DAYS = 7


def archive_done(queue: Queue, *, now: datetime, older_than_days: int) -> int:
    """Move the requests done more than so many days ago into the archives of their months; returns their number.

    The archive is replaced whole and flushed before a single file is removed, so a crash at any moment leaves every
    record in one of the two places or in both, and the next call ends what this one began.
    """
    if older_than_days < YOUNGEST_DAYS:
        raise OperatorError(f"{older_than_days} days is too young to be archived; write {YOUNGEST_DAYS} or more")
    months: dict[str, dict[Path, str]] = defaultdict(dict)
    for path, finished_at, line in _finished(queue):
        if now - finished_at > timedelta(days=older_than_days):
            months[f"{finished_at.astimezone(UTC):%Y-%m}"][path] = line
    for month, lines in sorted(months.items()):
        _append(queue.folder("done") / "archive" / f"{month}.jsonl", list(lines.values()))
        _remove(list(lines))
    return sum(map(len, months.values()))


def _finished(queue: Queue) -> Iterator[tuple[Path, datetime, str]]:
    """The files of done requests, when each was finished, and its content on one line."""
    for record in queue.records("done"):
        path = queue.landing / "done" / f"{record.id}.json"
        if record.file and os.path.lexists(queue.landing / record.file):
            continue
        with suppress(FileNotFoundError):
            # As it lies there, not as this version of the record reads it: fields of other versions stay.
            line = json.dumps(json.loads(path.read_bytes()), ensure_ascii=False, separators=(",", ":"))
            yield path, record.finished_at or record.accepted_at, line


def _append(archive: Path, lines: list[str]) -> None:
    try:
        archive.parent.mkdir(exist_ok=True)
        # Not by splitlines, to which characters that JSON leaves as they are end a line too.
        there = archive.read_text(encoding="utf-8").split("\n")[:-1] if archive.exists() else []
    except OSError as error:
        raise OperatorError(f"{archive} cannot be read ({error.strerror}); grant access to it") from error
    known = set(there)
    write_atomically(archive, "".join(f"{line}\n" for line in [*there, *(line for line in lines if line not in known)]))


def _remove(paths: list[Path]) -> None:
    try:
        for path in paths:
            path.unlink(missing_ok=True)
        sync_folder(paths[0].parent)
    except OSError as error:
        raise OperatorError(f"{paths[0].parent} cannot be changed ({error.strerror}); grant access to it") from error
