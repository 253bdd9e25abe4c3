"""What an undo of a year takes beside its reload: 36.5 million rows in 365 days, which come out another way each time.

    python -m benchmarks.undo [--rounds 3]

Each round reloads the year and takes that back. Each figure is of a process of its own, imports included. The rows are
made once, for the other benchmarks too; everything is written below `.local/bench`.
"""

from __future__ import annotations

import json
import os
import shutil

import duckdb

from benchmarks.child import Cost, run_command
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, ROWS, make_rows

HOME = BENCH / "undo"
ROWS_FILE = BENCH / "raw" / "readings.parquet"
YEAR = ("2025-01-01", "2025-12-31")
QUERY = """
select reading_date, sensor_id, reading_at, value + {number} as value, status from read_parquet('{file}')
"""
SHARE = 0.2


def measure(rounds: int) -> Part:
    """Seconds of a changed year's reload, and of its undo."""
    reloads: list[Cost] = []
    undos: list[Cost] = []
    _prepare()
    try:
        _reload(0)
        for number in range(1, rounds + 1):
            cost, request = _reload(number)
            reloads.append(cost)
            os.sync()  # so that the undo does not pay for what the reload wrote
            undos.append(run_command(HOME, "undo", request))
            _check()
    finally:
        shutil.rmtree(HOME)
    figures = (
        Figure("reload of a year", tuple(cost.seconds for cost in reloads)),
        Figure("its undo", tuple(cost.seconds for cost in undos), "s", "reload of a year", most_ratio=SHARE),
        Figure("reload of a year, CPU", tuple(cost.cpu_seconds for cost in reloads), "CPU s"),
        Figure(
            "its undo, CPU",
            tuple(cost.cpu_seconds for cost in undos),
            "CPU s",
            "reload of a year, CPU",
            most_ratio=SHARE,
        ),
        Figure("reload of a year, memory", tuple(cost.megabytes for cost in reloads), "MB"),
        Figure("its undo, memory", tuple(cost.megabytes for cost in undos), "MB", "reload of a year, memory"),
    )
    notes = (f"`reloads run` of 365 days, {ROWS:,} rows, all of them changed, and `reloads undo` of that.",)
    return Part("undo", "Undo of a year", figures, notes)


def _prepare() -> None:
    make_rows(ROWS_FILE.parent)
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "landing").mkdir(parents=True)
    (HOME / "tables" / "readings").mkdir(parents=True)
    (HOME / "tables" / "readings" / "table.toml").write_text('day_column = "reading_date"\nfirst_day = 2025-01-01\n')


def _reload(number: int) -> tuple[Cost, str]:
    """Reload the year with other values; what it cost, and the id of the request."""
    query = QUERY.format(number=number, file=ROWS_FILE)
    (HOME / "tables" / "readings" / "query.sql").write_text(query)
    cost = run_command(HOME, "run", "readings", *YEAR, "--json")
    [request] = json.loads(cost.answer)["requests"]
    return cost, request["id"]


def _check() -> None:
    """The year must be as it was loaded first, or the time says nothing."""
    sums = "select count(*), count(distinct reading_date), round(sum(value)) from read_parquet('{}')"
    before = duckdb.execute(sums.format(ROWS_FILE)).fetchall()
    now = duckdb.execute(sums.format(HOME / "warehouse" / "readings" / "*" / "*.parquet")).fetchall()
    if before != now:
        raise SystemExit(f"after the undo there are {now}, and there were {before}")


if __name__ == "__main__":
    run_alone(measure, __doc__)
