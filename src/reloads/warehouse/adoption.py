"""Adoption: files that lie in a table's folder without a commit become versions, as they are.

So a file that somebody put there, or that an earlier release published, is undone and followed like any other, and is
not lost when it is replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from reloads.files import link_or_copy, sync_all
from reloads.warehouse.access import begin_log, next_time
from reloads.warehouse.commit import Commit, Entry, Making, Point
from reloads.warehouse.current_view import version_path
from reloads.warehouse.found_files import FileLook
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Snapshot, State


@dataclass(frozen=True)
class Facts:
    """What is known of a file that nobody has committed."""

    rows: int = 0
    content: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    making: Making | None = None


@dataclass(frozen=True)
class FoundFile:
    """The file of a partition as readers find it."""

    size: int
    modified_at: datetime
    is_ours: bool
    """Whether it is the version that the log has for the partition."""


def look_at_files(folder: TableFolder, snapshot: Snapshot, days: Iterable[date]) -> dict[PartitionName, FoundFile]:
    """The files that lie in the folders of these days; in an object store those that the log has."""
    files: dict[PartitionName, FoundFile] = {}
    if folder.stored:
        wanted_days = set(days)
        for name, entry in snapshot.entries.items():
            if entry.version and folder.has_form_of(name) and name.day in wanted_days:
                modified_at = datetime.fromtimestamp(entry.modified_ns / 10**9, UTC)
                files[name] = FoundFile(entry.bytes, modified_at, is_ours=True)
        return files
    look = FileLook(folder)
    for day in days:
        for name in folder.names_of(day) if folder.keys else [folder.day_name(day)]:
            text = str(name)
            status = look.find(text)
            if status is not None:
                is_own = _is_version(look, text, snapshot.entries.get(name), status)
                files[name] = FoundFile(status.st_size, datetime.fromtimestamp(status.st_mtime, UTC), is_own)
    return files


def find_strangers(folder: TableFolder, snapshot: Snapshot, days: Iterable[date]) -> list[PartitionName]:
    """The partitions of these days whose file is not the version that the log has for them."""
    return [name for name, file in look_at_files(folder, snapshot, days).items() if not file.is_ours]


def is_ours(folder: TableFolder, name: PartitionName, entry: Entry | None) -> bool:
    """Whether the partition's file is the version that the log has for it, as it was published.

    A program that writes over the file in place changes the version as well, as both are one file; its size tells.
    """
    if folder.stored:
        return entry is not None and entry.version > 0
    look, text = FileLook(folder), str(name)
    status = look.find(text)
    return status is not None and _is_version(look, text, entry, status)


def _is_version(look: FileLook, name: str, entry: Entry | None, status: os.stat_result) -> bool:
    return entry is not None and look.is_version(name, entry.version, entry.bytes, entry.modified_ns, status)


def adopt(
    folder: TableFolder,
    state: State,
    facts: Mapping[PartitionName, Facts],
    *,
    run: str,
    now: datetime,
    columns: Mapping[str, str] | None = None,
    key_types: Mapping[str, str] | None = None,
) -> Commit:
    """Make versions of the files of these partitions, in one commit; their bytes and times stay as they are.

    Only who holds the table's lock may, as ``open_table`` gives it. Raises ``OSError`` where the disk refuses it.
    """
    snapshot = state.read({name.day for name in facts})
    head = begin_log(folder, snapshot.head)
    number = head.point.number + 1
    after: dict[PartitionName, Entry] = {}
    for name, fact in facts.items():
        version, before = Path(version_path(folder, name, number)), snapshot.entries.get(name)
        version.parent.mkdir(parents=True, exist_ok=True)
        version.unlink(missing_ok=True)
        link_or_copy(folder.file(name), version)
        status = version.stat()
        after[name] = Entry(
            version=number,
            changed=number,
            # Nobody rewrote it: a batch that has begun is not superseded by that.
            touched=before.touched if before else 0,
            making=fact.making,
            origin=number,
            rows=fact.rows,
            bytes=status.st_size,
            content=fact.content,
            columns=fact.columns,
            modified_ns=status.st_mtime_ns,
        )
        sync_all(version.parents[: 2 + len(folder.keys)])
    if folder.keys:
        for day in {name.day for name in facts}:
            before = snapshot.entries.get(folder.day_name(day), Entry(0, 0, 0, None))
            after[folder.day_name(day)] = Entry(0, number, before.touched, before.making)
    commit = Commit(
        point=Point(head.point.log, number),
        table=folder.table,
        act="adopt",
        run=run,
        published_ns=next_time(head, now),
        day_column=folder.day_column,
        keys=folder.keys,
        after=after,
        before={name: snapshot.entries[name] for name in after if name in snapshot.entries},
        columns=columns or head.columns,
        key_types=key_types or head.key_types,
    )
    state.log.create(commit)
    state.apply(commit)
    return commit
