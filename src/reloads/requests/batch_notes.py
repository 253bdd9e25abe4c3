"""Batch notes: which batches are at work, for which requests, and how far each has come.

    landing/.progress/<table>/<id>.batch    the batch; locked by the process that rewrites it
    landing/.progress/<table>/<id>.json     how far it has come, written at most once a second
    landing/.progress/<table>/<id>.run      all batches of a run, from its plan until it has settled

One pair a batch, however many requests it serves: the first file names them once, and the second is small. So a batch
of thousands of requests says how far it is at the cost of one write. The lock ends with the process, however that ends.
So a batch that was killed is not taken for one at work. A batch that ended says so, and counts until its run has
settled, because until then no record has its days.

A worker of another machine may not see the drop folder, and writes none of that. So a run is known by what its plan
wrote, whoever rewrites its batches.

A note is a courtesy. It is not flushed, and a disk that takes none does not hold up a batch.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from reloads.batch import Batch
from reloads.errors import RequestError, one_line
from reloads.locks import is_locked, take_lock
from reloads.progress import BatchProgress

FOLDER = ".progress"
RUN = ".run"
"""The ending of the note of a run."""

WRITE_EVERY_SECONDS = 1.0
SETTLED_WITHIN = timedelta(minutes=1)
"""So long after its last batch a run has settled, or nobody is left to do it."""

OPEN_WITHIN = timedelta(hours=1)
"""So long after its last batch a run may still settle, as one whose other batches wait for a slot."""

PLANNED_WITHIN = timedelta(days=1)
"""So long after its plan a run may still be at work where nobody sees it: its batches wait for a worker, and are tried
several times. One that was given up sooner is forgotten when the next run of its table is planned."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NotedBatch:
    """A batch at work, or one that ended and whose run has not settled."""

    table: str
    run: str
    batch: Batch
    is_running: bool
    at: datetime
    progress: BatchProgress = field(default_factory=BatchProgress)


class BatchNote:
    """The note of a batch, for the process that rewrites it or one that it started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written_at = time.monotonic()
        self._latest: BatchProgress | None = None

    def write(self, progress: BatchProgress) -> None:
        """Say how far the batch has come; what comes within a second of the last time is kept for ``flush``."""
        self._latest = progress
        if time.monotonic() - self._written_at >= WRITE_EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Say how far the batch has come now."""
        if self._latest:
            self._write(self._latest)
            self._written_at = time.monotonic()

    def end(self) -> None:
        """Say that the batch is done, with the numbers that this process or the one it started gave last."""
        noted = _read_progress(self.path)
        latest = self._latest or (noted[0] if noted else BatchProgress())
        self._write(replace(latest, step="done", percent=None))

    def _write(self, progress: BatchProgress) -> None:
        beside = self.path.with_name(f".{self.path.name}.tmp")
        with suppress(OSError):
            content = progress.to_json() | {"at": datetime.now(UTC).isoformat()}
            beside.write_text(json.dumps(content), encoding="utf-8")
            beside.replace(self.path)


@contextmanager
def note_batch(landing: Path, table: str, batch: Batch, *, run: str) -> Iterator[BatchNote]:
    """Note that this process rewrites the batch, until the block is left; an earlier try of the batch is forgotten."""
    folder, name = landing / FOLDER / table, uuid4().hex
    note, lock = BatchNote(folder / f"{name}.json"), None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        forget_batches(landing, table, run=run, number=batch.number)
        # Locked before it gets the name that others look for.
        hidden = folder / f".{name}.tmp"
        lock = take_lock(hidden, os.O_CREAT | os.O_EXCL)
        begun_at = datetime.now(UTC).isoformat()
        content = {"table": table, "run": run, "begun_at": begun_at, "batch": batch.to_json()}
        hidden.write_text(json.dumps(content), encoding="utf-8")
        hidden.rename(note.path.with_suffix(".batch"))
    except OSError as error:
        log.warning("%s: how far its batch is cannot be noted in %s (%s)", table, folder, one_line(error))
    try:
        yield note
        note.end()
    finally:
        if lock is not None:
            os.close(lock)


def note_run(landing: Path, table: str, batches: Sequence[Batch], *, run: str) -> None:
    """Note that a run was planned with these batches: it is open until its notes are forgotten."""
    folder, name = landing / FOLDER / table, uuid4().hex
    planned_at = datetime.now(UTC).isoformat()
    content = {"run": run, "planned_at": planned_at, "batches": [batch.to_json() for batch in batches]}
    hidden = folder / f".{name}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hidden.write_text(json.dumps(content), encoding="utf-8")
        hidden.rename(folder / f"{name}.run")
    except OSError as error:
        log.warning("%s: that its run is open cannot be noted in %s (%s)", table, folder, one_line(error))


def read_batches(landing: Path, *, now: datetime) -> list[NotedBatch]:
    """The batches that are at work, and those that ended and whose run has not settled."""
    batches: list[NotedBatch] = []
    for path in sorted((landing / FOLDER).glob("*/*.batch")):
        # What another release wrote is passed over.
        with suppress(KeyError, TypeError, ValueError, RequestError):
            noted = _read_batch(path)
            if noted and (noted.is_running or noted.progress.step == "done"):
                batches.append(noted)
    running = {batch.run for batch in batches if batch.is_running}
    return [batch for batch in batches if batch.run in running or now - batch.at < SETTLED_WITHIN]


def read_begun_batches(landing: Path, table: str, *, run: str) -> list[Batch]:
    """The batches of a run that was planned and has not settled, whether or not somebody still works on them.

    Of a run whose plan could not be noted, those that were begun.
    """
    batches: dict[int, Batch] = {}
    for path in _list_notes(landing, table):
        content = _read_json(path) or {}
        if content.get("run") == run:
            # What another release wrote is passed over.
            with suppress(KeyError, TypeError, ValueError, RequestError):
                values = content["batches"] if path.suffix == RUN else [content["batch"]]
                batches |= {batch.number: batch for batch in map(Batch.from_json, values)}
    return [batches[number] for number in sorted(batches)]


def open_runs(landing: Path, table: str, *, now: datetime) -> set[str]:
    """The runs of a table that were planned and have not settled, unless nobody seems to be left to do it."""
    runs: set[str] = set()
    for path in _list_notes(landing, table):
        with suppress(KeyError, TypeError, ValueError, RequestError):
            run = _find_planned(path, now) if path.suffix == RUN else _find_begun(path, now)
            if run:
                runs.add(run)
    return runs


def _list_notes(landing: Path, table: str) -> list[Path]:
    """The notes of the batches and of the runs of a table; those of the runs last, as they are written first."""
    folder = landing / FOLDER / table
    return [*folder.glob("*.batch"), *folder.glob(f"*{RUN}")]


def _find_planned(path: Path, now: datetime) -> str | None:
    """The run of that note, if it may still be at work."""
    content = _read_json(path)
    if content is None or now - datetime.fromisoformat(content["planned_at"]) >= PLANNED_WITHIN:
        return None
    return str(content["run"])


def _find_begun(path: Path, now: datetime) -> str | None:
    """The run of the batch of that note, if it may still be at work."""
    noted = _read_batch(path)
    return noted.run if noted and (noted.is_running or now - noted.at < OPEN_WITHIN) else None


def _read_batch(path: Path) -> NotedBatch | None:
    # Before its numbers are read: whoever ends has written the last ones.
    is_running = is_locked(path)
    content, noted = _read_json(path), _read_progress(path.with_suffix(".json"))
    if content is None:
        return None
    progress, at = noted or (BatchProgress(), datetime.fromisoformat(content["begun_at"]))
    return NotedBatch(content["table"], content["run"], Batch.from_json(content["batch"]), is_running, at, progress)


def forget_batches(landing: Path, table: str, *, run: str | None = None, number: int | None = None) -> None:
    """Remove the notes of a table's batches that are not at work any more: all, those of a run, or one of them.

    Without a number the notes of the runs go, too: they have settled, or another one takes their place.
    """
    folder = landing / FOLDER / table
    for path in _list_notes(landing, table):
        is_of_run = path.suffix == RUN
        content = {} if run is None else _read_json(path) or {}
        is_meant = content.get("run") == run and (number is None or _number_of(content) == number)
        if not is_meant or (not is_of_run and is_locked(path)):
            continue
        for each in (path, path.with_suffix(".json"), folder / f".{path.stem}.json.tmp"):
            with suppress(OSError):
                each.unlink()


def _number_of(content: Mapping[str, Any]) -> int | None:
    """The number of the batch of a note; None for that of a run."""
    number: int | None = content.get("batch", {}).get("number")
    return number


def _read_progress(path: Path) -> tuple[BatchProgress, datetime] | None:
    content = _read_json(path)
    return (BatchProgress.from_json(content), datetime.fromisoformat(content["at"])) if content else None


def _read_json(path: Path) -> dict[str, Any] | None:
    """What a file of ours holds; None where it is gone or not whole."""
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content
