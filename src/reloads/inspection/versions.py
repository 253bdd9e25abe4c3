"""The versions of partitions that are kept: which request wrote each, how many rows it has, and until when it stood."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.history import History
from reloads.warehouse.parquet import footers, row_counts
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of


@dataclass(frozen=True)
class Version:
    """One version of one partition; without rows and requests where nothing was published."""

    partition: str
    rows: int | None
    requests: tuple[str, ...]
    replaced_at: datetime | None
    """None for the one that is published."""


@dataclass(frozen=True)
class DiskUse:
    """Bytes of a table's files."""

    published: int
    history: int
    """Of the files that nothing but the history holds."""


@dataclass(frozen=True)
class _FileFacts:
    """What the footer of a file says of it."""

    rows: int | None = None
    requests: tuple[str, ...] = ()


def versions(settings: Settings, table: Table, *, day: date | None = None) -> list[Version]:
    """The versions of each partition, oldest first, the published one last."""
    files: list[tuple[PartitionName, Path | None, datetime | None]] = []
    for kept in History(settings.warehouse, table.name).kept():
        files.append((kept.partition, kept.file, kept.replaced_at))
    for name, published_file in folder_of(settings.warehouse, table).published().items():
        files.append((name, published_file, None))
    if day is not None:
        files = [entry for entry in files if entry[0].day == day]
    facts = _read_facts([file for _, file, _ in files if file])
    versions_of_day: list[Version] = []
    for name, file, replaced_at in files:
        file_facts = facts.get(file, _FileFacts()) if file else _FileFacts()
        versions_of_day.append(Version(str(name), file_facts.rows, file_facts.requests, replaced_at))
    return sorted(versions_of_day, key=_by_partition_and_time)


def _by_partition_and_time(version: Version) -> tuple[str, datetime]:
    return version.partition, version.replaced_at or datetime.max.replace(tzinfo=UTC)


def disk_use(settings: Settings, table: Table) -> DiskUse:
    """What the table and its history use."""
    published = folder_of(settings.warehouse, table).published().values()
    return DiskUse(sum(path.stat().st_size for path in published), History(settings.warehouse, table.name).bytes())


def _read_facts(files: Sequence[Path]) -> dict[Path, _FileFacts]:
    """Rows and requests of each file that can be read, by its footer."""
    import duckdb

    with duckdb.connect(":memory:") as db:
        rows_by_file = row_counts(db, files)
        requests_by_file = footers(db, list(rows_by_file), "reloads.requests")
        facts: dict[Path, _FileFacts] = {}
        for file, rows in rows_by_file.items():
            requests = json.loads(requests_by_file.get(file, "[]"))
            facts[file] = _FileFacts(rows, tuple(requests))
        return facts
