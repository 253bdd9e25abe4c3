"""What was asked for at a moment, by a dropped file or by an undo, and the requests for other tables that follow it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reloads.requests.drop_folder import list_arrivals
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from stack.errors import StackError


@dataclass(frozen=True)
class Wave:
    """The requests of one drop folder that were accepted at ``began_at`` or later."""

    queue: Queue
    began_at: datetime

    @classmethod
    def begin(cls, landing: Path) -> Wave:
        """A wave that begins now."""
        return cls(Queue(landing), datetime.now(UTC))

    @classmethod
    def of_file(cls, example: Path, landing: Path) -> Wave:
        """Copy a request file into the drop folder, where it appears whole."""
        beside = landing / f".{example.name}"
        beside.write_bytes(example.read_bytes())
        wave = cls.begin(landing)
        beside.rename(landing / example.name)
        return wave

    def count_waiting(self) -> int:
        """How many files and requests have not come to an end."""
        # In the order in which they move: what moves on meanwhile is counted twice rather than not at all.
        return len(list_arrivals(self.queue.landing)) + len(self.queue.records("accepted"))

    def ended_records(self) -> list[Record]:
        """The records that came of it, oldest first; raises ``StackError`` if one was rejected or a day failed."""
        self._raise_rejection()
        self._raise_failure()
        return [record for record in self.queue.records("done") if record.accepted_at >= self.began_at]

    def records(self) -> list[Record]:
        """The requests that were accepted, ended or not; one that moves meanwhile may be there twice."""
        records = [*self.queue.records("accepted"), *self.queue.records("done"), *self.queue.records("failed")]
        return [record for record in records if record.accepted_at >= self.began_at]

    def _raise_rejection(self) -> None:
        for note in (self.queue.landing / "rejected").glob("*.error.txt"):
            if note.stat().st_mtime >= self.began_at.timestamp():
                raise StackError(f"the request was rejected: {note.read_text(encoding='utf-8').strip()}")

    def _raise_failure(self) -> None:
        for record in self.queue.records("failed"):
            if record.accepted_at < self.began_at:
                continue
            failure = record.failed[0]
            path = self.queue.landing / "failed" / f"{record.id}.json"
            raise StackError(f"{record.table} {failure.days}: {failure.error}; mend it, then move {path} to landing/")
