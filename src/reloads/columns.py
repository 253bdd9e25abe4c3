"""The schema guard: whether new data has the columns and types that the published table has.

The order of columns and whether they hold NULL do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reloads.errors import FitError
from reloads.ledger import Ledger
from reloads.partition_files import pattern
from reloads.warehouse import TableFolder

if TYPE_CHECKING:
    import duckdb

Policy = Literal["refuse", "append", "replace"]


def columns_of(db: duckdb.DuckDBPyConnection, file: Path) -> dict[str, str]:
    """The columns of a Parquet file and their SQL types."""
    found = db.execute("describe from read_parquet($1, hive_partitioning = false)", [pattern(file)]).fetchall()
    return {row[0]: row[1] for row in found}


def published_columns(db: duckdb.DuckDBPyConnection, ledger: Ledger, target: TableFolder) -> dict[str, str]:
    """The columns of the published table: as the ledger has them, or else those of its newest readable file."""
    import duckdb

    if target.is_empty():
        return {}
    if ledger.columns:
        return dict(ledger.columns)
    for file in sorted(target.published().values(), key=lambda path: -path.stat().st_mtime_ns):
        try:
            return columns_of(db, file)
        except duckdb.Error:
            continue
    return {}


def fitted(table: str, new: Mapping[str, str], old: Mapping[str, str], *, policy: Policy) -> dict[str, str]:
    """The columns of the table once ``new`` is published; raises ``FitError`` where the policy does not let it in."""
    if not old or policy == "replace":
        return dict(new)
    for name, kind in old.items():
        cure = 'mend the query, or set on_schema_change = "replace" and all partitions are reloaded'
        if name not in new:
            raise FitError(f"{table}: the column {name} ({kind}) of the published table is gone; {cure}")
        if new[name] != kind:
            raise FitError(f"{table}: the column {name} is {new[name]} and {kind} in the published table; {cure}")
    if (added := [name for name in new if name not in old]) and policy == "refuse":
        cure = 'remove it, or set on_schema_change = "append"'
        raise FitError(f"{table}: the column {added[0]} ({new[added[0]]}) is new to the published table; {cure}")
    return {**old, **new}
