"""Raw files in a folder of this machine."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from reloads.errors import one_line
from reloads.files import printable_name
from reloads.raw_file import RawFile
from reloads.tables.file_template import WILD, name_pattern
from reloads.tables.source_tree import UnusableError

SKEW_SECONDS = 2.0
"""A time so far ahead of the clock here is one that cannot be trusted."""


def find_folder_fault(folder: Path) -> str:
    """Why the folder cannot be looked at, in a clause; of an empty one, too. Empty where it can.

    A mount point without its file system is an empty folder.
    """
    try:
        with os.scandir(folder) as entries:
            if next(entries, None) is None:
                return f"the folder {folder} is empty; mount it, or put its files there"
    except OSError as error:
        return f"the folder {folder} cannot be read ({error.strerror}); mount it or grant access"
    return ""


class SourceFolder:
    """The tree in a folder; looks at each path once."""

    is_store = False

    def __init__(self, folder: Path, *, clock: Callable[[], float]) -> None:
        self.root = str(folder)
        self._folder = folder
        self._clock = clock
        self._faults: dict[str, str] = {}
        self._listings: dict[str, list[str]] = {}
        self._real_root = os.path.realpath(folder)
        self._real_folders: dict[str, str] = {}

    def find_fault(self, within: str) -> str:
        """Why the folder of a source cannot be looked at."""
        if within not in self._faults:
            self._faults[within] = find_folder_fault(self._folder / within)
        return self._faults[within]

    def has(self, path: str, *, within: str) -> bool:
        """Whether there is such a file."""
        del within
        with suppress(OSError):
            return (self._folder / path).is_file()
        return False

    def find(self, pattern: str, *, within: str, marker: str = "") -> list[str]:
        """The paths that a pattern names; only the folders on its way are listed."""
        del within
        if not WILD.search(pattern):
            return [pattern]
        if marker:
            self._listings.clear()  # one from before the marker was found may be half
        # Not by glob, which takes a folder that cannot be listed for an empty one.
        paths = [""]
        for part in pattern.split("/"):
            is_wild = WILD.search(part)
            found: list[str] = []
            for folder in paths:
                names = self._match(folder, part) if is_wild else [part]
                found += [f"{folder}/{name}" if folder else name for name in names]
            paths = found
        return sorted(path for path in paths if path != marker)

    def read(self, path: str, *, by_content: bool) -> RawFile | None:
        """What the file is now."""
        # By texts: to make a path of each of tens of thousands takes longer than to look at it.
        full = f"{self.root}/{path}"
        try:
            status = os.lstat(full)
            is_link = stat.S_ISLNK(status.st_mode)
            status = os.stat(full) if is_link else status  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UnusableError(f"{printable_name(path)} cannot be looked at ({one_line(error.strerror)})") from error
        if not stat.S_ISREG(status.st_mode):
            return None
        if not _is_utf8(path):
            raise UnusableError(
                f"{printable_name(path)} has a name that is not UTF-8, which no query can open; rename it"
            )
        folder, _, name = full.rpartition("/")
        real = os.path.realpath(full) if is_link else f"{self._real_folder(folder)}/{name}"
        if not real.startswith(self._real_root.rstrip("/") + "/"):
            raise UnusableError(f"{printable_name(path)} leads out of the source folder; put the file itself there")
        file = RawFile(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        ahead = max(file.modified_ns, file.changed_ns) / 1e9 > self._clock() + SKEW_SECONDS
        if by_content or ahead or file.modified_ns <= 0:
            return RawFile(file.size, file.modified_ns, file.changed_ns, _hash(Path(full), path))
        return file

    def _match(self, folder: str, part: str) -> list[str]:
        """The names in a folder that one part of a pattern stands for; as in a shell, no hidden ones."""
        if folder not in self._listings:
            self._listings[folder] = self._list(folder)
        expression = name_pattern(part)
        return [name for name in self._listings[folder] if expression.match(name)]

    def _list(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._folder / folder) as entries:
                return [entry.name for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            where, reason = printable_name(str(self._folder / folder)), one_line(error.strerror)
            raise UnusableError(f"the folder {where} cannot be read ({reason}); grant access") from error

    def _real_folder(self, folder: str) -> str:
        """Where a folder on the way to the files really lies; each is followed once."""
        if folder not in self._real_folders:
            above, _, name = folder.rpartition("/")
            is_end = folder == self.root or os.path.islink(folder)  # noqa: PTH114
            real = os.path.realpath(folder) if is_end else f"{self._real_folder(above)}/{name}"
            self._real_folders[folder] = real
        return self._real_folders[folder]


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hash(full: Path, path: str) -> str:
    try:
        with full.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnusableError(f"{printable_name(path)} cannot be read ({one_line(error.strerror)})") from error
