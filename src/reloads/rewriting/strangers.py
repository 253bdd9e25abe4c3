"""Strangers: files that somebody put into a table's folder. They become versions before they are read or replaced."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.rewriting.schema import columns_of
from reloads.warehouse.access import open_table, state_of
from reloads.warehouse.adoption import Facts, adopt, find_strangers
from reloads.warehouse.parquet import footers, row_counts
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Snapshot

if TYPE_CHECKING:
    import duckdb

KEY_TYPES = "reloads.key_types"
"""The footer's note of the types of the keys, which only folders' names hold otherwise."""


def read_with_strangers(
    db: duckdb.DuckDBPyConnection, folder: TableFolder, days: Iterable[date], *, run: str, now: datetime
) -> Snapshot:
    """What is known of these days of a table, once each file that lies there is a version."""
    wanted_days = list(days)
    snapshot = state_of(folder).read(wanted_days)
    if not _find_strangers(db, folder, snapshot, wanted_days):
        return snapshot
    with open_table(folder) as state:
        snapshot = state.read(wanted_days)
        strangers = _find_strangers(db, folder, snapshot, wanted_days)
        if strangers:
            files = {name: folder.file(name) for name in strangers}
            counts = row_counts(db, list(files.values()))
            facts = {name: Facts(rows=counts.get(file, 0)) for name, file in files.items()}
            newest = max(counts, key=lambda file: file.stat().st_mtime_ns, default=None)
            columns = snapshot.head.columns or (columns_of(db, newest) if newest else {})
            key_types = snapshot.head.key_types or _read_key_types(db, newest)
            adopt(folder, state, facts, run=run, now=now, columns=columns, key_types=key_types)
        return state.read(wanted_days)


def _find_strangers(
    db: duckdb.DuckDBPyConnection, folder: TableFolder, snapshot: Snapshot, days: Iterable[date]
) -> list[PartitionName]:
    """The strangers on these days; where no commit says which columns the table has, also one file that says so."""
    strangers = find_strangers(folder, snapshot, days)
    if strangers or snapshot.head.columns:
        return strangers
    for name in folder.newest_first():
        if row_counts(db, [folder.file(name)]):
            return [name]
    return []


def _read_key_types(db: duckdb.DuckDBPyConnection, file: Path | None) -> dict[str, str]:
    """The types of the keys as the footer has them; none where it says nothing of them."""
    if file is None:
        return {}
    try:
        key_types = json.loads(footers(db, [file], KEY_TYPES).get(file, "{}"))
    except ValueError:
        return {}
    return {str(key): str(kind) for key, kind in key_types.items()} if isinstance(key_types, dict) else {}
