"""The versions of partitions that are kept: which request wrote each, how many rows it has, and until when it stood."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.access import state_of
from reloads.warehouse.adoption import find_strangers
from reloads.warehouse.commit import Commit, Entry
from reloads.warehouse.current_view import version_file
from reloads.warehouse.layout import versions_folder
from reloads.warehouse.mirror import fetch_files, mirror_of
from reloads.warehouse.parquet import footers, row_counts
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.state import State

ReadCommit = Callable[[int], Commit | None]


@dataclass(frozen=True)
class Version:
    """One version of one partition; without rows and requests where nothing was published, or it cannot be read."""

    partition: str
    rows: int | None
    requests: tuple[str, ...]
    replaced_at: datetime | None
    """None for the one that is published."""
    number: int | None = None
    """By which ``diff`` knows it: that of the commit which brought it. None for a file that is not in the log."""
    written_at: datetime | None = None
    """When it came to stand there; None where the commit is not kept."""


@dataclass(frozen=True)
class DiskUse:
    """Bytes of the files of a table or of a day."""

    published: int
    history: int
    """Of the files that nothing but the history holds."""


@dataclass(frozen=True)
class _Found:
    """A version, and its file where only the footer says which requests wrote it."""

    version: Version
    unread: Path | None = None


def versions(settings: Settings, table: Table, *, day: date | None = None) -> list[Version]:
    """The versions of each partition, oldest first, the published one last.

    Of one day only the commits that brought its versions are read. A file that somebody else put there is the published
    version.
    """
    folder = folder_of(settings.warehouse, table)
    state = state_of(folder)
    snapshot = state.read_all() if day is None else state.read([day])
    strangers = find_strangers(folder, snapshot, folder.days() if day is None else [day])
    # A file that was moved there may be older than what it replaced.
    last_commit_at = datetime.fromtimestamp(snapshot.head.published_ns / 10**9, UTC)
    # Each commit once: one may have brought all partitions of a day.
    read_commit = cache(state.log.read)
    found: list[_Found] = []
    for name, entry in snapshot.entries.items():
        if folder.has_form_of(name):
            replaced_at = max(_time_of(folder.file(name)), last_commit_at) if name in strangers else None
            found += _versions_of(folder, state, read_commit, name, entry, replaced_at)
    for name in strangers:
        file = folder.file(name)
        found.append(_Found(Version(str(name), None, (), None, written_at=_time_of(file)), file))
    return sorted(_read_unread(settings.warehouse, found), key=_by_partition_and_time)


def _versions_of(
    folder: TableFolder,
    state: State,
    read_commit: ReadCommit,
    name: PartitionName,
    entry: Entry,
    replaced_at: datetime | None,
) -> Iterator[_Found]:
    """The versions of one partition, from the last one back to the oldest that is kept.

    ``replaced_at`` says when the last one was replaced by a file that is not in the log, if it was.
    """
    current = entry
    while True:
        commit = read_commit(current.changed)
        written_at = commit.published_at if commit else None
        if current.version:
            yield _find_writer(folder, read_commit, name, current, (written_at, replaced_at))
        elif replaced_at is not None:
            yield _Found(Version(str(name), None, (), replaced_at, current.changed, written_at))
        if commit is None:
            return
        before, replaced_at = commit.before.get(name), commit.published_at
        if before is None:
            yield _Found(Version(str(name), None, (), replaced_at, 0))
            return
        if before.version and not state.keeps(name, before):
            return
        current = before


def _find_writer(
    folder: TableFolder,
    read_commit: ReadCommit,
    name: PartitionName,
    entry: Entry,
    stood: tuple[datetime | None, datetime | None],
) -> _Found:
    """The version with the requests that wrote it, whoever put it back since, and from when until when it stood."""
    written_at, replaced_at = stood
    commit = read_commit(entry.origin)
    requests = [request for request in commit.requests if commit.serves(request, name)] if commit else []
    version = Version(str(name), entry.rows, tuple(requests), replaced_at, entry.changed, written_at)
    return _Found(version, None if commit else version_file(folder, name, entry))


def _read_unread(warehouse: Path, found: Sequence[_Found]) -> Iterator[Version]:
    """The versions, with what footers say of those whose commit is not kept, or that have none."""
    import duckdb

    files = [each.unread for each in found if each.unread]
    fetch_files(warehouse, files)
    rows: Mapping[Path, int] = {}
    requests: Mapping[Path, str] = {}
    if files:
        with duckdb.connect(":memory:") as db:
            rows, requests = row_counts(db, files), footers(db, files, "reloads.requests")
    for each in found:
        if each.unread is None:
            yield each.version
        else:
            names = _parse_requests(requests.get(each.unread, "[]"))
            yield replace(each.version, rows=rows.get(each.unread, each.version.rows), requests=names)


def _parse_requests(text: str) -> tuple[str, ...]:
    try:
        names = json.loads(text)
    except ValueError:
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _time_of(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _by_partition_and_time(version: Version) -> tuple[str, datetime]:
    return version.partition, version.replaced_at or datetime.max.replace(tzinfo=UTC)


def disk_use(settings: Settings, table: Table, *, day: date | None = None) -> DiskUse:
    """What the table and the versions that it replaced use, or one day of it."""
    folder = folder_of(settings.warehouse, table)
    if folder.stored:
        return _stored_use(folder, day)
    names = folder.published() if day is None else folder.names_of(day)
    versions_place = versions_folder(settings.warehouse, table.name)
    if day is not None:
        versions_place /= str(folder.day_name(day))
    published: dict[int, int] = {}
    kept: dict[int, int] = {}
    for name in names:
        _note_size(published, folder.file(name))
    for path in versions_place.rglob("*.parquet"):
        _note_size(kept, path)
    history = sum(size for inode, size in kept.items() if inode not in published)
    return DiskUse(sum(published.values()), history)


def _stored_use(folder: TableFolder, day: date | None) -> DiskUse:
    """The same of a table in an object store; the copies that readers open are as large as what is published."""
    mirror, state = mirror_of(folder.warehouse), state_of(folder)
    snapshot = state.read_all() if day is None else state.read([day])
    published = sum(entry.bytes for entry in snapshot.entries.values() if entry.version)
    place = versions_folder(folder.warehouse, folder.table)
    if day is not None:
        place /= str(folder.day_name(day))
    listed = mirror.store.look(mirror.key_of(place)) if mirror else ()
    kept = sum(found.size for found in listed if "/_delta_log/" not in found.key)
    return DiskUse(published, max(kept - published, 0))


def _note_size(sizes: dict[int, int], path: Path) -> None:
    """Note the size of a file by its inode, as what an undo puts back is a second link to a version."""
    with suppress(FileNotFoundError):  # replaced or expired just now
        status = path.stat()
        sizes[status.st_ino] = status.st_size
