"""Staging: one query for a batch, one finished file for each of its partitions, which nobody sees yet.

The query is restricted from outside to the days and keys of the batch, so rows of others cannot reach the warehouse
whatever the query does, and DuckDB pushes the restriction down to the files it reads.
"""

from __future__ import annotations

import resource
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.days import Days
from reloads.errors import OperatorError, QueryError, shorten
from reloads.files import cannot_write
from reloads.partition_filter import PartitionFilter
from reloads.rewriting.engine import message
from reloads.rewriting.meter import Meter
from reloads.rewriting.row_order import find_out_of_order
from reloads.rewriting.staging_watch import watch_staging
from reloads.sql import quote_name, quote_text
from reloads.tables.definition import Table
from reloads.warehouse.layout import DATA_FILE
from reloads.warehouse.parquet import pattern
from reloads.warehouse.partition_name import PartitionName

if TYPE_CHECKING:
    import duckdb

FLUSHED_ROWS = 32_768
"""From so many rows on a thread writes what it has of a partition, and does not keep it until all is read.

DuckDB keeps 524,288. The year of 100,000 sorted rows a day takes 2.3 s instead of 2.9, and 0.3 GB instead of 2.2; that
of shuffled rows takes the same time and 1.5 GB instead of 2.4 (two threads, DuckDB 2.0.0). The row groups are smaller,
and so the files 1 to 2 % larger.
"""

DUCKDB_WITH_ONE_FILE = 2
"""The first version of DuckDB that writes one file a partition, whatever the order of the rows."""

FEWEST_FILES, MOST_FILES = 100, 10_000
"""As many files are kept open at once, at least and at most; DuckDB's default is the first."""

SPARE_FILES = 200
"""So many files of a process are open besides those that it writes, at most."""

LONGEST_NAME = 220
"""In bytes, of a partition's name as one escaped text. File systems take 255 bytes for each folder of it."""


@dataclass(frozen=True)
class Staged:
    """A finished file that nobody sees yet."""

    path: Path
    rows: int
    bytes: int


@dataclass(frozen=True)
class Stage:
    """Where and how the files of one batch are written."""

    table: Table
    partition_filter: PartitionFilter
    footer: Mapping[str, str]
    db: duckdb.DuckDBPyConnection
    folder: Path
    meter: Meter = field(default_factory=Meter)

    def write(self, days: Days) -> dict[PartitionName, Staged]:
        """One file for each partition that the query has rows for and, without keys, an empty one for other days.

        The files lie in the Hive layout below a folder of their own, by the name of their partition.
        """
        settings, folder = self.table.settings, self.place(days)
        staged: dict[PartitionName, Staged] = {}
        self._write_early(days)
        with watch_staging(self.db, folder, self.meter) as watch:
            # A slice has fewer partitions open at once, and so takes less memory.
            for number in range(settings.key_slices):
                watch.is_last_query = number == settings.key_slices - 1
                staged |= self._write_slice(days, folder, number, staged)
        self._restore_order(staged)
        if not settings.keys:
            staged |= self._write_empty(days, staged, folder)
        self.meter.count({name: file.rows for name, file in staged.items()}, complete=days)
        return staged

    def _write_early(self, days: Days) -> None:
        """Let the database write while it reads, if it can keep the file of each partition open.

        A file that was closed in between would get a second one beside it. How many partitions a table with keys has
        is not known before, and rows in an order have been sorted, all of them, before the first is written.
        """
        import duckdb

        settings, files = self.table.settings, _count_free_files()
        if int(duckdb.__version__.partition(".")[0]) < DUCKDB_WITH_ONE_FILE:
            return
        self.db.execute(f"set partitioned_write_max_open_files = {files}")
        if not settings.keys and not settings.order_by and len(days) <= files:
            self.db.execute(f"set partitioned_write_flush_threshold = {FLUSHED_ROWS}")

    def _write_slice(
        self, days: Days, folder: Path, number: int, staged: Mapping[PartitionName, Staged]
    ) -> dict[PartitionName, Staged]:
        """The files of one slice of the keys; none of them is staged."""
        settings = self.table.settings
        partition_columns = ", ".join(map(quote_name, [settings.day_column, *settings.keys]))
        part = replace(self.partition_filter, slice_number=number, slice_count=settings.key_slices)
        query, values = self._query(days, part)
        # The slices have no folder in common.
        options = f"partition_by ({partition_columns}), {'overwrite_or_ignore true,' if number else ''}"
        files: dict[PartitionName, Staged] = {}
        for path, rows, size, _, _, key_values, *_ in self._copy(query, values, folder, options):
            name = PartitionName.parse(path.removeprefix(f"{folder}/").rpartition("/")[0])
            self._refuse_bad_key(name, [key_values[key] for key in settings.keys])
            if name in staged or name in files or name.day not in days:
                raise QueryError(f"{self.table.name} of {name} came out as more than one file or unasked")
            files[name] = Staged(Path(path), rows, size)
        return files

    def _restore_order(self, staged: dict[PartitionName, Staged]) -> None:
        """Write those files again whose rows the database did not leave in the order of ``order_by``."""
        settings = self.table.settings
        columns = [column for column in settings.order_by if column not in (settings.day_column, *settings.keys)]
        names = {file.path: name for name, file in staged.items()}
        rows_by_file = {file.path: file.rows for file in staged.values()}
        order = ", ".join(map(quote_name, columns))
        for path in find_out_of_order(self.db, rows_by_file, columns):
            query = f"from read_parquet({quote_text(pattern(path))}, hive_partitioning = false) order by {order}"
            beside = path.with_name("ordered.parquet")
            [(_, rows, size, *_)] = self._copy(query, [], beside, "")
            beside.replace(path)
            staged[names[path]] = Staged(path, rows, size)

    def place(self, days: Days) -> Path:
        """The folder of the files of these days."""
        return self.folder / f"{days.ranges[0].first}-{len(days)}"

    def refuse_rows_without_day(self, days: Days) -> None:
        """Raise ``QueryError`` if the query gives rows whose day is NULL: no request could ever ask for them.

        A question of its own, because a NULL beside the range of days would not be pushed down through a join, and
        every file would be read. Alone it opens no files that are named by their day, and few whose footers say that
        no day is NULL.
        """
        import duckdb

        column = quote_name(self.table.settings.day_column)
        try:
            without_day = self._count(f"{column} is null", [])
            if not without_day:
                return
            in_range, values = self._range(days)
            rows = without_day + self._count(in_range, values)
        except duckdb.Error:
            # Of the days' own rows, which fail by themselves, or of rows that nobody asked for.
            return
        raise QueryError(
            f"tables/{self.table.name}/query.sql gives {rows} rows, {without_day} of them without a day: "
            f"{self.table.settings.day_column} is NULL; give each row a day, or leave it out by a condition"
        )

    def _count(self, condition: str, values: Sequence[Any]) -> int:
        """The rows of the batch's keys that meet the condition."""
        key_condition, key_values = self.partition_filter.condition(self.table.settings.keys)
        query = f"select count(*) from (\n{self.table.query}\n) where ({condition}) and {key_condition}"
        [(count,)] = self.db.execute(query, [*values, *key_values]).fetchall()
        return int(count)

    def _range(self, days: Days) -> tuple[str, list[Any]]:
        """The condition that the day is one of these, with its values."""
        column = quote_name(self.table.settings.day_column)
        ranges: list[str] = []
        values: list[Any] = []
        for date_range in days.ranges:
            ranges.append(f"{column} between ? and ?")
            values += [date_range.first, date_range.last]
        return " or ".join(ranges), values

    def _query(self, days: Days, partition_filter: PartitionFilter) -> tuple[str, list[Any]]:
        settings = self.table.settings
        in_range, values = self._range(days)
        key_condition, key_values = partition_filter.condition(settings.keys)
        query = f"select * from (\n{self.table.query}\n) where ({in_range}) and {key_condition}"
        if settings.order_by:
            # Threads that write side by side keep no order (seen in DuckDB 2.0); numbering the rows makes one stream.
            order = ", ".join(map(quote_name, [settings.day_column, *settings.keys, *settings.order_by]))
            number = quote_name("reloads row")
            query = f"select *, row_number() over () as {number} from (\n{query} order by {order}\n)"
            query = f"select * exclude ({number}) from (\n{query}\n) where {number} > 0"
        return query, [*values, *key_values]

    def _refuse_bad_key(self, name: PartitionName, values: list[str | None]) -> None:
        # NULL and the name that Hive gives it make one folder, and an empty text one without a value.
        for key, value in zip(self.table.settings.keys, values, strict=True):
            if value is None or value in ("", "__HIVE_DEFAULT_PARTITION__"):
                shown = "NULL" if value is None else repr(value)
                raise QueryError(f"{self.table.name} has rows with {key} {shown} on {name.day}; give each row a value")
        if len(name.to_file_name()) > LONGEST_NAME:
            rule = f"is longer than {LONGEST_NAME} bytes"
            shown = shorten(str(name))
            raise QueryError(f"the name {shown} of a partition of {self.table.name} {rule}; shorten its keys")

    def _write_empty(
        self, days: Days, staged: Mapping[PartitionName, Staged], folder: Path
    ) -> dict[PartitionName, Staged]:
        """An empty file for each day that is not staged, all of them copies of one."""
        column = self.table.settings.day_column
        day_names = [PartitionName(column, day) for day in days]
        missing = [name for name in day_names if name not in staged]
        if not missing:
            return {}
        model = folder / "empty.parquet"
        query = f"select * exclude ({quote_name(column)}) from (\n{self.table.query}\n) where false"
        try:
            folder.mkdir(exist_ok=True)
            [(_, rows, size, *_)] = self._copy(query, [], model, "")
            return {name: Staged(_copy_file(model, folder / str(name)), rows, size) for name in missing}
        except OSError as error:
            raise cannot_write(folder, error) from error

    def _copy(self, query: str, values: list[Any], target: Path, options: str) -> list[tuple[Any, ...]]:
        import duckdb

        footer = ", ".join(f"{quote_text(key)}: ?" for key in self.footer)
        # The target is not a parameter: DuckDB before 2.0, which a table may ask for, takes none there.
        copy_options = f"format parquet, {options} kv_metadata {{{footer}}}, return_stats true"
        statement = f"copy (\n{query}\n) to {quote_text(str(target))} ({copy_options})"
        try:
            return self.db.execute(statement, [*values, *self.footer.values()]).fetchall()
        except duckdb.Error as error:
            if "File name too long" in str(error):
                rule = f"is longer than {LONGEST_NAME} bytes"
                raise QueryError(f"a partition's name in {self.table.name} {rule}; shorten its keys") from error
            if is_environment(error, self.folder):
                raise OperatorError(f"{message(error)}; make room or grant access") from error
            raise QueryError(message(error)) from error


def _count_free_files() -> int:
    """How many files the process may open besides those that it needs anyhow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_FILES
    return max(FEWEST_FILES, min(soft - SPARE_FILES, MOST_FILES))


def is_environment(error: duckdb.Error, staging: Path) -> bool:
    """Whether the machine failed rather than the query: the disk is full, or the staging folder cannot be written."""
    import duckdb

    text = str(error)
    return isinstance(error, duckdb.IOException) and ("No space left" in text or str(staging) in text)


def _copy_file(model: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    return Path(shutil.copyfile(model, folder / DATA_FILE))
