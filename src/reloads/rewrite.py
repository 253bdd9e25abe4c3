"""Rewriting a batch: one query, one staged file for each day, checked, then published.

The query is restricted from outside to the days of the batch, so rows of other days cannot reach the warehouse whatever
the query does, and DuckDB pushes the restriction down to the files it reads.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.days import Days
from reloads.engine import Engine, Share, connect, message
from reloads.errors import OperatorError, QueryError, ReloadsError
from reloads.record import Failure, Outcome
from reloads.staging import staging_folder
from reloads.table import Table
from reloads.warehouse import TableFolder

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Provenance:
    """Why and when a partition was written; kept in its Parquet footer."""

    requests: tuple[str, ...]
    run: str
    written_at: datetime

    def footer(self, table: Table) -> dict[str, str]:
        """The key-value metadata of each file."""
        return {
            "reloads.table": table.name,
            "reloads.requests": json.dumps(self.requests),
            "reloads.run": self.run,
            "reloads.written_at": self.written_at.isoformat(timespec="seconds"),
            "reloads.query_version": table.version,
        }


@dataclass(frozen=True)
class Staged:
    """A finished file that nobody sees yet."""

    path: Path
    rows: int
    bytes: int


@dataclass(frozen=True)
class _Batch:
    """What the steps of one batch share."""

    table: Table
    target: TableFolder
    footer: Mapping[str, str]
    db: duckdb.DuckDBPyConnection
    folder: Path


def rewrite_batch(
    days: Days, *, table: Table, warehouse: Path, source: Path, share: Share, provenance: Provenance
) -> Outcome:
    """Rewrite the partitions of ``days`` and publish them; never raises for what a query, data or a disk can do.

    If the query fails, the batch is halved until the failing days are known; the others are published and the failing
    ones keep their files. An error of the environment fails the days not yet published and may be ``transient``.
    """
    target = TableFolder(warehouse, table.name, table.settings.day_column)
    begun = time.monotonic()
    try:
        with (
            staging_folder(warehouse, table.name) as folder,
            connect(table, source=source, spill=folder / "spill", share=share) as engine,
        ):
            check_day_column(engine, table)
            batch = _Batch(table, target, provenance.footer(table), engine.db, folder)
            outcome = _rewrite(batch, days)
    except ReloadsError as error:
        outcome = _failed(days, error)
    return outcome.model_copy(update={"seconds": round(time.monotonic() - begun, 3), "failed": _merged(outcome.failed)})


def _rewrite(batch: _Batch, days: Days) -> Outcome:
    try:
        staged = _stage(batch, days)
        kept = batch.target.publish({day: file.path for day, file in staged.items()})
    except OperatorError as error:
        return _failed(days, error)
    except QueryError as error:
        if len(days) == 1:
            return _failed(days, error)
        shutil.rmtree(_folder(batch, days), ignore_errors=True)
        first, second = days.cut(2)
        return _rewrite(batch, first) + _rewrite(batch, second)
    published = days - Days.of(kept)
    return Outcome(
        published=published,
        failed=tuple(Failure(days=Days.of([day]), error=error, transient=True) for day, error in kept.items()),
        rows={str(day): staged[day].rows for day in published},
        bytes={str(day): staged[day].bytes for day in published},
    )


def _stage(batch: _Batch, days: Days) -> dict[date, Staged]:
    """Write one file for each day: those that the query has rows for, and empty ones with the schema."""
    column = quoted(batch.table.settings.day_column)
    order = ", ".join([column, *map(quoted, batch.table.settings.order_by)])
    ranges = [day for r in days.ranges for day in (r.first, r.last)]
    where = " or ".join(f"{column} between ? and ?" for _ in days.ranges)
    query = f"select * from (\n{batch.table.query}\n) where {where}"
    if batch.table.settings.order_by:
        # Threads that write side by side keep no order (seen in DuckDB 2.0); numbering the rows makes one stream.
        number = quoted("reloads row")
        query = f"select *, row_number() over () as {number} from (\n{query} order by {order}\n)"
        query = f"select * exclude ({number}) from (\n{query}\n) where {number} > 0"
    folder = _folder(batch, days)
    written = _copy(batch, query, ranges, folder, f"partition_by ({column}),")
    staged: dict[date, Staged] = {}
    for name, rows, size, _, _, keys, _ in written:
        day = date.fromisoformat(keys[batch.table.settings.day_column])
        if day in staged or day not in days:
            raise QueryError(f"{batch.table.name} of {day} came out as more than one file or unasked")
        staged[day] = Staged(Path(name), rows, size)
    return staged | _stage_empty(batch, column, [day for day in days if day not in staged], folder)


def _folder(batch: _Batch, days: Days) -> Path:
    return batch.folder / f"{days.ranges[0].first}-{len(days)}"


def _stage_empty(batch: _Batch, column: str, days: list[date], folder: Path) -> dict[date, Staged]:
    if not days:
        return {}
    model = folder / "empty.parquet"
    query = f"select * exclude ({column}) from (\n{batch.table.query}\n) where false"
    try:
        folder.mkdir(exist_ok=True)
        [(_, rows, size, *_)] = _copy(batch, query, [], model, "")
        return {day: Staged(Path(shutil.copyfile(model, folder / f"{day}.parquet")), rows, size) for day in days}
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written ({error.strerror}); make room or grant access") from error


def _copy(batch: _Batch, query: str, values: list[date], target: Path, options: str) -> list[tuple[Any, ...]]:
    import duckdb

    footer = ", ".join(f"{literal(key)}: ?" for key in batch.footer)
    statement = f"copy (\n{query}\n) to ? (format parquet, {options} kv_metadata {{{footer}}}, return_stats true)"
    try:
        return batch.db.execute(statement, [*values, str(target), *batch.footer.values()]).fetchall()
    except duckdb.Error as error:
        if _is_environment(error, batch.folder):
            raise OperatorError(f"{message(error)}; make room or grant access") from error
        raise QueryError(message(error)) from error


def _is_environment(error: duckdb.Error, staging: Path) -> bool:
    """Whether the machine failed rather than the query: the disk is full, or the staging folder cannot be written."""
    import duckdb

    text = str(error)
    return isinstance(error, duckdb.IOException) and ("No space left" in text or str(staging) in text)


def check_day_column(engine: Engine, table: Table) -> None:
    """Raise ``QueryError`` unless the query binds and its result has the day column, as a DATE.

    ``OperatorError`` where sources are missing, which may be why: files that are not there are no fault of the query.
    """
    import duckdb

    file, column = f"tables/{table.name}/query.sql", table.settings.day_column
    try:
        types = {row[0]: row[1] for row in engine.db.execute(f"describe\n{table.query}").fetchall()}
    except duckdb.Error as error:
        kind = OperatorError if engine.missing_sources else QueryError
        raise kind(f"{file}: {engine.because(error)}") from error
    if column not in types:
        raise QueryError(f"{file} has no column {column}, only {', '.join(types)}; select it or change day_column")
    if types[column] != "DATE":
        raise QueryError(f"{file}: {column} is {types[column]}, not DATE; cast it to date")
    if len(types) == 1:
        raise QueryError(f"{file} has no column besides {column}, which is the partition's name; select another")
    if missing := [name for name in table.settings.order_by if name not in types]:
        raise QueryError(f"{file} has no column {missing[0]}, only {', '.join(types)}; select it or change order_by")


def _failed(days: Days, error: ReloadsError) -> Outcome:
    import duckdb

    # A source that cannot be read now may be there in a minute; a query that is wrong stays wrong.
    transient = isinstance(error, OperatorError) or isinstance(error.__cause__, duckdb.IOException)
    return Outcome(failed=(Failure(days=days, error=str(error), transient=transient),))


def _merged(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """One failure for each message, with all its days."""
    by_error: dict[tuple[str, bool], Days] = {}
    for failure in failures:
        key = (failure.error, failure.transient)
        by_error[key] = by_error.get(key, Days()) | failure.days
    return tuple(Failure(days=days, error=error, transient=t) for (error, t), days in by_error.items())


def quoted(name: str) -> str:
    """An identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string for SQL, where no parameter can stand."""
    return "'" + text.replace("'", "''") + "'"
