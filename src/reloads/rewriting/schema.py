"""The schema guard: whether new data has the columns and types that the published table has.

The order of columns and whether they hold NULL do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reloads.errors import FitError, OperatorError, QueryError
from reloads.rewriting.engine import Engine
from reloads.tables.definition import Table
from reloads.warehouse.ledger import Ledger
from reloads.warehouse.parquet import pattern
from reloads.warehouse.partitions import TableFolder

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
    for file in target.newest_first():
        try:
            return columns_of(db, file)
        except duckdb.Error:
            continue
    return {}


def merge_columns(table: str, new: Mapping[str, str], old: Mapping[str, str], *, policy: Policy) -> dict[str, str]:
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


def query_columns(engine: Engine, table: Table) -> dict[str, str]:
    """The columns of the query's result with their types.

    Raises ``QueryError`` unless it binds and has the day column, as a DATE, and the other columns that the settings
    name; ``OperatorError`` where sources are missing, which may be why: that is no fault of the query.
    """
    import duckdb

    file, settings = f"tables/{table.name}/query.sql", table.settings
    column = settings.day_column
    try:
        types = {row[0]: row[1] for row in engine.db.execute(f"describe\n{table.query}").fetchall()}
    except duckdb.Error as error:
        kind = OperatorError if engine.missing_sources else QueryError
        raise kind(f"{file}: {engine.because(error)}") from error
    if column not in types:
        raise QueryError(f"{file} has no column {column}, only {', '.join(types)}; select it or change day_column")
    if types[column] != "DATE":
        raise QueryError(f"{file}: {column} is {types[column]}, not DATE; cast it to date")
    if not types.keys() - {column, *settings.keys}:
        name = " and ".join([column, *settings.keys])
        raise QueryError(f"{file} has no column besides {name}, which is the partition's name; select another")
    for setting, names in (("keys", settings.keys), ("order_by", settings.order_by)):
        if missing := [name for name in names if name not in types]:
            raise QueryError(
                f"{file} has no column {missing[0]}, only {', '.join(types)}; select it or change {setting}"
            )
    return types
