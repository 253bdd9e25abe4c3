"""The archive of done requests: one file a month, ``landing/done/archive/YYYY-MM.jsonl``, one record a line.

A folder with years of single files is slow to list and tedious to back up. A record moves into the archive whole,
long after it was finished; a line of it put back into the drop folder as a ``.json`` file asks again.

``Queue.find`` does not look here, so only a record whose act of asking cannot be met again may move: a run's retry and
a rescan after a crash come within days, and a dropped file that could not be removed keeps its record in ``done/``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reloads.errors import OperatorError
from reloads.files import cannot_write, make_folder, sync_folder, write_atomically
from reloads.requests.drop_folder import names_in_sight
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
    for path, finished_at, line in _read_finished(queue):
        if now - finished_at > timedelta(days=older_than_days):
            months[f"{finished_at.astimezone(UTC):%Y-%m}"][path] = line
    count = 0
    for month, lines in sorted(months.items()):
        _append_lines(queue.folder("done") / "archive" / f"{month}.jsonl", list(lines.values()))
        _remove_files(list(lines))
        count += len(lines)
    return count


def _read_finished(queue: Queue) -> Iterator[tuple[Path, datetime, str]]:
    """The files of done requests, the time when each was finished, and its content on one line."""
    records = queue.records("done")
    in_sight = names_in_sight(queue.landing) if records else set()
    for record in records:
        path = queue.landing / "done" / f"{record.id}.json"
        if record.file in in_sight:
            continue
        with suppress(FileNotFoundError):
            # As it lies there, not as this version of the record reads it: fields of other versions stay.
            line = json.dumps(json.loads(path.read_bytes()), ensure_ascii=False, separators=(",", ":"))
            yield path, record.finished_at or record.accepted_at, line


def _append_lines(archive: Path, lines: list[str]) -> None:
    """Add the lines to the archive, but those that a call before a crash has added already."""
    make_folder(archive.parent)
    try:
        # Not by splitlines, which also splits at characters that JSON leaves as they are, like U+2028.
        archived = archive.read_text(encoding="utf-8").split("\n")[:-1] if archive.exists() else []
    except OSError as error:
        raise OperatorError(f"{archive} cannot be read ({error.strerror}); grant access to it") from error
    merged = dict.fromkeys([*archived, *lines])  # each line once, in order
    write_atomically(archive, "".join(f"{line}\n" for line in merged))


def _remove_files(paths: list[Path]) -> None:
    folder = paths[0].parent
    try:
        for path in paths:
            path.unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
