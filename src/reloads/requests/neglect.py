"""Which accepted requests nobody takes care of: the modification time of a record says when somebody last did."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from reloads.files import cannot_write, write_atomically
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.record_file import read_records

LONGEST_WAIT = timedelta(minutes=10)
WAIT_FOR_FILES = timedelta(hours=1)
IN_LINE_FACTOR = 10
"""So much longer a request may wait while runs are begun, of whatever table: its own is announced and in line.
Announced again, it would have another run, with nothing to do, and of 200 daily tables every third had one."""
BEGUN = Path(".progress") / ".begun"
"""A file below the drop folder; its modification time says when a run was begun last."""
KNOCK = ".knock"
"""A file in the drop folder; when it is written, the doorbell looks at the waiting requests at once."""


def attend(queue: Queue, records: Iterable[Record]) -> None:
    """Note that somebody takes care of these records now."""
    for record in records:
        _set_time(_path(queue, record), None)


def neglect(queue: Queue, records: Iterable[Record]) -> None:
    """Note that nobody takes care of these records yet, so that the next look announces them."""
    for record in records:
        _set_time(_path(queue, record), (0, 0))


def note_begun_run(landing: Path) -> None:
    """Note that a run begins now. It is a courtesy: a disk that takes none delays nothing."""
    with suppress(OSError):
        (landing / BEGUN).parent.mkdir(parents=True, exist_ok=True)
        (landing / BEGUN).touch()


def knock(queue: Queue, records: Iterable[Record]) -> None:
    """Have the doorbell announce these accepted requests now rather than at its next look."""
    neglect(queue, records)
    write_atomically(queue.landing / KNOCK, "")


def find_neglected(queue: Queue, *, now: datetime, after: timedelta) -> list[Record]:
    """The accepted requests that nobody took care of for a while, oldest first.

    The time allowed is ``after`` for a young request and grows with its age to ten minutes, so that the requests of a
    table that is paused for a week are not announced every minute of it. While runs are begun, it is ten times
    ``after`` at least. A time of attention in the future (another machine's clock is ahead) counts as none.
    """
    in_line = after * IN_LINE_FACTOR if _is_run_begun(queue.landing, now=now, within=after) else timedelta()
    # Those that somebody just took care of are not even read: of a wave of requests these are all.
    idle_seconds: dict[Path, float] = {}
    for path in (queue.landing / "accepted").glob("*.json"):
        seconds = _seconds_idle(path, now)
        if seconds >= after.total_seconds():
            idle_seconds[path] = seconds
    neglected: list[Record] = []
    for record in read_records(idle_seconds):
        age = max(now - record.accepted_at, timedelta())
        wait = max(after + min(age / 20, max(LONGEST_WAIT, after)), in_line)
        if not record.outstanding - record.waiting_days:
            # The doorbell looks for their files; this is for those that are given up.
            wait = max(wait, WAIT_FOR_FILES)
        if idle_seconds[_path(queue, record)] >= wait.total_seconds():
            neglected.append(record)
    return neglected


def _is_run_begun(landing: Path, *, now: datetime, within: timedelta) -> bool:
    try:
        begun_at = (landing / BEGUN).stat().st_mtime
    except OSError:
        return False
    return abs(now.timestamp() - begun_at) < within.total_seconds()


def _seconds_idle(path: Path, now: datetime) -> float:
    try:
        return abs(now.timestamp() - path.stat().st_mtime)
    except FileNotFoundError:
        return 0  # it moved on
    except OSError:
        return float("inf")  # whoever reads it says what is wrong with it


def _path(queue: Queue, record: Record) -> Path:
    return queue.landing / "accepted" / f"{record.id}.json"


def _set_time(path: Path, times: tuple[int, int] | None) -> None:
    try:
        os.utime(path, times)
    except FileNotFoundError:
        return  # it moved on
    except OSError as error:
        raise cannot_write(path, error) from error
