"""The requests that ended, the latest first, without reading all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from reloads.requests.endings import KEPT, read_endings
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from reloads.requests.record_file import read_records

ENDED_STATES: tuple[State, ...] = ("done", "failed", "cancelled")
MOST_READ = 2000
"""So many records are read at once, however few of them are looked for: 2,000 take half a second."""


class EndedPage(NamedTuple):
    """Some of the requests that ended, the latest first."""

    records: list[Record]
    next: datetime | None
    """Those that ended before it come next; None if there are no more."""


def ended_at(record: Record) -> datetime:
    """When it ended."""
    return record.finished_at or record.accepted_at


def read_latest(queue: Queue, *, limit: int) -> EndedPage | None:
    """The requests that ended last, by the list of them that is kept; None where that list does not reach."""
    endings = read_endings(queue.landing)
    if endings is None:
        return None
    records: list[Record] = []
    for ending in reversed(endings):
        location = None if ending.is_rejected else queue.find(ending.name)
        if location and location.state in ENDED_STATES:
            records += read_records([location.path])
    if len(records) < limit and len(endings) >= KEPT:
        return None
    return _cut(records, limit, is_more=len(endings) >= KEPT)


def read_ended(
    queue: Queue,
    *,
    limit: int,
    states: Sequence[State] = ENDED_STATES,
    table: str | None = None,
    before: datetime | None = None,
    is_wanted: Callable[[Record], bool] = lambda _: True,
) -> EndedPage:
    """The requests that ended last before that time, of these states and of that table, and that are wanted.

    At most ``MOST_READ`` records are read: where that is not enough, the page may be short, and ``next`` goes on.
    """
    records: list[Record] = []
    reached: datetime | None = None
    files = sorted(_list_files(queue.landing, states, table), reverse=True)
    for count, (changed_at, path) in enumerate(files):
        # A record changes when it ends or later, so that none of those left ended after this time.
        enough = len(records) > limit and changed_at < ended_at(sorted(records, key=ended_at)[-limit - 1])
        if enough or count == MOST_READ:
            reached = changed_at
            break
        for record in read_records([path]):
            if (before is None or ended_at(record) < before) and is_wanted(record):
                records.append(record)
    page = _cut(records, limit, is_more=False)
    return page._replace(next=reached) if reached and page.next is None else page


def _cut(records: list[Record], limit: int, *, is_more: bool) -> EndedPage:
    newest_first = sorted(records, key=lambda record: (ended_at(record), record.id), reverse=True)
    shown = newest_first[:limit]
    has_next = is_more or len(newest_first) > limit
    return EndedPage(shown, ended_at(shown[-1]) if has_next and shown else None)


def _list_files(landing: Path, states: Sequence[State], table: str | None) -> Iterator[tuple[datetime, Path]]:
    """The files of records in these folders, and when each changed last."""
    pattern = re.compile(rf".*-{re.escape(table)}-[0-9a-f]{{12}}\.json" if table else r"[^.].*\.json")
    for state in states:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(landing / state) as entries:
            for entry in entries:
                if pattern.fullmatch(entry.name):
                    with suppress(OSError, ValueError, OverflowError):
                        yield datetime.fromtimestamp(entry.stat().st_mtime, UTC), Path(entry.path)
