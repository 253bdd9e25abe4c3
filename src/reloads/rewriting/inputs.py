"""The inputs of a batch: the partitions of other tables that its query reads, as they were at one moment.

The files are linked into the staging folder before the query runs, so that a reload of an input meanwhile neither mixes
two versions nor breaks a scan, and the ledger can say exactly which files were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.days import Days
from reloads.errors import InputError, OperatorError
from reloads.files import link_or_copy
from reloads.rewriting.engine import Engine
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
"""Of the parameters."""


@dataclass(frozen=True)
class Snapshot:
    """The files of one input, by day, with the identity of each."""

    table: Table
    window: int
    files: tuple[Path, ...] = ()
    identities: Mapping[date, tuple[str, ...]] = field(default_factory=dict)

    def digest(self, day: date) -> str:
        """What tells the files that ``day`` of the reader depends on from all others."""
        return digest(self.identities, day, self.window)


def take_snapshots(
    table: Table, days: Days, *, warehouse: Path, inputs: Mapping[str, Table], folder: Path
) -> dict[str, Snapshot]:
    """Link the partitions that ``days`` of ``table`` depend on into ``folder``; by input."""
    found = {}
    for name, window in table.inputs.items():
        source = folder_of(warehouse, inputs[name])
        files, seen = [], {}
        # Nothing is published meanwhile: who reads all keys of a day, or a week, gets all of them from before or after.
        with table_lock(warehouse, name):
            for day in input_days(days, window):
                linked = [link for link in (_link(source, part, folder) for part in source.names_of(day)) if link]
                seen[day] = tuple(f"{part}:{identity(link)}" for part, link in linked)
                files += [link for _, link in linked]
        found[name] = Snapshot(inputs[name], window, tuple(files), seen)
    return found


def _link(source: TableFolder, partition: PartitionName, folder: Path) -> tuple[PartitionName, Path] | None:
    link = folder / source.table / str(partition) / DATA_FILE
    try:
        link.parent.mkdir(parents=True)
        link_or_copy(source.file(partition), link)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorError(f"{link} cannot be written ({error.strerror}); make room or grant access") from error
    return partition, link


def create_inputs(
    engine: Engine, snapshots: Mapping[str, Snapshot], *, warehouse: Path, inputs: Mapping[str, Table]
) -> None:
    """Make each input known to the database by its name.

    Raises ``InputError``; ``OperatorError`` where sources are missing, which may be why.
    """
    import duckdb

    # Empty ones last: the query that gives their columns may read the others.
    for name, snapshot in sorted(snapshots.items(), key=lambda both: not both[1].files):
        try:
            if snapshot.files:
                _create_view(engine.db, snapshot, warehouse=warehouse)
            elif name not in _known(engine.db):
                create_empty(engine.db, snapshot.table, warehouse=warehouse, inputs=inputs)
        except duckdb.Error as error:
            kind = OperatorError if engine.missing_sources else InputError
            raise kind(f"the table '{name}' cannot be read: {engine.because(error)}; mend or reload it") from error


def _create_view(db: duckdb.DuckDBPyConnection, snapshot: Snapshot, *, warehouse: Path) -> None:
    """A view over the files, with the columns that the table has by now though none of these files has them."""
    table, name = snapshot.table, quote_name(snapshot.table.name)
    columns = {table.settings.day_column: "date", **_keys(warehouse, table)}
    source = relation(snapshot.files, columns=columns)
    db.execute(f"create view {name} as from {source}")
    there = {row[0].lower() for row in db.execute(f"describe {name}").fetchall()}
    later = {one: kind for one, kind in read_ledger(warehouse, table.name).columns.items() if one.lower() not in there}
    if later:
        nulls = ", ".join(f"cast(null as {kind}) as {quote_name(one)}" for one, kind in later.items())
        db.execute(f"create or replace view {name} as select *, {nulls} from {source}")


def _known(db: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in db.execute("select table_name from information_schema.tables").fetchall()}


def set_parameters(db: duckdb.DuckDBPyConnection, table: Table, given: Mapping[str, Any]) -> None:
    """Let the query read the value of each parameter by ``getvariable``, always as the type declared.

    Else a larger number, or one without a fraction, would give a column of the result another type.
    """
    declared = table.settings.parameters
    for name, value in with_defaults(given, declared).items():
        db.execute(f"set variable {quote_name(name)} = cast($1 as {SQL_TYPES[declared[name].type]})", [value])


def create_empty(db: duckdb.DuckDBPyConnection, table: Table, *, warehouse: Path, inputs: Mapping[str, Table]) -> None:
    """Make a table known that has no rows: with the columns of its files, or those of its query if it has none."""
    published = folder_of(warehouse, table).newest_first()
    if published:
        columns = {table.settings.day_column: "date", **_keys(warehouse, table)}
        db.execute(f"create table {quote_name(table.name)} as from {relation(published[:1], columns=columns)} limit 0")
        return
    for name in table.inputs:
        if name not in _known(db):
            create_empty(db, inputs[name], warehouse=warehouse, inputs=inputs)
    set_parameters(db, table, {})
    db.execute(f"create table {quote_name(table.name)} as from (\n{table.query}\n) limit 0")


def _keys(warehouse: Path, table: Table) -> dict[str, str]:
    known = read_ledger(warehouse, table.name).keys
    return {key: known.get(key, "varchar") for key in table.settings.keys}
