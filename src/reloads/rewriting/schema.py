"""The schema guard: whether new data has the columns and types that the published table has.

Neither the order of columns counts nor whether they may hold NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reloads.errors import FitError, OperatorError, QueryError
from reloads.rewriting.engine import Engine
from reloads.sql import quote_name
from reloads.tables.definition import Table
from reloads.warehouse.delta_types import NoDeltaTypeError, delta_type
from reloads.warehouse.parquet import pattern
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Head

if TYPE_CHECKING:
    import duckdb

Policy = Literal["refuse", "append", "replace"]


def describe_columns(db: duckdb.DuckDBPyConnection, query: str, *values: object) -> dict[str, str]:
    """The columns of a query's result and their SQL types; the query is bound, not run."""
    return {row[0]: row[1] for row in db.execute(f"describe\n{query}", values).fetchall()}


def null_columns(columns: Mapping[str, str]) -> str:
    """A select list of columns of these names and SQL types that hold NULL."""
    return ", ".join(f"cast(null as {sql_type}) as {quote_name(name)}" for name, sql_type in columns.items())


def columns_of(db: duckdb.DuckDBPyConnection, file: Path) -> dict[str, str]:
    """The columns of a Parquet file and their SQL types."""
    return describe_columns(db, "from read_parquet($1, hive_partitioning = false)", pattern(file))


def published_columns(db: duckdb.DuckDBPyConnection, head: Head, folder: TableFolder) -> dict[str, str]:
    """The columns of the published table and their SQL types; none where nothing is published.

    Where the log was lost, they are those of the newest file that can be read.
    """
    import duckdb

    if folder.is_empty():
        return {}
    if head.columns:
        return dict(head.columns)
    for name in folder.newest_first():
        with suppress(duckdb.Error):
            return columns_of(db, folder.file(name))
    return {}


def merge_columns(table: str, new: Mapping[str, str], old: Mapping[str, str], *, policy: Policy) -> dict[str, str]:
    """The columns of the table once ``new`` is published; raises ``FitError`` where the policy refuses it."""
    if not old or policy == "replace":
        return dict(new)
    for name, old_type in old.items():
        cure = 'mend the query, or set on_schema_change = "replace" and all partitions are reloaded'
        if name not in new:
            raise FitError(f"{table}: the column {name} ({old_type}) of the published table is gone; {cure}")
        if new[name] != old_type:
            raise FitError(f"{table}: the column {name} is {new[name]} and {old_type} in the published table; {cure}")
    for name, new_type in new.items():
        if name not in old and policy == "refuse":
            cure = 'remove it, or set on_schema_change = "append"'
            raise FitError(f"{table}: the column {name} ({new_type}) is new to the published table; {cure}")
    return {**old, **new}


LOSSY_TYPES = {
    "hugeint": "DOUBLE, which rounds it; cast it to bigint or decimal(38, 0)",
    "uhugeint": "DOUBLE, which rounds it; cast it to ubigint or decimal(38, 0)",
    "bignum": "VARCHAR, which compares as a text; cast it to decimal(38, 0) or varchar",
    "bit": "VARCHAR; cast it to varchar or blob",
    "interval": "whole milliseconds that are not negative; cast it to a number or to varchar",
    "time with time zone": "UTC without its zone; cast it to time or to varchar",
    "union": "a STRUCT of all its members; select the member that is meant",
}
"""Types of DuckDB, as it calls them, that a Parquet file stores as another one so that something is lost.

Nothing is lost with an ENUM (read back as VARCHAR), TIMESTAMP_S and TIMESTAMP_MS (TIMESTAMP), or an array (a list).
"""


def refuse_lossy_types(db: duckdb.DuckDBPyConnection, table: Table, columns: Mapping[str, str]) -> None:
    """Raise ``QueryError`` for a column that a Parquet file does not give back as it is, also within nested types."""
    for name, sql_type in columns.items():
        for type_name in _walk_types(db.dtype(sql_type)):
            if type_name in LOSSY_TYPES:
                fault = f"{name} is {sql_type}, and Parquet stores {type_name.upper()} as {LOSSY_TYPES[type_name]}"
                raise QueryError(f"tables/{table.name}/query.sql: the column {fault}")


def refuse_types_without_snapshot(db: duckdb.DuckDBPyConnection, table: Table, columns: Mapping[str, str]) -> None:
    """Raise ``QueryError`` for a column that a Delta table cannot hold."""
    for name, sql_type in columns.items():
        try:
            delta_type(db.dtype(sql_type))
        except NoDeltaTypeError as error:
            raise QueryError(f"tables/{table.name}/query.sql: the column {name} is {sql_type}; {error}") from error


def _walk_types(sql_type: Any) -> Iterator[str]:
    """The names of the type and of those that it is made of."""
    yield sql_type.id
    if sql_type.id in ("list", "array", "struct", "map"):
        for _, child in sql_type.children:
            if not isinstance(child, int):  # the length of an array
                yield from _walk_types(child)


def query_columns(engine: Engine, table: Table) -> dict[str, str]:
    """The columns of the query's result with their types.

    Raises ``QueryError`` unless the query binds and has the day column, as a DATE, and the other columns that the
    settings name; ``OperatorError`` if it does not bind while sources are missing, as they may be the cause.
    """
    import duckdb

    file = f"tables/{table.name}/query.sql"
    try:
        columns = describe_columns(engine.db, table.query)
    except duckdb.Error as error:
        error_type = OperatorError if engine.source_errors else QueryError
        raise error_type(f"{file}: {engine.explain(error)}") from error
    settings = table.settings
    _require_columns(columns, [settings.day_column], file=file, setting="day_column")
    day_type = columns[settings.day_column]
    if day_type != "DATE":
        raise QueryError(f"{file}: {settings.day_column} is {day_type}, not DATE; cast it to date")
    partition_columns = [settings.day_column, *settings.keys]
    if not columns.keys() - set(partition_columns):
        names = " and ".join(partition_columns)
        raise QueryError(f"{file} has no column besides {names}, which is the partition's name; select another")
    _require_columns(columns, settings.keys, file=file, setting="keys")
    _require_columns(columns, settings.order_by, file=file, setting="order_by")
    return columns


def _require_columns(columns: Mapping[str, str], names: Iterable[str], *, file: str, setting: str) -> None:
    for name in names:
        if name not in columns:
            raise QueryError(f"{file} has no column {name}, only {', '.join(columns)}; select it or change {setting}")
