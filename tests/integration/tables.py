"""The tables of the integration tests: the two of the repository, and one for each thing that is tried."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from examples.make_source import make_source
from tests.e2e.tables import BIG, PLAIN, write_table

YEAR_ROWS = 100

# Some tens of milliseconds of work for each day, so that a year of it lasts long enough for something to happen; and
# a time, because what comes out as it was is not published.
YEAR = f"""\
select day, number, sum(cast('0x' || md5(day || '/' || number || '/' || step)[1:4] as bigint)) as value,
    now() as rewritten_at
from (
    select cast(midnight as date) as day
    from generate_series(date '2023-01-01', date '2025-12-31', interval 1 day) as days(midnight)
)
cross join generate_series(1, {YEAR_ROWS}) as numbers(number)
cross join generate_series(1, 600) as steps(step)
group by day, number
"""

TABLES: Mapping[str, tuple[str, dict[str, object]]] = {
    "dropped": (PLAIN, {}),
    "by_hand": (PLAIN, {}),
    "foreign": (PLAIN, {}),
    "crowd": (PLAIN, {}),
    "year": (YEAR, {"partitions_per_run": 150, "parallelism": 2, "days_per_batch": 10}),
    "probe": (PLAIN, {}),
    "room": (BIG, {}),
}


def lay_out(home: Path, *, clone: Path) -> None:
    """The folders that the containers mount."""
    shutil.copytree(clone / "tables", home / "tables")
    make_source(home / "source")
    for name, (query, settings) in TABLES.items():
        write_table(home / "tables", name, query, **settings)
    # From 2023 on, so that the year asked for has neighbours.
    toml = home / "tables" / "year" / "table.toml"
    toml.write_text(toml.read_text().replace("2024-01-01", "2023-01-01"))
    for name in ("landing", "warehouse"):
        (home / name).mkdir()
