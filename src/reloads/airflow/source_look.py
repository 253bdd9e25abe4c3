"""A look at the raw files of the days that somebody waits for.

Nothing is said here of what is to be done about a file: whoever is woken looks at the folders and at the log.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from reloads.airflow.arrival_news import Group, GroupSight
from reloads.airflow.source_walk import FolderWalk, StoreWalk, Walk
from reloads.days import Days
from reloads.errors import ReloadsError, one_line
from reloads.files import printable_name
from reloads.requests.watermark import list_watermarks, read_watermark
from reloads.stores.address import store_url
from reloads.tables.file_sources import FileSource, FileSources
from reloads.tables.lineage import LONGEST_WINDOW
from reloads.tables.source_tree import UnusableError

MAX_DAYS = 10_000
"""So many days of a source are watched, the newest."""
ARRIVAL_DAYS = 31
"""What ``arrival_days`` of ``table.toml`` is where it is not given."""


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
    walk = StoreWalk(url) if url else FolderWalk(source)
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
    name: str, source: FileSource, days: Days, walk: Walk, troubles: dict[str, str]
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
