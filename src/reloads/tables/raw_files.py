"""Raw files: which files of a day are there, what they are, and why a day cannot be loaded yet.

Only paths of the days that are asked for are looked at, so a look costs with these and not with what lies there.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from fnmatch import translate
from pathlib import Path
from time import time

from reloads.days import Days
from reloads.errors import one_line
from reloads.files import printable_name
from reloads.raw_file import RawFile
from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.tables.file_sources import FileSource
from reloads.tables.lineage import input_days
from reloads.tables.source_folder import find_folder_fault

_WILD = re.compile(r"[*?]")

SKEW_SECONDS = 2.0
"""A time so far ahead of the clock here is one that cannot be trusted."""

COARSE_SECONDS = 2.0
"""The steps of the times of a file system that knows whole seconds only: FAT has the longest ones."""


@dataclass(frozen=True, slots=True)  # there may be tens of thousands
class DayFiles:
    """What lies there for one day of a table."""

    files: Mapping[str, RawFile] = field(default_factory=dict)
    """By path below the source folder."""
    missing: str = ""
    """Why the day cannot be loaded now, in a clause like ``flights/2013-01-05.csv is not there``; else empty."""
    is_young: bool = False
    """Whether that is only because a file was written a moment ago."""
    is_unknown: bool = False
    """Whether a folder is away or cannot be read, so that nothing can be said of what was removed."""


class RawFiles:
    """Looks at the raw files of days, at each path once; a new look needs another instance."""

    @classmethod
    def look(cls, settings: Settings) -> RawFiles:
        """A look at the source folder now."""
        return cls(settings.source, stable_seconds=settings.stable_seconds)

    def __init__(self, source: Path, *, stable_seconds: float, clock: Callable[[], float] = time) -> None:
        self.source = source
        self._stable_seconds = stable_seconds
        self._clock = clock
        self._looks: dict[tuple[FileSource, str], DayFiles] = {}
        self._folders: dict[str, str] = {}
        self._listings: dict[str, list[str]] = {}
        self._root = os.path.realpath(source)
        self._real_folders: dict[str, str] = {}

    def of_day(self, table: Table, day: date) -> DayFiles:
        """What the day of the table is made from: the files of all its sources, and of days before it if it reads them.

        The first thing that is missing is told.
        """
        looks: list[DayFiles] = []
        for name, source in table.file_sources.items():
            looks += [self.of_source(source, each) for each in _days_before(day, table.file_windows[name])]
        return looks[0] if len(looks) == 1 else _unite(looks)

    def paths_of(self, table: Table, name: str, days: Days) -> list[Path]:
        """The files of one source that these days of the table are made from, each once."""
        paths: dict[str, None] = {}
        for day in input_days(days, table.file_windows[name]):
            paths |= dict.fromkeys(self.of_source(table.file_sources[name], day).files)
        return [self.source / path for path in paths]

    def find_sample(self, source: FileSource) -> Path | None:
        """One file of whatever day, the last by its name, which tells what columns there are; lists all of them."""
        try:
            paths = [path for path in self._find(source.files.any_day(), "") if source.files.days_of(path)]
        except _UnusableError:
            return None
        return self.source / paths[-1] if paths else None

    def of_source(self, source: FileSource, day: date) -> DayFiles:
        """What lies there of one source for one day, or for the month or year that the day is in."""
        pattern = source.files.pattern(day)
        key = (source, pattern)
        if key not in self._looks:
            self._looks[key] = self._look(source, pattern, source.marker.pattern(day) if source.marker else "")
        return self._looks[key]

    def _look(self, source: FileSource, pattern: str, marker: str) -> DayFiles:
        fault = self._fault_of(source.files.folder)
        if fault:
            return DayFiles(missing=fault, is_unknown=True)
        # The marker first: what is listed before it was written may be half of what it stands for.
        is_ready = not marker or self._is_file(marker)
        files: dict[str, RawFile] = {}
        try:
            for path in self._find(pattern, marker):
                file = self._read(source, path)
                if file is not None:
                    files[path] = file
        except _UnusableError as error:
            return DayFiles(files, str(error), is_unknown=True)
        if not is_ready:
            return DayFiles(files, f"{printable_name(marker)} is not there")
        missing = self._find_missing(source, pattern, marker, files)
        # A marker says that the sender is through.
        young = "" if missing else self._find_young(files, 0 if marker else self._stable_seconds)
        return DayFiles(files, missing or young, is_young=bool(young))

    def _find_missing(self, source: FileSource, pattern: str, marker: str, files: Mapping[str, RawFile]) -> str:
        if files or source.optional:
            return ""
        shown = printable_name(pattern)
        beside = f", though {printable_name(marker)} is" if marker else ""
        return f"no file like {shown} is there{beside}" if _WILD.search(pattern) else f"{shown} is not there{beside}"

    def _find_young(self, files: Mapping[str, RawFile], rest_seconds: float) -> str:
        now = self._clock()
        for path, file in files.items():
            # On such a file system a file that is written again right after it was read would have the same time.
            is_coarse = file.changed_ns % 10**9 == 0
            rest = max(rest_seconds, COARSE_SECONDS) if is_coarse else rest_seconds
            # A time far ahead of ours says nothing.
            if rest and -SKEW_SECONDS <= now - file.changed_ns / 1e9 < rest:
                return f"{printable_name(path)} may still be written"
        return ""

    def _fault_of(self, folder: str) -> str:
        if folder not in self._folders:
            self._folders[folder] = find_folder_fault(self.source / folder)
        return self._folders[folder]

    def _find(self, pattern: str, marker: str) -> list[str]:
        """The paths that a pattern names, sorted; only the folders on its way are listed."""
        if not _WILD.search(pattern):
            return [pattern]
        if marker:
            self._listings.clear()  # one from before the marker was found may be half
        # Not by glob, which takes a folder that cannot be listed for an empty one.
        paths = [""]
        for part in pattern.split("/"):
            is_wild = _WILD.search(part)
            found: list[str] = []
            for folder in paths:
                names = self._match(folder, part) if is_wild else [part]
                found += [f"{folder}/{name}" if folder else name for name in names]
            paths = found
        return sorted(path for path in paths if path != marker)

    def _match(self, folder: str, part: str) -> list[str]:
        """The names in a folder that one part of a pattern stands for; as in a shell, no hidden ones."""
        if folder not in self._listings:
            self._listings[folder] = self._list(folder)
        # Brackets in a template are letters.
        expression = re.compile(translate(part.replace("[", "[[]")))
        names = [name for name in self._listings[folder] if expression.match(name)]
        return names if part.startswith(".") else [name for name in names if not name.startswith(".")]

    def _list(self, folder: str) -> list[str]:
        try:
            with os.scandir(self.source / folder) as entries:
                return [entry.name for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            where, reason = printable_name(str(self.source / folder)), one_line(error.strerror)
            raise _UnusableError(f"the folder {where} cannot be read ({reason}); grant access") from error

    def _read(self, source: FileSource, path: str) -> RawFile | None:
        """What the file is now; None where there is none."""
        # By texts: to make a path of each of tens of thousands takes longer than to look at it.
        full = f"{self.source}/{path}"
        try:
            status = os.lstat(full)
            is_link = stat.S_ISLNK(status.st_mode)
            status = os.stat(full) if is_link else status  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _UnusableError(f"{printable_name(path)} cannot be looked at ({one_line(error.strerror)})") from error
        if not stat.S_ISREG(status.st_mode):
            return None
        if not _is_utf8(path):
            raise _UnusableError(
                f"{printable_name(path)} has a name that is not UTF-8, which no query can open; rename it"
            )
        folder, _, name = full.rpartition("/")
        real = os.path.realpath(full) if is_link else f"{self._real_folder(folder)}/{name}"
        if not real.startswith(self._root.rstrip("/") + "/"):
            raise _UnusableError(f"{printable_name(path)} leads out of the source folder; put the file itself there")
        file = RawFile(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        ahead = max(file.modified_ns, file.changed_ns) / 1e9 > self._clock() + SKEW_SECONDS
        if source.compare == "content" or ahead or file.modified_ns <= 0:
            return RawFile(file.size, file.modified_ns, file.changed_ns, _hash(Path(full), path))
        return file

    def _real_folder(self, folder: str) -> str:
        """Where a folder on the way to the files really lies; each is followed once."""
        if folder not in self._real_folders:
            above, _, name = folder.rpartition("/")
            is_end = folder == str(self.source) or os.path.islink(folder)  # noqa: PTH114
            real = os.path.realpath(folder) if is_end else f"{self._real_folder(above)}/{name}"
            self._real_folders[folder] = real
        return self._real_folders[folder]

    def _is_file(self, path: str) -> bool:
        with suppress(OSError):
            return (self.source / path).is_file()
        return False


class _UnusableError(Exception):
    """A file that is there and cannot be used; its text says why."""


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
        raise _UnusableError(f"{printable_name(path)} cannot be read ({one_line(error.strerror)})") from error


def _unite(looks: Sequence[DayFiles]) -> DayFiles:
    files: dict[str, RawFile] = {}
    missing, young, is_unknown = "", "", False
    for look in looks:
        files |= look.files
        if look.is_young:
            young = young or look.missing
        else:
            missing = missing or look.missing
        is_unknown = is_unknown or look.is_unknown
    return DayFiles(files, missing or young, is_young=bool(young) and not missing, is_unknown=is_unknown)


def _days_before(day: date, window: int) -> Iterator[date]:
    """The days of a source that the day is made from: the ``window - 1`` before it, and itself."""
    last = day.toordinal()
    return map(date.fromordinal, range(max(date.min.toordinal(), last + 1 - window), last + 1))


def days_to_look_at(table: Table, *, today: date) -> Days:
    """The days whose files are looked at without being asked for: the ``arrival_days`` before today, and today."""
    first = max(today - timedelta(days=table.settings.arrival_days), table.settings.first_day)
    return Days.between(first, today) if first <= today else Days()
