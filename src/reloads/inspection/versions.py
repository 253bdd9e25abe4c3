"""The versions of partitions that are kept: which request wrote each, how many rows it has, and until when it stood."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.history import History
from reloads.warehouse.parquet import footers, row_counts
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


def versions(settings: Settings, table: Table, *, day: date | None = None) -> list[Version]:
    """The versions of each partition, oldest first, the published one last."""
    folder = folder_of(settings.warehouse, table)
    kept = [(one.partition, one.file, one.replaced_at) for one in History(settings.warehouse, table.name).kept()]
    found: list[tuple[str, Path | None, datetime | None]] = [*kept]
    found += [(name, file, None) for name, file in folder.published().items()]
    found = [one for one in found if day is None or folder.day_of(one[0]) == day]
    facts = _facts([file for _, file, _ in found if file])
    nothing: tuple[None, tuple[str, ...]] = (None, ())
    listed = [
        Version(name, rows, requests, at)
        for name, file, at in found
        for rows, requests in [facts.get(file, nothing) if file else nothing]
    ]
    far = datetime.max.replace(tzinfo=UTC)
    return sorted(listed, key=lambda one: (one.partition, one.replaced_at or far))


def disk_use(settings: Settings, table: Table) -> DiskUse:
    """What the table and its history use."""
    published = folder_of(settings.warehouse, table).published().values()
    return DiskUse(sum(path.stat().st_size for path in published), History(settings.warehouse, table.name).bytes())


def _facts(files: Iterable[Path]) -> dict[Path, tuple[int, tuple[str, ...]]]:
    """Rows and requests of each file that can be read, by its footer."""
    import duckdb

    with duckdb.connect(":memory:") as db:
        rows = row_counts(db, list(files))
        if not rows:
            return {}
        texts = footers(db, list(rows), "reloads.requests")
        requests = {file: tuple(json.loads(text)) for file, text in texts.items()}
        return {file: (count, requests.get(file, ())) for file, count in rows.items()}
