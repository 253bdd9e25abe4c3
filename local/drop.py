"""A request file dropped into the landing folder, and all that comes of it: its records and those that follow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.errors import LocalError
from reloads.requests.queue import Queue
from reloads.requests.record import Record


@dataclass(frozen=True)
class Wave:
    """What was asked for at a moment, by a file or by an undo, and the requests for other tables that it makes."""

    queue: Queue
    at: datetime
    tick: float

    @classmethod
    def begin(cls, landing: Path) -> Wave:
        """A wave that begins now."""
        return cls(Queue(landing), datetime.now(UTC), time.monotonic())

    @classmethod
    def of_file(cls, example: Path, landing: Path) -> Wave:
        """Copy a request file into the drop folder, where it appears whole."""
        beside = landing / f".{example.name}"
        beside.write_bytes(example.read_bytes())
        wave = cls.begin(landing)
        beside.rename(landing / example.name)
        return wave

    @property
    def seconds(self) -> float:
        """The time since it began."""
        return time.monotonic() - self.tick

    def waiting(self) -> int:
        """How many files and requests have not come to an end."""
        files = sum(not path.name.startswith(".") for path in self.queue.landing.glob("*.json"))
        return files + len(self.queue.records("accepted"))

    def ended(self) -> list[Record]:
        """The records that came of it, oldest first; raises ``LocalError`` if one was rejected or a day failed."""
        for note in (self.queue.landing / "rejected").glob("*.error.txt"):
            if note.stat().st_mtime >= self.at.timestamp():
                raise LocalError(f"the request was rejected: {note.read_text(encoding='utf-8').strip()}")
        for record in self.queue.records("failed"):
            if record.accepted_at >= self.at:
                failure, path = record.failed[0], self.queue.landing / "failed" / f"{record.id}.json"
                raise LocalError(
                    f"{record.table} {failure.days}: {failure.error}; mend it, then move {path} to landing/"
                )
        return [record for record in self.queue.records("done") if record.accepted_at >= self.at]
