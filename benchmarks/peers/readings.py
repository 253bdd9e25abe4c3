"""The rows that all peers rewrite: the first days of `readings`, moved by a number that is another one each round."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.readings import BENCH, FIRST_DAY, make_rows

FOLDER = BENCH / "peers"
"""Everything that a peer writes lies below it."""
READINGS = FOLDER / "source" / "readings.parquet"
SHIFT = FOLDER / "source" / "shift.csv"
QUERY = Path(__file__).with_name("rows.sql")
DAYS = 60
ROWS_A_DAY = 100_000
PLAIN = """
import duckdb, json, sys
given = json.loads(sys.argv[1])
duckdb.sql("set enable_progress_bar = false")
target = given.pop("target")
query = open(given.pop("query")).read()
duckdb.execute(f"copy ({query}) to '{target}' (format parquet, partition_by (reading_date))", given)
"""


@dataclass(frozen=True)
class Totals:
    """By which two ways of writing the same rows are known to be the same."""

    rows: int
    days: int
    thousandths: int
    """The sum of all values, in thousandths, so that it does not depend on the order of the rows."""


@dataclass(frozen=True)
class Span:
    """The days that are rewritten, both ends included."""

    first: date
    last: date

    @classmethod
    def of(cls, days: int) -> Span:
        """The first so many days of the table."""
        return cls(FIRST_DAY, FIRST_DAY + timedelta(days=days - 1))

    @property
    def days(self) -> int:
        """How many they are."""
        return (self.last - self.first).days + 1


def make_readings() -> None:
    """Have the year of readings, and a folder for what all peers read."""
    make_rows(BENCH / "raw")
    READINGS.parent.mkdir(parents=True, exist_ok=True)
    READINGS.unlink(missing_ok=True)
    READINGS.hardlink_to(BENCH / "raw" / READINGS.name)


def write_shift(number: int) -> None:
    """Move all values by this number from now on."""
    SHIFT.write_text(f"shift\n{number}\n")


def expected_totals(span: Span) -> Totals:
    """What is right to be written of these days now."""
    relation = f"({QUERY.read_text()})"
    with duckdb.connect() as connection:
        totals = _totals(connection, relation, _given(span))
    if totals.rows != span.days * ROWS_A_DAY:
        raise SystemExit(f"{READINGS} has {totals.rows:,} rows of {span.days} days; remove it, it is made anew")
    return totals


def file_totals(folder: Path) -> Totals:
    """What lies in a Hive layout of Parquet files."""
    with duckdb.connect() as connection:
        return _totals(connection, "read_parquet($files)", {"files": f"{folder}/*/*.parquet"})


def table_totals(database: Path, table: str) -> Totals:
    """What a table of a DuckDB database holds."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return _totals(connection, table, {})


def copy_plainly(span: Span, target: Path) -> None:
    """What DuckDB alone takes for the days: a process with one statement."""
    shutil.rmtree(target, ignore_errors=True)
    given = {**_given(span), "target": str(target), "query": str(QUERY)}
    subprocess.run([sys.executable, "-c", PLAIN, json.dumps(given)], check=True)


def _given(span: Span) -> dict[str, str]:
    return {"readings": str(READINGS), "shift": str(SHIFT), "first": str(span.first), "last": str(span.last)}


def _totals(connection: duckdb.DuckDBPyConnection, relation: str, given: dict[str, str]) -> Totals:
    thousandths = "sum(cast(round(value * 1000) as bigint))"
    columns = f"count(*), count(distinct reading_date), {thousandths}"
    [(rows, days, total)] = connection.execute(f"select {columns} from {relation}", given).fetchall()
    return Totals(rows, days, int(total or 0))
