"""``--wait``: follows a dropped file on a bar, which moves while batches work, until its request ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reloads.cli.console import complain, current_time
from reloads.errors import RequestError, printable
from reloads.inspection.open_requests import list_open_requests
from reloads.requests.lookup import find_named
from reloads.requests.notes import find_note
from reloads.requests.progress import with_progress
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings

LOOK_EVERY_SECONDS = 0.2
EXPLAIN_EVERY_SECONDS = 5.0
"""So often all open requests are read, to say why this one is not done."""


def await_request(settings: Settings, file: str, *, days: int) -> Record:
    """Follow the request of one dropped file until it ends; raises ``RequestError`` if it is rejected."""
    queue, record = Queue(settings.landing), None
    explanation = _Explanation(settings)
    with _progress() as progress:
        bar = progress.add_task("waiting for Airflow", total=days)
        while True:
            record = queue.get(record.id) if record else _find_accepted(queue, file)
            if record is not None:
                [record] = with_progress(settings.landing, [record], now=current_time())
                progress.update(bar, completed=_count_days(record), description=printable(_describe(record)))
                if not record.outstanding:
                    return record
                explanation.tell(record, now=current_time())
            time.sleep(LOOK_EVERY_SECONDS)


def _count_days(record: Record) -> int:
    """The days that came to an end, and those that are staged."""
    staged = record.progress.staged if record.progress else 0
    return len(record.days) - len(record.outstanding) + staged


def _describe(record: Record) -> str:
    text = f"{record.table} {record.days}"
    if not record.progress:
        return text
    read = "" if record.progress.percent is None else f" {record.progress.percent} %"
    return f"{text} {record.progress.step}{read}, {record.progress.rows:,} rows"


class _Explanation:
    """Says why a request is not done, each sentence once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._told: set[str] = set()
        self._next_look = time.monotonic() + EXPLAIN_EVERY_SECONDS

    def tell(self, record: Record, *, now: datetime) -> None:
        """Say what is new."""
        for reason in record.waiting:
            self._tell_once(f"{reason.days}: {reason.why}")
        if record.progress or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + EXPLAIN_EVERY_SECONDS
        for each, standing in list_open_requests(self._settings, now=now):
            if each.id == record.id and standing.kind in ("paused", "waiting_for_input"):
                self._tell_once(standing.sentence)

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            complain(sentence)


def _find_accepted(queue: Queue, file: str) -> Record | None:
    """The record of the dropped file, None before it is accepted; raises ``RequestError`` if it is rejected."""
    # While it lies there nothing came of it, and the folders need not be listed five times a second.
    if os.path.lexists(queue.landing / file):
        return None
    records = find_named(queue, file)
    if not records and (note := find_note(queue.landing / "rejected", file)):
        raise RequestError(note.sentence())
    return records[0] if records else None


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress
