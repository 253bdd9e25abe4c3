"""The notes beside files that were refused: ``rejected/<name>.error.txt``, and ``<name>.error.txt`` in the drop folder.

Anybody can write to these folders, so a note may be anything: unreadable, a folder, not text, huge, or gone meanwhile.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reloads.errors import OperatorError, RequestError, one_line, shorten
from reloads.files import printable_name
from reloads.requests.drop_folder import cut_stem, list_request_files, read_file
from reloads.requests.endings import NOTE

COMPARED_CHARACTERS = 50
"""A rejected file of a taken or a long name gets another; so much of it stays."""

SENTENCE_CHARACTERS = 1000
LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Note:
    """A note that lies there, read only when its sentence is asked for."""

    path: Path
    written_at: datetime

    @property
    def label(self) -> str:
        """The name of the note without its ending, printable."""
        return printable_name(self.path.name.removesuffix(NOTE))

    def sentence(self) -> str:
        """The one sentence of the note; of one that cannot be read, why."""
        try:
            text = read_file(self.path)[0].decode("utf-8", "backslashreplace")
        except RequestError as error:
            return f"{self.label}: its note cannot be read ({str(error).partition(';')[0]})"
        except OSError as error:
            return f"{self.label}: its note cannot be read ({error.strerror})"
        return shorten(one_line(text), SENTENCE_CHARACTERS) or f"{self.label}: its note is empty"


def read_note(path: Path) -> Note | None:
    """The note of that path, if it is there."""
    try:
        return Note(path, _as_time(path.stat(follow_symlinks=False).st_mtime))
    except OSError:
        return None


def list_notes(folder: Path, *, start: str = "") -> list[Note]:
    """The notes in the folder whose printable names start so, oldest first; none if the folder cannot be read."""
    notes: list[Note] = []
    try:
        with os.scandir(folder) as entries:
            candidates = [entry for entry in entries if _is_note(entry.name, start)]
    except OSError:
        return []
    for entry in candidates:
        if note := read_note(Path(entry.path)):
            notes.append(note)
    return sorted(notes, key=lambda note: (note.written_at, note.path))


def list_waiting(landing: Path) -> dict[str, Note]:
    """The notes in the drop folder beside a file that waits there, oldest first, by the printable name of that file."""
    files: dict[bytes, str] = {}
    with suppress(OperatorError):
        for entry in list_request_files(landing):
            files[os.fsencode(cut_stem(entry.name))] = printable_name(entry.name)
    waiting: dict[str, Note] = {}
    for note in list_notes(landing):
        if file := files.get(os.fsencode(note.path.name.removesuffix(NOTE))):
            waiting[file] = note
    return waiting


def find_note(folder: Path, name: str) -> Note | None:
    """The newest of the folder's notes about the file of that name, or of that label."""
    shown = printable_name(name)
    start = printable_name(Path(name).stem)[:COMPARED_CHARACTERS]
    for note in reversed(list_notes(folder, start=start)):
        if note.label == shown or note.sentence().startswith(f"{shown}: "):
            return note
    return None


def _is_note(name: str, start: str) -> bool:
    return name.endswith(NOTE) and printable_name(name).startswith(start)


def _as_time(seconds: float) -> datetime:
    """The time of a file, which may be one that no calendar has."""
    return datetime.fromtimestamp(min(max(seconds, 0), LATEST.timestamp() - 1), UTC)
