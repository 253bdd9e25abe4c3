"""The tables of the warehouse as SQL views: each by its name, and in the schema ``tables`` besides.

A view that has the name of one of ours stays ours: a table ``requests`` is ``tables.requests``. A view holds what is
published when the database is opened, and nothing else that lies in the table's folder. Of a table with snapshots it
holds the last one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from reloads.errors import one_line
from reloads.settings import Settings
from reloads.sql import quote_name, quote_text
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.access import state_of
from reloads.warehouse.delta_table import read_snapshot
from reloads.warehouse.parquet import pattern
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.state import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

SCHEMA = "tables"


def create_tables(
    db: duckdb.DuckDBPyConnection,
    settings: Settings,
    catalog: Catalog,
    *,
    query: str | None,
    taken: Iterable[str],
) -> None:
    """Make a view of each table that the query names, or of all; those with a ``taken`` name only in the schema.

    A table that cannot be read fails the query that reads it, and no other.
    """
    import duckdb

    db.execute(f"create schema {SCHEMA}")
    for name, table in catalog.tables.items():
        if query is not None and not re.search(rf"\b{name}\b", query, re.IGNORECASE):
            continue
        view = f"{SCHEMA}.{quote_name(name)}"
        try:
            db.execute(f"create view {view} as {_select(settings, table)}")
        except duckdb.Error as error:
            sentence = f"the table {name} cannot be read ({one_line(error)}); reload it"
            db.execute(f"create view {view} as select error({quote_text(sentence)}) as unreadable")
        if name not in taken:
            db.execute(f"create view {quote_name(name)} as from {view}")


def _select(settings: Settings, table: Table) -> str:
    """The rows that are published, with the day column and the keys, which only the names of folders hold."""
    folder = folder_of(settings.warehouse, table)
    snapshot = state_of(folder).read_all()
    types = {table.settings.day_column: "date"}
    for key in table.settings.keys:
        types[key] = snapshot.head.key_types.get(key, "varchar")
    shown = read_snapshot(folder) if table.has_snapshots(settings.snapshots) else None
    files = shown.files if shown else folder.published()
    if not files:
        columns = {**snapshot.head.columns, **types}
        nulls = ", ".join(f"cast(null as {kind}) as {quote_name(name)}" for name, kind in columns.items())
        return f"select {nulls} limit 0"
    listed = ", ".join(quote_text(_as_sql_has_it(settings, file)) for file in files.values())
    hive_types = ", ".join(f"{quote_name(name)}: {quote_text(kind)}" for name, kind in types.items())
    # By name each footer is opened before a row is read, so only where the files differ.
    is_alike = _are_alike(snapshot, files) and (shown is None or shown.point == snapshot.head.point)
    by_name = "false" if is_alike else "true"
    source = (
        f"read_parquet([{listed}], hive_partitioning = true, hive_types = {{{hive_types}}}, union_by_name = {by_name})"
    )
    leading = ", ".join(map(quote_name, types))
    return f"select {leading}, * exclude ({leading}) from {source}"


def _as_sql_has_it(settings: Settings, file: Path) -> str:
    return f"warehouse://{pattern(file.relative_to(settings.warehouse))}"


def _are_alike(snapshot: Snapshot, files: Mapping[PartitionName, Path]) -> bool:
    """Whether all files have the columns that the table has now, as far as the log knows them."""
    now = dict(snapshot.head.columns)
    for name in files:
        entry = snapshot.entries.get(name)
        if entry is None or dict(entry.columns) != now:
            return False
    return True
