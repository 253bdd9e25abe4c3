"""What `reloads run` takes of 1, 10, 100 and 1,000 days, in a table with 0, 3,650 and 73,000 other days.

    python -m benchmarks.curve [--rounds 3]

A day has a hundred rows, and each is loaded for the first time. Each figure is of a process of its own, imports
included, beside the same days of the empty table in the same round. Writes the homes into a temporary folder.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.child import Cost, run_command
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from reloads.days import Days
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.partitions import folder_of
from tests.support.long_history import fill

ASKED = (1, 10, 100, 1000)
EXISTING = {0: 0, 3650: 500, 73_000: 10_000}
"""How many days are there, and in how many commits."""
FIRST_ASKED = date(2000, 1, 1)
QUERY = """
    select cast(midnight as date) as day, n
    from generate_series(date '2000-01-01', date '2024-12-31', interval 1 day) as days(midnight)
    cross join generate_series(1, 100) as numbers(n)
"""
"""Its days lie behind those that are there."""
FACTOR = 1.3


def measure(rounds: int) -> Part:
    """CPU seconds and memory of each number of days in each table."""
    costs: dict[tuple[int, int], list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="reloads-curve-") as folder:
        for existing in EXISTING:
            if existing:
                make_home(Path(folder, str(existing)), existing)
        first = FIRST_ASKED
        for number in range(rounds):
            for asked in ASKED:
                last = first + timedelta(days=asked - 1)
                for existing in EXISTING:
                    # The empty table is another one each time, and the days of the others are new ones.
                    home = Path(folder, str(existing) if existing else f"0-{number}-{asked}")
                    if not existing:
                        make_home(home, existing)
                    cost = run_command(home, "run", "levels", str(first), str(last))
                    costs.setdefault((asked, existing), []).append(cost)
                first = last + timedelta(days=1)
    figures: list[Figure] = []
    for (asked, existing), each in costs.items():
        figures += _figures(asked, existing, each)
    notes = ("`reloads run` of new days of a hundred rows, of a whole process, beside the same in an empty table.",)
    return Part("curve", "Days asked beside days that are there", tuple(figures), notes)


def _figures(asked: int, existing: int, costs: list[Cost]) -> list[Figure]:
    seconds, megabytes = f"{asked:,} beside {existing:,}", f"{asked:,} beside {existing:,}, memory"
    reference = f"{asked:,} beside 0" if existing else ""
    most_ratio = FACTOR if existing else None
    return [
        Figure(seconds, tuple(cost.cpu_seconds for cost in costs), "CPU s", reference, most_ratio=most_ratio),
        Figure(
            megabytes,
            tuple(cost.megabytes for cost in costs),
            "MB",
            f"{reference}, memory" if reference else "",
            most_ratio=most_ratio,
        ),
    ]


def make_home(home: Path, existing: int) -> None:
    """A home with the table, which has so many days."""
    settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC"})
    table = settings.tables / "levels"
    for folder in (settings.landing, table):
        folder.mkdir(parents=True)
    (table / "query.sql").write_text(QUERY)
    (table / "table.toml").write_text('day_column = "day"\nfirst_day = 1800-01-01\n')
    if existing:
        days = Days.between(FIRST_ASKED - timedelta(days=existing), FIRST_ASKED - timedelta(days=1))
        begin = datetime.now(UTC) - timedelta(days=1)
        place = folder_of(settings.warehouse, Catalog.load(settings.tables)["levels"])
        fill(place, days, commits=EXISTING[existing], begin=begin, columns={"n": "BIGINT"})


if __name__ == "__main__":
    run_alone(measure, __doc__)
