"""The notes of Airflow's runs: which requests each run serves, written where nobody wrote anything.

A task has no way to set a note, and the API server has the database. A note holds ids and days only: Airflow shows it
as Markdown, and what people wrote is to be shown as text.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from airflow.models.dagrun import DagRun, DagRunNote
from airflow.utils.session import create_session
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from reloads.errors import shorten
from reloads.names import Names
from reloads.requests.endings import read_endings
from reloads.requests.progress import with_progress
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.record_cache import RecordCache
from reloads.requests.record_file import read_records

Run = tuple[str, str]
"""A DAG, and the id of one of its runs."""

LONGEST_NOTE = 1000
LONGEST_DAYS = 60
KEPT_RUNS = 500
RUNS_AT_ONCE = 100


@dataclass
class RunNotes:
    """Writes the notes of runs, each time those of runs that serve a request of which something changed."""

    landing: Path
    names: Names = field(default_factory=Names)
    _records: RecordCache = field(default_factory=RecordCache)
    _endings_stamp: tuple[int, int] | None = None
    _served: OrderedDict[Run, dict[str, str]] = field(default_factory=OrderedDict)
    """What is known of the last runs: the line of each request."""
    _written: dict[Run, str] = field(default_factory=dict)
    """The notes that this process wrote, or found written."""

    def look(self, *, now: datetime) -> int:
        """Write the notes that are missing or that do not name all requests; returns how many were written."""
        for record in (*self._read_open(now), *self._read_newly_ended()):
            for run in self._runs_of(record):
                self._served.setdefault(run, {})[record.id] = _format_line(record)
                self._served.move_to_end(run)
        while len(self._served) > KEPT_RUNS:
            run, _ = self._served.popitem(last=False)
            self._written.pop(run, None)
        notes: dict[Run, str] = {}
        for run, lines in self._served.items():
            note = format_note(lines)
            if self._written.get(run) != note:
                notes[run] = note
        return self._write(notes)

    def _read_open(self, now: datetime) -> list[Record]:
        accepted = self._records.read(Queue(self.landing), "accepted")
        return with_progress(self.landing, accepted, now=now)

    def _read_newly_ended(self) -> Iterator[Record]:
        """The requests that ended last, if any has ended since the last look."""
        try:
            status = (self.landing / ".ended" / "newest.jsonl").stat()
        except OSError:
            return
        stamp = status.st_ino, status.st_mtime_ns
        if stamp == self._endings_stamp:
            return
        queue = Queue(self.landing)
        for ending in read_endings(self.landing) or ():
            location = None if ending.is_rejected else queue.find(ending.name)
            yield from read_records([location.path]) if location else ()
        self._endings_stamp = stamp

    def _runs_of(self, record: Record) -> Iterable[Run]:
        """The runs of Airflow that ended some of its days, or work on it."""
        runs = [*record.runs, *([record.progress.run] if record.progress else [])]
        return [(self.names.rewrite_dag(record.table), run) for run in dict.fromkeys(runs) if "/" not in run]

    def _write(self, notes: Mapping[Run, str]) -> int:
        count = 0
        for run in list(notes)[:RUNS_AT_ONCE]:
            count += write_note(run, notes[run], before=self._written.get(run))
            self._written[run] = notes[run]
        return count


def write_note(run: Run, note: str, *, before: str | None) -> bool:
    """Write the note of a run that has none, or whose note is still the one that we wrote before."""
    dag_id, run_id = run
    try:
        with create_session() as session:
            found = session.execute(
                select(DagRun.id, DagRunNote.content)
                .outerjoin(DagRunNote, DagRunNote.dag_run_id == DagRun.id)
                .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
            ).one_or_none()
            if found is None or found.content not in (None, before):
                return False
            if found.content is None:
                session.execute(insert(DagRunNote).values(dag_run_id=found.id, content=note))
                return True
            # By its content, too: somebody may write one this moment.
            is_ours = (DagRunNote.dag_run_id == found.id, DagRunNote.user_id.is_(None), DagRunNote.content == before)
            session.execute(update(DagRunNote).where(*is_ours).values(content=note))
            return True
    except IntegrityError:
        return False  # somebody wrote one this moment


def format_note(lines: Mapping[str, str]) -> str:
    """The note: a line for each request, as many as fit."""
    title = "Serves 1 request:" if len(lines) == 1 else f"Serves {len(lines)} requests:"
    text, left = title + "\n", len(lines)
    for line in lines.values():
        more = f"\n- and {left} more"
        if len(text) + len(line) + len(more) + 1 > LONGEST_NOTE:
            return text + more
        text += f"\n{line}"
        left -= 1
    return text


def _format_line(record: Record) -> str:
    # The id of a record is the name of a file, which anybody may have chosen.
    shown = "".join(letter for letter in record.id if letter.isalnum() or letter in "-_")
    return f"- `{shorten(shown)}`: {shorten(str(record.days), LONGEST_DAYS)}"
