"""Raw files: which files of a day are there, what they are, and why a day cannot be loaded yet.

Only paths of the days that are asked for are looked at, so a look costs with these and not with what lies there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic, time

from reloads.days import Days
from reloads.files import printable_name
from reloads.raw_file import RawFile
from reloads.settings import Settings
from reloads.stores.address import store_url
from reloads.tables.definition import Table
from reloads.tables.file_sources import FileSource
from reloads.tables.file_template import WILD
from reloads.tables.lineage import input_days
from reloads.tables.source_folder import SKEW_SECONDS
from reloads.tables.source_tree import UnusableError, source_tree

SAMPLE_DAYS = 31
"""How far back a store is looked for a file of which only the columns matter."""

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


_shown: dict[Path, tuple[float, RawFiles]] = {}
"""When each store was looked at last to show it, and what was seen."""


class RawFiles:
    """Looks at the raw files of days, at each path once; a new look needs another instance."""

    @classmethod
    def look(cls, settings: Settings) -> RawFiles:
        """A look at what lies there now."""
        return cls(settings.source, stable_seconds=settings.stable_seconds)

    @classmethod
    def look_to_show(cls, settings: Settings) -> RawFiles:
        """A look to show somebody: of a store one of this process, as old as the doorbell's may be, as each costs."""
        if store_url(settings.source) is None:
            return cls.look(settings)
        kept = _shown.get(settings.source)
        if kept is None or monotonic() - kept[0] > settings.rescan_seconds:
            kept = _shown[settings.source] = (monotonic(), cls.look(settings))
        return kept[1]

    def __init__(self, source: Path, *, stable_seconds: float, clock: Callable[[], float] = time) -> None:
        self._tree = source_tree(source, clock=clock)
        self._stable_seconds = stable_seconds
        self._clock = clock
        self._looks: dict[tuple[FileSource, str], DayFiles] = {}

    @property
    def root(self) -> str:
        """Where they all lie, as queries name it: an absolute path or a URL."""
        return self._tree.root

    def of_day(self, table: Table, day: date) -> DayFiles:
        """What the day of the table is made from: the files of all its sources, and of days before it if it reads them.

        The first thing that is missing is told.
        """
        looks: list[DayFiles] = []
        for name, source in table.file_sources.items():
            looks += [self.of_source(source, each) for each in _days_before(day, table.file_windows[name])]
        return looks[0] if len(looks) == 1 else _unite(looks)

    def names_of(self, table: Table, name: str, days: Days) -> list[str]:
        """The files of one source that these days of the table are made from, each once, as queries name them."""
        paths: dict[str, None] = {}
        for day in input_days(days, table.file_windows[name]):
            paths |= dict.fromkeys(self.of_source(table.file_sources[name], day).files)
        return [f"{self.root}/{path}" for path in paths]

    def find_sample(self, source: FileSource) -> str | None:
        """One file of whatever day, the last by its name, which tells what columns there are; lists all of them.

        In a store all are listed only where there is none of the last days.
        """
        if self._tree.is_store:
            today = datetime.fromtimestamp(self._clock(), UTC).date()
            for day in reversed(list(Days.between(today - timedelta(days=SAMPLE_DAYS), today))):
                if files := self.of_source(source, day).files:
                    return f"{self.root}/{max(files)}"
        try:
            found = self._tree.find(source.files.any_day(), within=source.files.folder)
        except UnusableError:
            return None
        paths = [path for path in found if source.files.days_of(path)]
        return f"{self.root}/{paths[-1]}" if paths else None

    def of_source(self, source: FileSource, day: date) -> DayFiles:
        """What lies there of one source for one day, or for the month or year that the day is in."""
        pattern = source.files.pattern(day)
        key = (source, pattern)
        if key not in self._looks:
            self._looks[key] = self._look(source, pattern, source.marker.pattern(day) if source.marker else "")
        return self._looks[key]

    def _look(self, source: FileSource, pattern: str, marker: str) -> DayFiles:
        within = source.files.folder
        fault = self._tree.find_fault(within)
        if fault:
            return DayFiles(missing=fault, is_unknown=True)
        files: dict[str, RawFile] = {}
        try:
            # The marker first: what is listed before it was written may be half of what it stands for.
            is_ready = source.marker is None or self._tree.has(marker, within=source.marker.folder)
            for path in self._tree.find(pattern, within=within, marker=marker):
                file = self._tree.read(path, by_content=source.compare == "content")
                if file is not None:
                    files[path] = file
        except UnusableError as error:
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
        return f"no file like {shown} is there{beside}" if WILD.search(pattern) else f"{shown} is not there{beside}"

    def _find_young(self, files: Mapping[str, RawFile], rest_seconds: float) -> str:
        if self._tree.is_store:
            return ""
        now = self._clock()
        for path, file in files.items():
            # On such a file system a file that is written again right after it was read would have the same time.
            is_coarse = file.changed_ns % 10**9 == 0
            rest = max(rest_seconds, COARSE_SECONDS) if is_coarse else rest_seconds
            # A time far ahead of ours says nothing.
            if rest and -SKEW_SECONDS <= now - file.changed_ns / 1e9 < rest:
                return f"{printable_name(path)} may still be written"
        return ""


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
