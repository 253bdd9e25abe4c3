"""The inputs of a batch: the tables and parameters that its query reads, made known to the database by their names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.errors import InputError, OperatorError, QueryError
from reloads.rewriting.engine import Engine
from reloads.rewriting.linked_inputs import LinkedInput
from reloads.rewriting.schema import describe_columns, null_columns, published_columns
from reloads.sql import quote_name
from reloads.tables.definition import Table
from reloads.tables.parameters import with_defaults
from reloads.warehouse.access import state_of
from reloads.warehouse.parquet import relation
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.state import Head

if TYPE_CHECKING:
    import duckdb

SQL_TYPES = {"integer": "bigint", "number": "double", "text": "varchar", "boolean": "boolean", "date": "date"}
"""The SQL type of a parameter by the type that its table declares."""


def create_inputs(
    engine: Engine, linked: Mapping[str, LinkedInput], *, warehouse: Path, inputs: Mapping[str, Table]
) -> None:
    """Make each input known to the database by its name.

    Raises ``InputError``, or ``OperatorError`` while sources are missing, as they may be the cause.
    """
    import duckdb

    # Empty ones last: the query that gives their columns may read the others.
    for name in sorted(linked, key=lambda name: not linked[name].files):
        try:
            if linked[name].files:
                _create_view(engine.db, linked[name])
            elif not _has_table(engine.db, name):
                create_empty(engine, linked[name].table, warehouse=warehouse, inputs=inputs)
        except QueryError as error:
            raise InputError(f"the table '{name}' cannot be read: {error}") from error
        except duckdb.Error as error:
            error_type = OperatorError if engine.source_errors else InputError
            cause = engine.explain(error)
            raise error_type(f"the table '{name}' cannot be read: {cause}; mend or reload it") from error


def _create_view(db: duckdb.DuckDBPyConnection, linked: LinkedInput) -> None:
    """Create a view over the files; columns that the table has by now and none of these files has are NULL in it."""
    name = quote_name(linked.table.name)
    source = relation(linked.files, columns=_partition_columns(linked.table, linked.head))
    db.execute(f"create view {name} as from {source}")
    names_in_files = {column.lower() for column in describe_columns(db, f"from {name}")}
    columns = linked.head.columns
    added = {column: sql_type for column, sql_type in columns.items() if column.lower() not in names_in_files}
    if added:
        db.execute(f"create or replace view {name} as select *, {null_columns(added)} from {source}")


def _has_table(db: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the database has a table or view of that name, in the case given."""
    return bool(db.execute("select 1 from information_schema.tables where table_name = $1", [name]).fetchall())


def set_parameters(db: duckdb.DuckDBPyConnection, table: Table, given: Mapping[str, Any]) -> None:
    """Let the query read the value of each parameter by ``getvariable``, always as the type that the table declares.

    As DuckDB types a bare value, a larger number or one without a fraction would give a column another type.
    """
    declared = table.settings.parameters
    for name, value in with_defaults(given, declared).items():
        db.execute(f"set variable {quote_name(name)} = cast($1 as {SQL_TYPES[declared[name].type]})", [value])


def create_empty(engine: Engine, table: Table, *, warehouse: Path, inputs: Mapping[str, Table]) -> None:
    """Create the table without rows: with the columns that it has, or those of its query if nothing is published."""
    db = engine.db
    folder = folder_of(warehouse, table)
    head = state_of(folder).read_head()
    columns = published_columns(db, head, folder)
    if columns:
        columns |= _partition_columns(table, head)
        db.execute(f"create table {quote_name(table.name)} as select {null_columns(columns)} limit 0")
        return
    for name in table.inputs:
        if not _has_table(db, name):
            create_empty(engine, inputs[name], warehouse=warehouse, inputs=inputs)
    engine.set_files(table)
    engine.create_sources(table.sources)
    set_parameters(db, table, {})
    db.execute(f"create table {quote_name(table.name)} as from (\n{table.query}\n) limit 0")


def _partition_columns(table: Table, head: Head) -> dict[str, str]:
    """The day column and the keys with their SQL types, which files in the Hive layout do not hold."""
    columns = {table.settings.day_column: "date"}
    for key in table.settings.keys:
        columns[key] = head.key_types.get(key, "varchar")
    return columns
