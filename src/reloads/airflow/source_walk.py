"""Finding the files of many patterns in one look, in a folder or in an object store."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from reloads.airflow.arrival_news import FileSignature
from reloads.tables.file_template import WILD, name_pattern
from reloads.tables.source_folder import find_folder_fault
from reloads.tables.source_store import SourceStore

ASKED_ONE_BY_ONE = 500
"""More paths in one folder are looked for in its listing, where most of them are not there."""


class StoreWalk:
    """Finds the objects of patterns; there are no folders to listen to."""

    folders: Collection[Path] = ()

    def __init__(self, url: str) -> None:
        self._url = url
        self._tree = SourceStore(url)

    def name_of(self, folder: str) -> str:
        """How people know the folder."""
        return f"{self._url}/{folder}".rstrip("/")

    def find_fault(self, within: str) -> str:
        """Why nothing can be said of the files of a source."""
        return self._tree.find_fault(within)

    def find(self, pattern: str, *, within: str) -> dict[str, FileSignature]:
        """The objects, by path; ``UnusableError`` where the store does not answer."""
        files: dict[str, FileSignature] = {}
        for path in self._tree.find(pattern, within=within):
            file = self._tree.read(path, by_content=False)
            if file is not None:
                files[path] = FileSignature(0, file.size, file.modified_ns, file.changed_ns, file.content)
        return files


class FolderWalk:
    """Finds the files of patterns, and notes the folders on their way; looks at each folder once."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.folders: set[Path] = set()
        self._root = str(source)
        self._asked: Counter[str] = Counter()
        self._listed: dict[str, frozenset[str] | None] = {}
        self._is_folder: dict[str, bool] = {}
        self._names: dict[str, list[str]] = {}

    def name_of(self, folder: str) -> str:
        """How people know the folder."""
        return str(self.source / folder)

    def find_fault(self, within: str) -> str:
        """Why nothing can be said of the files of a source; the folders that are on the way there are noted."""
        fault = find_folder_fault(self.source / within)
        if fault:
            with suppress(OSError):
                self.go_to(within)
        return fault

    def find(self, pattern: str, *, within: str) -> dict[str, FileSignature]:
        """The files, by path; ``OSError`` where a folder or a file cannot be looked at."""
        del within
        folder, _, last = pattern.rpartition("/")
        files: dict[str, FileSignature] = {}
        for above in self.go_to(folder):
            for path in self._match(above, last):
                status = self._stat(path)
                if status is not None and stat.S_ISREG(status.st_mode):
                    files[path] = FileSignature(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return files

    def go_to(self, pattern: str) -> list[str]:
        """The folders of that pattern, which may be empty for the source folder."""
        found = [""] if self._check_folder("") else []
        for part in pattern.split("/") if pattern else []:
            found = [path for above in found for path in self._match(above, part) if self._check_folder(path)]
        return found

    def _match(self, folder: str, part: str) -> list[str]:
        """The paths in a folder that one part of a pattern names; those without ``*`` and ``?`` need not be there."""
        prefix = f"{folder}/" if folder else ""
        if not WILD.search(part):
            return [prefix + part]
        if folder not in self._names:
            self._names[folder] = self._list(folder)
        expression = name_pattern(part)
        return [prefix + name for name in self._names[folder] if expression.match(name)]

    def _list(self, folder: str) -> list[str]:
        try:
            return [path.name for path in (self.source / folder).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _check_folder(self, path: str) -> bool:
        if path not in self._is_folder:
            status = self._stat(path)
            self._is_folder[path] = status is not None and stat.S_ISDIR(status.st_mode)
            if self._is_folder[path]:
                self.folders.add(self.source / path)
        return self._is_folder[path]

    def _stat(self, path: str) -> os.stat_result | None:
        if self._is_surely_away(path):
            return None
        try:
            return os.stat(f"{self._root}/{path}")  # noqa: PTH116 - ten thousand paths take half as long as text
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_surely_away(self, path: str) -> bool:
        """Whether a listing says so of one of very many paths in a folder; it is quicker than to ask for each."""
        folder, _, name = path.rpartition("/")
        self._asked[folder] += 1
        if self._asked[folder] <= ASKED_ONE_BY_ONE:
            return False
        if folder not in self._listed:
            self._listed[folder] = self._list_names(folder)
        names = self._listed[folder]
        return names is not None and name not in names

    def _list_names(self, folder: str) -> frozenset[str] | None:
        """The names in a folder; None where it cannot be listed."""
        try:
            names = os.listdir(f"{self._root}/{folder}")  # noqa: PTH208 - as above
        except OSError:
            return None
        return frozenset(names)


Walk = FolderWalk | StoreWalk
