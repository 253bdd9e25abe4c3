"""The tables of the end-to-end tests: the two of the repository, and a small one for each scenario."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from examples.make_source import make_source

ROWS_A_DAY = 100

# What comes out as it was is not published; here every rewrite does something that can be counted.
PLAIN = f"""\
select cast(midnight as date) as day, number, 10 * number as value, now() as rewritten_at
from generate_series(date '2024-01-01', date '2099-12-31', interval 1 day) as days(midnight)
cross join generate_series(1, {ROWS_A_DAY}) as numbers(number)
"""

GATED = PLAIN + "where (select coalesce(max(open), 1) from gate('{name}')) = 1\n"

GATE = """
create or replace macro gate(name) as table
select * from read_csv(
    getvariable('source') || '/gates/' || name || '.csv',
    header = false, auto_detect = false, columns = {'open': 'integer'}
);
"""

BIG = PLAIN.replace(f"generate_series(1, {ROWS_A_DAY})", "generate_series(1, 20_000)")

# The price of one day was delivered as a word; whoever mends the query makes it NULL.
FAILING_DAY = "2024-05-03"
FAILING = f"""\
select day, number, cast(price as integer) as price
from (select *, if(day = date '{FAILING_DAY}', 'twelve', '12') as price from ({PLAIN}))
"""
MENDED = FAILING.replace("cast(", "try_cast(")

TABLES: Mapping[str, tuple[str, dict[str, object]]] = {
    "burst": (GATED, {}),
    "paused": (PLAIN, {}),
    "triggerer_down": (PLAIN, {}),
    "scheduler_killed": (GATED, {}),
    "all_killed": (GATED, {}),
    "task_killed": (GATED, {}),
    "watched": (BIG, {"days_per_batch": 4}),
    "failing": (FAILING, {}),
    "blocked": (PLAIN, {}),
    "no_room": (BIG, {}),
    "overlapping": (PLAIN, {}),
    "left": (PLAIN, {}),
    "right": (PLAIN, {}),
    "foreign": (PLAIN, {}),
    "behind": (GATED, {"daily": True, "partitions_per_run": 20, "parallelism": 1}),
    "by_hand": (PLAIN, {}),
    "mixed": (PLAIN, {}),
}


def lay_out(home: Path, *, clone: Path) -> None:
    """The folders of a clone: real tables with their source, and those of the scenarios."""
    shutil.copytree(clone / "tables", home / "tables")
    make_source(home / "source")
    with (home / "tables" / "sources.sql").open("a") as sources:
        sources.write(GATE)
    (home / "source" / "gates").mkdir()
    for name, (query, settings) in TABLES.items():
        (home / "source" / "gates" / f"{name}.csv").write_text("1\n")
        write_table(home / "tables", name, query.replace("{name}", name), **settings)


def write_table(tables: Path, name: str, query: str, **settings: object) -> None:
    """A new table folder, which appears whole."""
    beside = tables / f".{name}"
    beside.mkdir()
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    (beside / "query.sql").write_text(query)
    (beside / "table.toml").write_text("\n".join(['day_column = "day"', "first_day = 2024-01-01", *lines, ""]))
    beside.rename(tables / name)


def write_query(tables: Path, name: str, query: str) -> None:
    """Replace the query of a table."""
    beside = tables / name / ".query.sql"
    beside.write_text(query)
    beside.replace(tables / name / "query.sql")
