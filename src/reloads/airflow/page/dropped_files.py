"""Dropped files that are not requests: those that still lie in the drop folder, and those that were rejected."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from reloads.errors import OperatorError
from reloads.files import printable_name
from reloads.requests.drop_folder import list_request_files, names_in_sight
from reloads.requests.endings import read_endings
from reloads.requests.notes import Note, find_note, list_notes, list_waiting, read_note

JUST_DROPPED = "it was dropped just now; the next look takes it"


@dataclass(frozen=True)
class Rejected:
    """A rejected file, and its sentence."""

    file: str
    sentence: str
    at: datetime

    @classmethod
    def of(cls, note: Note) -> Rejected:
        """What the note says; the file has the name under which it was dropped, which the sentence begins with."""
        sentence = note.sentence()
        name, colon, _ = sentence.partition(".json: ")
        return cls(f"{name}.json" if colon and "\n" not in name else f"{note.label}.json", sentence, note.written_at)


def list_waiting_files(landing: Path, *, limit: int) -> list[tuple[str, str]]:
    """The files that lie in the drop folder, and why each does."""
    notes = list_waiting(landing)
    files: list[tuple[str, str]] = []
    with suppress(OperatorError):
        for entry in islice(list_request_files(landing), limit):
            name = printable_name(entry.name)
            files.append((name, notes[name].sentence() if name in notes else JUST_DROPPED))
    return files


def find_dropped(landing: Path, name: str) -> str:
    """Why the file of that name lies in the drop folder, or is being taken; empty if it does not."""
    if name not in names_in_sight(landing):
        return ""
    note = list_waiting(landing).get(name)
    return note.sentence() if note else JUST_DROPPED


def list_rejected(landing: Path, *, limit: int) -> list[Rejected]:
    """The files that were rejected last, the latest first; all are listed only where the newest endings do not tell."""
    folder = landing / "rejected"
    endings = read_endings(landing)
    if endings is None:
        notes = list_notes(folder)
    else:
        names = [ending.name for ending in endings if ending.is_rejected]
        notes = [note for name in names if (note := read_note(folder / name))]
    return [Rejected.of(note) for note in sorted(notes, key=lambda note: note.written_at, reverse=True)[:limit]]


def find_rejected(landing: Path, name: str) -> Rejected | None:
    """The file of that name among those that were rejected."""
    note = find_note(landing / "rejected", name)
    return Rejected.of(note) if note else None
