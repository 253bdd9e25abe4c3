"""The inputs of a batch: the partitions of other tables that its query reads, as they were at one moment.

The files are linked into the staging folder before the query runs. If an input is reloaded meanwhile, the query neither
mixes two versions nor meets a file that is gone, and the ledger can say exactly which files were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.days import Days
from reloads.errors import InputError, OperatorError, QueryError
from reloads.files import cannot_write, link_or_copy
from reloads.rewriting.engine import Engine
from reloads.rewriting.schema import describe_columns, null_columns
from reloads.sql import quote_name
from reloads.tables.definition import Table
from reloads.tables.lineage import input_days
from reloads.tables.parameters import with_defaults
from reloads.warehouse.fingerprint import digest, identity
from reloads.warehouse.layout import DATA_FILE
from reloads.warehouse.ledger import read_ledger, table_lock
from reloads.warehouse.parquet import relation
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of

if TYPE_CHECKING:
    import duckdb

SQL_TYPES = {"integer": "bigint", "number": "double", "text": "varchar", "boolean": "boolean", "date": "date"}
"""The SQL type of a parameter by the type that its table declares."""


@dataclass(frozen=True)
class Snapshot:
    """The files of one input, by day, with the identity of each."""

    table: Table
    window: int
    files: tuple[Path, ...] = ()
    identities: Mapping[date, tuple[str, ...]] = field(default_factory=dict)

    def digest(self, day: date) -> str:
        """A digest of the files that ``day`` of the downstream table depends on; other files give another one."""
        return digest(self.identities, day, self.window)


def take_snapshots(
    table: Table, days: Days, *, warehouse: Path, inputs: Mapping[str, Table], folder: Path
) -> dict[str, Snapshot]:
    """Link the partitions that ``days`` of ``table`` depend on into ``folder``; a snapshot for each input."""
    snapshots = {}
    for name, window in table.inputs.items():
        source = folder_of(warehouse, inputs[name])
        files, seen = [], {}
        # Nothing is published while the lock is held: all keys of a day, and all days of a week, are of one moment.
        with table_lock(warehouse, name):
            for day in input_days(days, window):
                linked = _link_day(source, day, folder)
                seen[day] = tuple(f"{part}:{identity(link)}" for part, link in linked)
                files += [link for _, link in linked]
        snapshots[name] = Snapshot(inputs[name], window, tuple(files), seen)
    return snapshots


def _link_day(source: TableFolder, day: date, folder: Path) -> list[tuple[PartitionName, Path]]:
    """Link the partitions of the day; the name and the link of each one that has a file."""
    links: list[tuple[PartitionName, Path]] = []
    for partition in source.names_of(day):
        link = folder / source.table / str(partition) / DATA_FILE
        try:
            link.parent.mkdir(parents=True)
            link_or_copy(source.file(partition), link)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise cannot_write(link, error) from error
        links.append((partition, link))
    return links


def create_inputs(
    engine: Engine, snapshots: Mapping[str, Snapshot], *, warehouse: Path, inputs: Mapping[str, Table]
) -> None:
    """Make each input known to the database by its name.

    Raises ``InputError``, or ``OperatorError`` while sources are missing, as they may be the cause.
    """
    import duckdb

    # Empty ones last: the query that gives their columns may read the others.
    for name in sorted(snapshots, key=lambda name: not snapshots[name].files):
        snapshot = snapshots[name]
        try:
            if snapshot.files:
                _create_view(engine.db, snapshot, warehouse=warehouse)
            elif not _has_table(engine.db, name):
                create_empty(engine, snapshot.table, warehouse=warehouse, inputs=inputs)
        except QueryError as error:
            raise InputError(f"the table '{name}' cannot be read: {error}") from error
        except duckdb.Error as error:
            error_type = OperatorError if engine.source_errors else InputError
            cause = engine.explain(error)
            raise error_type(f"the table '{name}' cannot be read: {cause}; mend or reload it") from error


def _create_view(db: duckdb.DuckDBPyConnection, snapshot: Snapshot, *, warehouse: Path) -> None:
    """Create a view over the files; columns that the table has by now and none of these files has are NULL in it."""
    table = snapshot.table
    name = quote_name(table.name)
    source = relation(snapshot.files, columns=_partition_columns(warehouse, table))
    db.execute(f"create view {name} as from {source}")
    names_in_files = {column.lower() for column in describe_columns(db, f"from {name}")}
    columns = read_ledger(warehouse, table.name).columns
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
    """Create the table without rows: with the columns of its newest file, or those of its query if it has no file."""
    db = engine.db
    published = folder_of(warehouse, table).newest_first()
    if published:
        source = relation(published[:1], columns=_partition_columns(warehouse, table))
        db.execute(f"create table {quote_name(table.name)} as from {source} limit 0")
        return
    for name in table.inputs:
        if not _has_table(db, name):
            create_empty(engine, inputs[name], warehouse=warehouse, inputs=inputs)
    engine.create_sources(table.sources)
    set_parameters(db, table, {})
    db.execute(f"create table {quote_name(table.name)} as from (\n{table.query}\n) limit 0")


def _partition_columns(warehouse: Path, table: Table) -> dict[str, str]:
    """The day column and the keys with their SQL types, which files in the Hive layout do not hold."""
    key_types = read_ledger(warehouse, table.name).keys
    columns = {table.settings.day_column: "date"}
    for key in table.settings.keys:
        columns[key] = key_types.get(key, "varchar")
    return columns
