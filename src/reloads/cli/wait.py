"""``--wait``: follows requests and all that follows from them, on bars that move while batches work, to the end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from reloads.cli.answer import Answer, count
from reloads.cli.at_work import describe_absence
from reloads.cli.console import announce, complain, current_time
from reloads.cli.exit_codes import Exit
from reloads.cli.outcome import answer_outcome
from reloads.cli.request_values import request_values
from reloads.errors import RequestError, printable
from reloads.inspection.open_requests import list_open_requests
from reloads.requests.lookup import find_named
from reloads.requests.notes import find_note, list_waiting
from reloads.requests.progress import with_progress
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings

LOOK_EVERY_SECONDS = 0.2
EXPLAIN_EVERY_SECONDS = 5.0
"""So often all open requests are read, to say why one is not done."""

WORTH_A_SENTENCE = ("paused", "waiting_for_input", "waiting_for_file")


class TimedOut(Exception):  # noqa: N818 - it is not an error
    """The time that the person gave is over."""


def answer_wave(
    settings: Settings,
    *,
    files: Sequence[str] = (),
    ids: Sequence[str] = (),
    timeout: float | None = None,
    more: dict[str, Any] | None = None,
) -> Answer:
    """Follow dropped files and accepted requests, and answer what came of them.

    Raises ``RequestError`` with the sentence of a file that is rejected.
    """
    wave = Wave(settings, files, ids)
    try:
        return answer_outcome(follow_wave(wave, timeout=timeout), more=more)
    except TimedOut:
        left = [record for record in wave.records.values() if record.outstanding]
        complain(
            f"reloads: {_describe_rest(wave, left, timeout or 0)}; it goes on, and reloads status shows how far it is"
        )
        standings = {record.id: standing for record, standing in list_open_requests(settings, now=current_time())}
        values: list[dict[str, Any]] = []
        for record in left:
            if record.id in standings:
                values.append(request_values(record, "accepted", standings[record.id]))
        return Answer({**(more or {}), "timed_out": True, "requests": values}, (), Exit.TIMED_OUT)


class Wave:
    """Dropped files, the requests that they become, and those that follow from these."""

    def __init__(self, settings: Settings, files: Sequence[str], ids: Sequence[str] = ()) -> None:
        self.settings = settings
        self.files = list(files)
        """Those that nobody accepted yet."""
        self.records: dict[str, Record] = {}
        self._ids = list(ids)

    @property
    def is_done(self) -> bool:
        """Whether every request of it came to an end. Whatever follows is known before the first one ends."""
        return not self.files and not any(record.outstanding for record in self.records.values())

    def look(self) -> list[Record]:
        """Look at all of them again; returns those that are new. Raises ``RequestError`` for a rejected file."""
        queue = Queue(self.settings.landing)
        new = [record for file in list(self.files) for record in self._accept(queue, file)]
        waiting = [*self._ids, *(record.id for record in new)]
        waiting += [record_id for record_id, record in self.records.items() if record.outstanding]
        while waiting:
            record = queue.get(waiting.pop(0))
            if record is None:
                continue
            if record.id not in self.records and record not in new:
                new.append(record)
            self.records[record.id] = record
            waiting += [child for child in record.children if child not in self.records and child not in waiting]
        self._ids = []
        for record in with_progress(self.settings.landing, self.records.values(), now=current_time()):
            self.records[record.id] = record
        return new

    def _accept(self, queue: Queue, file: str) -> list[Record]:
        # While it lies there nothing came of it, and the folders need not be listed five times a second.
        if os.path.lexists(queue.landing / file):
            return []
        records = find_named(queue, file)
        if not records and (note := find_note(queue.landing / "rejected", file)):
            raise RequestError(note.sentence())
        if records:
            self.files.remove(file)
        return records


def follow_wave(wave: Wave, *, timeout: float | None = None) -> list[Record]:
    """Look until all are done; returns them as they ended. Raises ``TimedOut`` after so many seconds."""
    end = None if timeout is None else time.monotonic() + timeout
    explanation = _Explanation(wave)
    bars: dict[str, TaskID] = {}
    with _progress() as progress:
        bar = progress.add_task("waiting for Airflow", total=None)
        while True:
            for record in wave.look():
                progress.update(bar, visible=False)
                announce(f"accepted {record.id}: {record.table}, {record.days} ({count(len(record.days), 'day')})")
                bars[record.id] = progress.add_task(record.table, total=len(record.days))
            for record_id, task in bars.items():
                record = wave.records[record_id]
                progress.update(task, completed=count_days(record), description=printable(describe(record)))
            if wave.is_done:
                return list(wave.records.values())
            explanation.tell(now=current_time())
            if end is not None and time.monotonic() >= end:
                raise TimedOut
            time.sleep(LOOK_EVERY_SECONDS)


def count_days(record: Record) -> int:
    """The days that came to an end, and those that are staged or, while their query runs, its share of them."""
    at_work = 0
    if record.progress:
        # Most files are complete at the end of the query, all at once.
        at_work = max(record.progress.staged, record.progress.days * (record.progress.percent or 0) // 100)
    return len(record.days) - len(record.outstanding) + at_work


def describe(record: Record) -> str:
    """What is done for it now."""
    if not record.progress:
        return record.table
    read = "" if record.progress.percent is None else f" {record.progress.percent} %"
    return f"{record.table} {record.progress.step}{read}, {record.progress.rows:,} rows"


def _describe_rest(wave: Wave, left: Sequence[Record], seconds: float) -> str:
    after = f"after {count(round(seconds), 'second')}"
    if not left:
        return f"{after} nobody took {', '.join(wave.files)} from the drop folder"
    days = sum(len(record.outstanding) for record in left)
    ids = ", ".join(each.id for each in left)
    return f"{after} {count(days, 'day')} of {count(len(left), 'request')} are left ({ids})"


class _Explanation:
    """Says why requests are not done, each sentence once."""

    def __init__(self, wave: Wave) -> None:
        self._wave = wave
        self._told: set[str] = set()
        self._next_look = time.monotonic() + EXPLAIN_EVERY_SECONDS

    def tell(self, *, now: datetime) -> None:
        """Say what is new."""
        open_records = [record for record in self._wave.records.values() if record.outstanding]
        for record in open_records:
            for reason in record.waiting:
                self._tell_once(f"{record.table} {reason.days}: {reason.why}")
        if any(record.progress for record in open_records) or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + EXPLAIN_EVERY_SECONDS
        settings = self._wave.settings
        notes = list_waiting(settings.landing) if self._wave.files else {}
        for file in self._wave.files:
            self._tell_once(notes[file].sentence() if file in notes else f"{file} is still in the drop folder")
        if absence := describe_absence(settings.landing, now=now):
            self._tell_once(absence)
        for record, standing in list_open_requests(settings, now=now):
            if record.id in self._wave.records and standing.kind in WORTH_A_SENTENCE:
                self._tell_once(f"{record.table}: {standing.sentence}")

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            complain(sentence)


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    # In a pipe bars would be lines that nobody can read; what is said of the requests is enough there.
    with Progress(*columns, console=console, disable=not console.is_terminal or console.is_dumb_terminal) as progress:
        yield progress
