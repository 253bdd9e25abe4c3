"""What the Warehouse page waits for: 50 tables of ten years, one of them with 20 keys.

    python -m benchmarks.page
    python -m benchmarks.page --home FOLDER

Times what the page's server does for the list of tables and for a year of one table, JSON included, without Airflow.
With ``--home`` the warehouse is made there, or taken from there, and stays: point a running stack's RELOADS_TABLES,
RELOADS_WAREHOUSE and RELOADS_LANDING at its folders to see the page of it. Prints the table for
`benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from statistics import median

from reloads.days import Days
from reloads.inspection.calendar import read_calendar
from reloads.inspection.calendar_json import calendar_values, detail_values, summary_values
from reloads.inspection.day_detail import read_day
from reloads.inspection.overview import Overview
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.commit import Making
from reloads.warehouse.partitions import folder_of
from tests.support.long_history import fill

TABLES = 50
KEYS = 20
READ_FIRST, READ_SECOND = range(1, 10), range(10, 15)
"""The tables that read the first table, and the second."""
TEN_YEARS = Days.between(date(2016, 1, 1), date(2025, 12, 31))
LAST_YEAR = Days.between(date(2025, 1, 1), date(2025, 12, 31))
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 5
SOURCE = """
select cast(midnight as date) as day, {key} 1 as amount
from generate_series(date '2016-01-01', date '2025-12-31', interval 1 day) as days(midnight) {keys}
"""


def main() -> None:
    """Make the warehouse, time it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="where the warehouse is made and stays; default: a temporary folder")
    home = parser.parse_args().home
    if home:
        measure(home.absolute())
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))


def measure(home: Path) -> None:
    """Print what each answer of the page takes."""
    settings = make_home(home)
    catalog = Catalog.load(settings.tables)
    overview = Overview(settings)
    with_keys = f"t{TABLES - 1:02}"
    print("| | s |\n|---|---|")

    def show(name: str, answer: Callable[[], object], *, rounds: int = ROUNDS) -> None:
        seconds: list[float] = []
        for _ in range(rounds):
            begun = time.perf_counter()
            json.dumps(answer())
            seconds.append(time.perf_counter() - begun)
        print(f"| {name} | {median(seconds):.2f} |")

    def list_tables(patience: float | None = None) -> object:
        summaries = overview.summarize(catalog, now=NOW, patience=patience)
        return [summary and summary_values(summary) for summary in summaries.values()]

    def show_year(table: str) -> object:
        return calendar_values(read_calendar(settings, catalog, table, LAST_YEAR, now=NOW), now=NOW)

    show("reading all table folders", lambda: len(Catalog.load(settings.tables).tables), rounds=1)
    show("first list of the tables, as far as it goes in 0.4 s", lambda: list_tables(0.4), rounds=1)
    show("until all tables were looked at once", list_tables, rounds=1)
    show("the list again", list_tables)
    show("a year of a table", lambda: show_year("t20"))
    show("a year of a table that reads another", lambda: show_year("t01"))
    show(f"a year of the table with {KEYS} keys", lambda: show_year(with_keys))
    day = date(2025, 6, 1)
    show(
        "a day of it, with its versions",
        lambda: detail_values(with_keys, read_day(settings, catalog, with_keys, day, now=NOW)),
    )


def make_home(home: Path) -> Settings:
    """A home with the tables, whose files hold a few letters."""
    settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC"})
    for folder in (settings.landing, settings.warehouse, settings.tables):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(TABLES):
        define_table(settings.tables / f"t{number:02}", number)
    for table in Catalog.load(settings.tables).tables.values():
        place = folder_of(settings.warehouse, table)
        if not place.folder.exists():
            fill(
                place,
                TEN_YEARS,
                commits=40,
                begin=BEGIN,
                making=partial(_make, table),
                columns={"amount": "INTEGER"},
                key_values=[f"shop {number}" for number in range(KEYS)] if table.settings.keys else [],
            )
    return settings


def _make(table: Table, _day: date) -> Making:
    return Making(table.version, {}, {}, "run", BEGIN)


def define_table(folder: Path, number: int) -> None:
    """A table that reads its sources, or the first or second table."""
    folder.mkdir(exist_ok=True)
    toml = ['day_column = "day"', "first_day = 2016-01-01"]
    query = SOURCE.format(key="", keys="")
    if number == TABLES - 1:
        toml.append('keys = ["shop"]')
        shops = ", ".join(f"('shop {number}')" for number in range(KEYS))
        query = SOURCE.format(key="shop,", keys=f"cross join (values {shops}) as shops(shop)")
    elif number in READ_FIRST:
        query = "select day, amount from t00\n"
    elif number in READ_SECOND:
        query = "select day, amount from t01\n"
    (folder / "table.toml").write_text("\n".join([*toml, ""]))
    (folder / "query.sql").write_text(query)


if __name__ == "__main__":
    main()
