"""Notes that the doorbell rings for until somebody takes care: files without content in a folder of the drop folder.

landing/.untold/<table>      something was published of which Airflow is still to be told
landing/.arrived/<source>    raw files of this source came, changed or went, and nobody has looked at their days yet

The modification time of a note says when somebody last took care of it; one that was just left has the oldest there is.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import time_ns

from reloads.files import cannot_write, make_own_folder, write_atomically
from reloads.locks import file_lock
from reloads.requests.neglect import LONGEST_WAIT


@dataclass(frozen=True)
class Note:
    """A note as it was when somebody took it."""

    name: str
    mtime_ns: int


class Notes:
    """The notes in one folder, by their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def leave(self, name: str) -> None:
        """Leave a note that is due at once, whether or not there is one; it outlasts a power cut."""
        path = self._folder / name
        make_own_folder(self._folder)
        with self._lock():
            write_atomically(path, "")
            _set_time(path, 0)

    def find_due(self, *, now: datetime, after: timedelta = LONGEST_WAIT) -> list[str]:
        """The names of the notes that nobody took care of for that long, sorted."""
        names: list[str] = []
        for path in self._folder.glob("[!.]*"):
            with suppress(FileNotFoundError):  # somebody took care of it just now
                if abs(now.timestamp() - path.stat().st_mtime) >= after.total_seconds():
                    names.append(path.name)
        return sorted(names)

    def attend(self, name: str) -> None:
        """Note that somebody takes care of it now."""
        with suppress(FileNotFoundError):
            _set_time(self._folder / name, time_ns())

    def take(self) -> list[Note]:
        """All notes, sorted by their names; whoever takes them takes care of what they stand for now.

        A note that is left while they do so is another one than the one that they took.
        """
        notes: list[Note] = []
        for path in sorted(self._folder.glob("[!.]*")):
            with suppress(FileNotFoundError):
                # Not the system's idea of now, which is the same for some milliseconds.
                _set_time(path, time_ns())
                notes.append(Note(path.name, path.stat().st_mtime_ns))
        return notes

    def forget(self, note: Note) -> bool:
        """Remove the note unless it was left or taken again since; returns whether it is gone."""
        path = self._folder / note.name
        with self._lock():
            try:
                if path.stat().st_mtime_ns != note.mtime_ns:
                    return False
            except FileNotFoundError:
                return True
            self.remove(note.name)
            return True

    def remove(self, name: str) -> None:
        """Remove the note, if there is one."""
        path = self._folder / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error

    def _lock(self) -> AbstractContextManager[int]:
        """Keeps a note that is being left from being forgotten."""
        return file_lock(self._folder / ".lock")


def arrived(landing: Path) -> Notes:
    """The notes of the sources whose files came, changed or went."""
    return Notes(landing / ".arrived")


def _set_time(path: Path, at_ns: int) -> None:
    try:
        os.utime(path, ns=(at_ns, at_ns))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
