"""What `reloads plan` takes that looks for stale days among 73,000 partitions of 200 years, in 10,000 commits.

    python -m benchmarks.planning [--rounds 3]

Three tables: one that reads nothing, one that reads that one, and one whose raw files lie by day. Every hundredth day
of each is stale. Each figure is of a process of its own, imports included, beside a plan of one day of the same table.
The home is made once, below `.local/bench`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.child import Cost, run_command
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH
from reloads.days import Days
from reloads.raw_file import RawFile
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.commit import Making, Point
from reloads.warehouse.partitions import folder_of
from tests.support.long_history import FIRST, LOG, fill

COMMITS = 10_000
DAYS = Days.between(date(1820, 1, 1), date(1820, 1, 1) + timedelta(days=72_999))
STALE = 100
"""Each day whose number this divides is stale."""
QUERIES = {
    "alone": "select day, n from (values (date '2000-01-01', 1)) as given(day, n)",
    "reading": "select day, n from alone",
    "raw": "select day, n from read_csv(getvariable('numbers'), columns = {'day': 'date', 'n': 'int'})",
}
SHOWN = {"alone": "a table that reads nothing", "reading": "one that reads a table", "raw": "one of raw files by day"}
SOURCES = '[numbers]\nfiles = "numbers/{day}.csv"\n'
SETTINGS = 'day_column = "day"\nfirst_day = 1820-01-01\nmax_days_per_request = 80_000\n'
BEGIN = datetime.now(UTC) - timedelta(days=1)
SECONDS, MEGABYTES = 1.0, 200.0


def measure(rounds: int) -> Part:
    """CPU seconds and memory of a plan of all days of each table, beside one of a single day."""
    figures: list[Figure] = []
    home = prepare_home()
    for table, name in SHOWN.items():
        costs = {"a day": list[Cost](), "73,000 days": list[Cost]()}
        for _ in range(rounds):
            costs["a day"].append(_plan(home, table, DAYS.ranges[0].first))
            cost = _plan(home, table, DAYS.ranges[0].last)
            _check(cost.answer)
            costs["73,000 days"].append(cost)
        for days, each in costs.items():
            reference = "" if days == "a day" else f"{name}, a day"
            figures += _figures(f"{name}, {days}", each, reference)
    what = f"`reloads plan --only stale --no-cascade --json` of {len(DAYS):,} days in {COMMITS:,} commits"
    notes = (f"{what}, beside that of one day. Every {STALE}th day is stale. Of a whole process, imports included.",)
    return Part("planning", "Planning beside 73,000 partitions", tuple(figures), notes)


def _figures(name: str, costs: list[Cost], reference: str) -> list[Figure]:
    seconds = tuple(cost.cpu_seconds for cost in costs)
    megabytes = tuple(cost.megabytes for cost in costs)
    if not reference:
        return [Figure(name, seconds, unit="CPU s"), Figure(f"{name}, memory", megabytes, unit="MB")]
    return [
        Figure(name, seconds, unit="CPU s", reference=reference, most=SECONDS),
        Figure(f"{name}, memory", megabytes, unit="MB", reference=f"{reference}, memory", most=MEGABYTES),
    ]


def _plan(home: Path, table: str, last: date) -> Cost:
    first = DAYS.ranges[0].first
    return run_command(home, "plan", table, str(first), str(last), "--only", "stale", "--no-cascade", "--json")


def _check(answer: str) -> None:
    """All stale days must have been found, and no other, or the time says nothing."""
    [request] = json.loads(answer)["requests"]
    [table] = request["tables"]
    planned = sum(part["partitions"] for part in table["parts"] if part["is_planned"])
    skipped = sum(part["partitions"] for part in table["parts"] if not part["is_planned"])
    stale = len(DAYS) // STALE
    if (planned, skipped) != (stale, len(DAYS) - stale):
        raise SystemExit(f"the plan has {planned} stale days and {skipped} others, and should have {stale} stale ones")


def prepare_home() -> Path:
    """The home, made anew where there is none, or where the tables have another version by now."""
    home, note = BENCH / "planning", BENCH / "planning" / "made.json"
    if not note.exists() or json.loads(note.read_text()) != _versions(home):
        shutil.rmtree(home, ignore_errors=True)
        make_home(home)
        note.write_text(json.dumps(_versions(home)))
    return home


def _versions(home: Path) -> dict[str, str]:
    catalog = Catalog.load(home / "tables")
    return {name: table.version for name, table in catalog.tables.items()}


def make_home(home: Path) -> None:
    """The three tables, with what is known of their days."""
    settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC"})
    for folder in (settings.landing, settings.tables, settings.source / "numbers"):
        folder.mkdir(parents=True)
    (settings.tables / "sources.toml").write_text(SOURCES)
    for name, query in QUERIES.items():
        (settings.tables / name).mkdir()
        (settings.tables / name / "query.sql").write_text(query)
        (settings.tables / name / "table.toml").write_text(SETTINGS)
    catalog = Catalog.load(settings.tables)
    makings: dict[str, Callable[[Table, date], Making]] = {
        "alone": _make_alone,
        "reading": _make_reading,
        "raw": partial(_make_raw, settings.source),
    }
    for name, making in makings.items():
        _fill(settings, catalog[name], making)


def _fill(settings: Settings, table: Table, making: Callable[[Table, date], Making]) -> None:
    folder = folder_of(settings.warehouse, table)
    fill(folder, DAYS, commits=COMMITS, begin=BEGIN, making=partial(making, table), columns={"n": "INTEGER"})


def _is_stale(day: date) -> bool:
    return (day - DAYS.ranges[0].first).days % STALE == 0


def _making(table: Table, **fields: Any) -> Making:
    return Making(
        **{"definition": table.version, "inputs": {}, "parameters": {}, "run": "run", "made_at": BEGIN, **fields}
    )


def _make_alone(table: Table, day: date) -> Making:
    return _making(table, definition="another" if _is_stale(day) else table.version)


def _make_reading(table: Table, day: date) -> Making:
    return _making(table, inputs={"alone": Point(LOG, FIRST - 1 if _is_stale(day) else FIRST - 1 + COMMITS)})


def _make_raw(source: Path, table: Table, day: date) -> Making:
    """Writes the day's file, too."""
    file = source / "numbers" / f"{day}.csv"
    file.write_text(f"{day},1\n")
    os.utime(file, (BEGIN.timestamp(), BEGIN.timestamp()))
    status = file.stat()
    size = status.st_size + 1 if _is_stale(day) else status.st_size
    return _making(table, files={f"numbers/{file.name}": RawFile(size, status.st_mtime_ns, status.st_ctime_ns)})


if __name__ == "__main__":
    run_alone(measure, __doc__)
