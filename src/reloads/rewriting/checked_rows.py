"""What the checks of a table see: ``new``, the staged rows, ``old``, those that they would replace, and ``asked``.

Each is a SELECT, so a file is read as far as a check asks for its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.days import Days
from reloads.errors import QueryError
from reloads.rewriting.engine import message
from reloads.rewriting.schema import describe_columns, null_columns
from reloads.sql import quote_name
from reloads.tables.definition import Table
from reloads.warehouse.parquet import relation

if TYPE_CHECKING:
    import duckdb

SIDES = ("new", "old")


@dataclass(frozen=True)
class Rows:
    """What ``new`` or ``old`` reads: a SELECT, and its columns with their SQL types."""

    select: str
    columns: Mapping[str, str]


def read_rows(
    db: duckdb.DuckDBPyConnection,
    table: Table,
    *,
    new: Sequence[Path],
    old: Sequence[Path],
    columns: Mapping[str, str],
) -> dict[str, Rows]:
    """The rows of new and old; old has all columns of new, NULL where it had none.

    Published files that no check asks for are not opened: a reload is how a damaged one is mended.
    """
    settings = table.settings
    partition_columns = {settings.day_column: "date", **{key: columns[key] for key in settings.keys}}
    if not new and not old:
        return dict.fromkeys(SIDES, no_rows(columns))
    if not new:
        old_rows = _rows_of(db, table, old, partition_columns)
        return {"new": no_rows(old_rows.columns), "old": old_rows}
    new_rows = _rows_of(db, table, new, partition_columns)
    if not old or not reads_old(table):
        return {"new": new_rows, "old": no_rows(new_rows.columns)}
    old_rows = _rows_of(db, table, old, partition_columns)
    return {"new": new_rows, "old": _add_columns(old_rows, new_rows.columns)}


def reads_old(table: Table) -> bool:
    """Whether a check may read the rows that are published."""
    texts = [table.checks, *(statement.text for statement in table.check_sources)]
    return "old" in " ".join(texts).lower()


def _rows_of(
    db: duckdb.DuckDBPyConnection, table: Table, files: Sequence[Path], partition_columns: Mapping[str, str]
) -> Rows:
    import duckdb

    select = f"select * from {relation(files, columns=partition_columns)}"
    try:
        return Rows(select, describe_columns(db, select))
    except duckdb.Error as error:
        raise QueryError(
            f"the rows of {table.name} cannot be checked: {message(error)}; mend or remove that file"
        ) from error


def asked_days(table: Table, days: Days) -> str:
    """A SELECT of the days of the batch, one row each."""
    column = quote_name(table.settings.day_column)
    selects = [f"select cast(null as date) as {column} where false"]
    for each in days.ranges:
        series = f"generate_series(date '{each.first}', date '{each.last}', interval 1 day)"
        selects.append(f"select cast(unnest({series}) as date) as {column}")
    return " union all ".join(selects)


def no_rows(columns: Mapping[str, str]) -> Rows:
    """Rows of these columns, none of them there."""
    return Rows(f"select {null_columns(columns)} where false", columns)


def _add_columns(rows: Rows, columns: Mapping[str, str]) -> Rows:
    """The rows with those of the columns that they lack, as NULL."""
    present = {name.lower() for name in rows.columns}
    added = {name: sql_type for name, sql_type in columns.items() if name.lower() not in present}
    if not added:
        return rows
    return Rows(f"select *, {null_columns(added)} from ({rows.select})", {**rows.columns, **added})
