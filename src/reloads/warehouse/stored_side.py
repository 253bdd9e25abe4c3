"""Where the objects of one table lie in an object store: under its name, or in a folder of dropped tables.

    .versions/<table>/, .failed/<table>/, .log/<table>/[<place>/], .cursors/<table>/, .cursors/<other>/<table>.json
    .dropped/<table>@<time>/versions/, failed/, log/, cursors/, follows/<other>.json

What readers open, ``<table>/``, and the note how far that goes follow from the log and the versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reloads.stores.object_store import Found
from reloads.warehouse.checkpoint import CHECKPOINTS
from reloads.warehouse.layout import cursors_folder, dropped_folder, failed_folder, log_folder, versions_folder
from reloads.warehouse.mirror import Mirror


@dataclass(frozen=True)
class StoredSide:
    """One of the two ends of a move."""

    mirror: Mirror
    table: str
    """Its name, or ``<table>@<time>``."""
    place: str | None
    """Which of the logs of that name is its own, as ``log_ends`` says; None for a dropped table."""

    @property
    def log(self) -> str:
        """The folder of its log."""
        folder = self._dropped / "log" if self.place is None else log_folder(self._root, self.table) / self.place
        return self.mirror.key_of(folder)

    @property
    def first(self) -> str:
        """The first object of its log."""
        return f"{self.log}/1.json"

    @property
    def folders(self) -> tuple[str, str]:
        """The folders of its versions, and of the rows that a check refused."""
        if self.place is None:
            versions, failed = self._dropped / "versions", self._dropped / "failed"
        else:
            versions, failed = versions_folder(self._root, self.table), failed_folder(self._root, self.table)
        return self.mirror.key_of(versions), self.mirror.key_of(failed)

    def cursor(self, follower: str) -> str:
        """The cursor of one that follows it."""
        folder = self._dropped / "cursors" if self.place is None else cursors_folder(self._root, self.table)
        return self.mirror.key_of(folder / f"{follower}.json")

    def follows(self, other: str) -> str:
        """Its own cursor in the log of another table."""
        if self.place is None:
            return self.mirror.key_of(self._dropped / "follows" / f"{other}.json")
        return self.mirror.key_of(cursors_folder(self._root, other) / f"{self.table}.json")

    def list_files(self) -> Iterator[tuple[str, int]]:
        """All files in its folders, each with its size."""
        for folder in self.folders:
            for found in self.mirror.store.look(folder):
                yield found.key, found.size

    def list_commits(self) -> dict[int, Found]:
        """What lies in the places of commits, by number; its end is the last one."""
        return {int(PurePosixPath(found.key).stem): found for found in self._list_numbered(self.log)}

    def list_checkpoints(self) -> list[str]:
        """Its checkpoints."""
        return [found.key for found in self._list_numbered(f"{self.log}/{CHECKPOINTS}")]

    def list_cursors(self) -> list[tuple[str, str]]:
        """The cursors in its log, each with who follows."""
        folder = PurePosixPath(self.cursor("any")).parent
        return [(PurePosixPath(found.key).stem, found.key) for found in self.mirror.store.look(str(folder))]

    def list_follows(self) -> list[tuple[str, str]]:
        """Its cursors in the logs of other tables, each with that table."""
        folder = PurePosixPath(self.follows("any")).parent
        if self.place is None:
            return [(PurePosixPath(found.key).stem, found.key) for found in self.mirror.store.look(str(folder))]
        paths = [PurePosixPath(found.key) for found in self.mirror.store.look(str(folder.parent))]
        return [(path.parent.name, str(path)) for path in paths if path.stem == self.table != path.parent.name]

    def _list_numbered(self, folder: str) -> Iterator[Found]:
        for found in self.mirror.store.look(folder):
            path = PurePosixPath(found.key)
            if path.parent == PurePosixPath(folder) and path.stem.isdecimal():
                yield found

    @property
    def _root(self) -> Path:
        return self.mirror.folder

    @property
    def _dropped(self) -> Path:
        return dropped_folder(self._root) / self.table
