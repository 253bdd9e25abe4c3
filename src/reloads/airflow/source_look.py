"""A look at the raw files of the days that somebody waits for.

Nothing is said here of what is to be done about a file: whoever is woken looks at the folders and at the log.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from reloads.airflow.arrival_news import FileSignature, Group, GroupSight
from reloads.days import Days
from reloads.errors import ReloadsError, one_line
from reloads.files import printable_name
from reloads.requests.watermark import list_watermarks, read_watermark
from reloads.stores.address import store_url
from reloads.tables.file_sources import FileSource, FileSources
from reloads.tables.lineage import LONGEST_WINDOW
from reloads.tables.source_folder import find_folder_fault
from reloads.tables.source_store import SourceStore
from reloads.tables.source_tree import UnusableError

MAX_DAYS = 10_000
"""So many days of a source are watched, the newest."""
ARRIVAL_DAYS = 31
"""What ``arrival_days`` of ``table.toml`` is where it is not given."""
ASKED_ONE_BY_ONE = 500
"""More paths in one folder are looked for in its listing, where most of them are not there."""
_HAS_GLOB = re.compile(r"[*?]")


@dataclass(frozen=True)
class SourceView:
    """What one look saw."""

    groups: Mapping[Group, GroupSight | None] = field(default_factory=dict)
    """None where nothing can be said: a folder is away or cannot be read."""
    folders: frozenset[Path] = frozenset()
    """The existing folders on the way to the files, the source folder included."""
    sources: Mapping[str, FileSource] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)
    """What is wrong, in sentences, by what it is wrong with: of a folder that is away, its path."""


def look_at_sources(*, source: Path, tables: Path, landing: Path, today: date) -> SourceView:
    """Look at the files of the watched days; only the folders on the way of a ``*`` or ``?`` are listed."""
    file_sources = FileSources.load(tables)
    troubles = {f"section {name}": str(fault) for name, fault in file_sources.faults.items()}
    if file_sources.fault:
        troubles["file"] = str(file_sources.fault)
    if not file_sources.sources:
        return SourceView(troubles=troubles)
    awaited = _read_awaited_days(landing, troubles)
    recent = find_recent_days(tables, today=today)
    url = store_url(source)
    walk = _StoreWalk(url) if url else _Walk(source)
    groups: dict[Group, GroupSight | None] = {}
    for name, file_source in file_sources.sources.items():
        days = (recent | awaited.get(name, Days())).newest(MAX_DAYS)
        if days:
            groups |= _look_at_source(name, file_source, days, walk, troubles)
    return SourceView(groups, frozenset(walk.folders), file_sources.sources, troubles)


def find_recent_days(tables: Path, *, today: date) -> Days:
    """The days up to today that tables with ``on_arrival`` look at.

    Not those to come: a file that came early is news on its day.
    """
    recent: list[Days] = []
    for path in tables.glob("*/table.toml"):
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # a broken table asks for nothing, and is said elsewhere
        days, first_day = settings.get("arrival_days", ARRIVAL_DAYS), settings.get("first_day")
        if settings.get("on_arrival") not in (True, "corrections") or type(days) is not int or days < 0:
            continue
        first = today - timedelta(days=min(days, MAX_DAYS))
        if type(first_day) is date:
            # No day before it can be asked for, but a window of the table may read files of such days.
            first = max(first, first_day - timedelta(days=LONGEST_WINDOW))
        if first <= today:
            recent.append(Days.between(first, today))
    return Days.union(recent)


def _read_awaited_days(landing: Path, troubles: dict[str, str]) -> dict[str, Days]:
    """The days of each source that tables wait for, by the watermarks ``waiting``."""
    awaited: dict[str, Days] = {}
    for table in list_watermarks(landing, "waiting"):
        try:
            days_by_source = read_watermark(landing, "waiting", table, _parse_awaited_days)
        except (OSError, ValueError, ReloadsError) as error:
            troubles[f"awaited {table}"] = f"the days that {printable_name(table)} waits for: {one_line(error)}"
            continue
        for name, days in (days_by_source or {}).items():
            awaited[name] = awaited.get(name, Days()) | days
    return awaited


def _parse_awaited_days(text: str) -> dict[str, Days]:
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - as whoever reads watermarks expects
    awaited: dict[str, Days] = {}
    for name, texts in fields.items():
        if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
            raise ValueError("it holds something else than lists of days")
        awaited[name] = Days.parse(texts)
    return awaited


def _look_at_source(
    name: str, source: FileSource, days: Days, walk: _Walk | _StoreWalk, troubles: dict[str, str]
) -> dict[Group, GroupSight | None]:
    patterns = {source.files.pattern(day): source.marker.pattern(day) if source.marker else "" for day in days}
    fault = walk.find_fault(source.files.folder)
    if fault:
        troubles[walk.name_of(source.files.folder)] = fault
        return {Group(name, pattern): None for pattern in patterns}
    groups: dict[Group, GroupSight | None] = {}
    for pattern, marker in patterns.items():
        try:
            markers = walk.find(marker, within=source.marker.folder) if source.marker else {}
            found = walk.find(pattern, within=source.files.folder)
            files = {path: file for path, file in found.items() if path not in markers}
            groups[Group(name, pattern)] = GroupSight(files, markers)
        except OSError as error:
            path = printable_name(str(error.filename))
            troubles[path] = f"{path} cannot be looked at ({error.strerror}); grant access or mend it"
            groups[Group(name, pattern)] = None
        except UnusableError as error:
            troubles[walk.name_of(source.files.folder)] = str(error)
            groups[Group(name, pattern)] = None
    return groups


class _StoreWalk:
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


class _Walk:
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
        if not _HAS_GLOB.search(part):
            return [prefix + part]
        if folder not in self._names:
            self._names[folder] = self._list(folder)
        # Brackets in a template are letters.
        regex = re.compile(fnmatch.translate(part.replace("[", "[[]")))
        names = (name for name in self._names[folder] if part.startswith(".") or not name.startswith("."))
        return [prefix + name for name in names if regex.match(name)]

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
