"""The outbox: what somebody is to be told of, a file each in ``landing/.notify/``, until it is told.

    .notify/wanted.json        the events that somebody wants to hear of; where it is missing, nothing is written
    .notify/<note>.json        a request that ended, a file that was rejected, days that are late or came
    .notify/.lock              held by whoever sends

A note is written before what it tells of is visible: the record moves, or the file is rejected, after it. So a killed
process loses no message, and its note has the same name when the act is done again. Whoever sends asks the folders
first whether it was done.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from reloads.errors import OperatorError
from reloads.files import make_own_folder, write_all_atomically, write_atomically
from reloads.locks import take_lock
from reloads.settings import EVENTS, Event

NoteKind = Literal["ended", "rejected", "late", "came"]
OUTBOX = ".notify"
WANTED = "wanted.json"
LOCK = ".lock"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Note:
    """One thing to tell of."""

    kind: NoteKind
    name: str
    """Names the act: the same again when a crash has it done again."""
    at: datetime
    content: Mapping[str, Any]
    """Of a request the fields of its record; of a file its name and the sentence; of days the table and the days."""
    told: tuple[str, ...] = ()
    """Who was told already."""

    @property
    def file_name(self) -> str:
        """The name of its file, of any name of ours."""
        return f"{self.kind}-{sha256(self.name.encode('utf-8', 'backslashreplace')).hexdigest()[:32]}.json"

    def to_json(self) -> str:
        """The content of its file."""
        fields = {"kind": self.kind, "name": self.name, "at": self.at.isoformat(), "told": list(self.told)}
        return json.dumps({**fields, "content": dict(self.content)}) + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> Note:
        """The inverse; raises ``LookupError``, ``TypeError`` or ``ValueError`` for anything else."""
        fields = json.loads(text)
        if fields["kind"] not in get_args(NoteKind) or not isinstance(fields["content"], dict):
            raise ValueError("it is not a note")
        at = datetime.fromisoformat(fields["at"]).astimezone(UTC)
        return cls(fields["kind"], str(fields["name"]), at, fields["content"], tuple(map(str, fields["told"])))


@dataclass(frozen=True)
class Outbox:
    """The outbox of one drop folder. Any number of processes write into it, and one at a time sends."""

    landing: Path

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.landing / OUTBOX

    def open(self, wanted: Iterable[Event]) -> None:
        """Have notes of these events written from now on; it is closed where there are none."""
        events = [event for event in EVENTS if event in set(wanted)]
        if not events:
            self.close()
        elif events != self.wanted():
            make_own_folder(self.folder)
            write_atomically(self.folder / WANTED, json.dumps(events) + "\n")

    def close(self) -> None:
        """Have nothing written any more, and forget what was not told."""
        with suppress(OSError):
            (self.folder / WANTED).unlink()
            for path in self.folder.glob("*.json"):
                path.unlink()

    def wanted(self) -> list[Event]:
        """The events that somebody wants to hear of."""
        try:
            events = json.loads((self.folder / WANTED).read_bytes())
        except (OSError, ValueError):
            return []
        return [event for event in EVENTS if event in events]

    def wants(self, events: Collection[Event]) -> bool:
        """Whether somebody wants to hear of one of these."""
        return not set(events).isdisjoint(self.wanted())

    def put(self, notes: Iterable[Note]) -> None:
        """Write notes; they outlast a power cut once this returns. An act that is done again replaces its note."""
        texts = {self.folder / note.file_name: note.to_json() for note in notes}
        if texts:
            make_own_folder(self.folder)
            write_all_atomically(texts)

    def leave(self, notes: Iterable[Note]) -> None:
        """Do that, or say in the log that nobody will be told: what happened must not fail for it."""
        try:
            self.put(notes)
        except OperatorError as error:
            log.error("nobody will be told: %s", error)  # noqa: TRY400 - a sentence, never a traceback

    def notes(self) -> list[Note]:
        """All notes, oldest first; a file that is not a note is left alone."""
        notes: list[Note] = []
        with suppress(OSError):
            for path in self.folder.glob("*-*.json"):
                with suppress(OSError, LookupError, TypeError, ValueError):
                    notes.append(Note.from_json(path.read_bytes()))
        return sorted(notes, key=lambda note: (note.at, note.file_name))

    def mark_told(self, note: Note, receiver: str) -> Note:
        """Write down that this receiver was told."""
        told = replace(note, told=(*note.told, receiver))
        with suppress(FileNotFoundError):  # the outbox was closed meanwhile
            (self.folder / note.file_name).stat()
            write_atomically(self.folder / note.file_name, told.to_json())
        return told

    def remove(self, note: Note) -> None:
        """Forget a note of which all were told."""
        with suppress(OSError):
            (self.folder / note.file_name).unlink()

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Send alone; False where another process does at this moment."""
        make_own_folder(self.folder)
        try:
            handle = take_lock(self.folder / LOCK, os.O_CREAT)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            raise OperatorError(f"{self.folder / LOCK} cannot be locked ({error.strerror}); grant access") from error
        try:
            yield True
        finally:
            os.close(handle)
