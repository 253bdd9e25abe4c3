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
from reloads.requests.drop_folder import NOTE, cut_stem, list_request_files, read_file

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


def list_notes(folder: Path) -> list[Note]:
    """The notes in the folder, oldest first; none if the folder cannot be read."""
    notes: list[Note] = []
    try:
        with os.scandir(folder) as entries:
            candidates = [entry for entry in entries if entry.name.endswith(NOTE)]
    except OSError:
        return []
    for entry in candidates:
        with suppress(FileNotFoundError):  # gone meanwhile
            notes.append(Note(Path(entry.path), _as_time(entry.stat(follow_symlinks=False).st_mtime)))
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


def find_note(notes: list[Note], name: str) -> Note | None:
    """The newest of the notes about the file of that name, or of that label."""
    shown = printable_name(name)
    start = printable_name(Path(name).stem)[:COMPARED_CHARACTERS]
    for note in reversed(notes):
        if note.label.startswith(start) and (note.label == shown or note.sentence().startswith(f"{shown}: ")):
            return note
    return None


def _as_time(seconds: float) -> datetime:
    """The time of a file, which may be one that no calendar has."""
    return datetime.fromtimestamp(min(max(seconds, 0), LATEST.timestamp() - 1), UTC)
