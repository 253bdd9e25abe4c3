"""What `reloads run` takes of 1, 10, 100 and 1,000 days, in a table with 0, 3,650 and 73,000 other days.

    python -m benchmarks.curve [--rounds 3]

A day has a hundred rows. Each is loaded for the first time, and then once more, unchanged. Each figure is of a process
of its own, imports included, beside the same days of the empty table in the same round. The home with most days is
kept below `.local/bench`; each time that it is measured asks for the days behind those of the time before.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.child import Cost, run_command
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH
from reloads.days import Days
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.partitions import folder_of
from tests.support.long_history import fill

ASKED = (1, 10, 100, 1000)
EXISTING = {0: 0, 3650: 500, 73_000: 10_000}
"""How many days are there, and in how many commits."""
FIRST_ASKED, LAST_ASKED = date(2000, 1, 1), date(2024, 12, 31)
QUERY = """
    select cast(midnight as date) as day, n
    from generate_series(date '2000-01-01', date '2024-12-31', interval 1 day) as days(midnight)
    cross join generate_series(1, 100) as numbers(n)
"""
"""Its days lie behind those that are there."""
FACTOR = 1.3
AGAIN = "and of the same days once more, unchanged"
KEPT = BENCH / "curve"
"""The home with most days, which takes a minute to make."""
NOTE = KEPT / "made.json"


def measure(rounds: int) -> Part:
    """CPU seconds and memory of each number of days in each table."""
    costs: dict[tuple[int, int, bool], list[Cost]] = {}
    first = prepare_kept_home(days=rounds * sum(ASKED))
    with tempfile.TemporaryDirectory(prefix="reloads-curve-") as folder:
        make_home(Path(folder, "3650"), 3650)
        for number in range(rounds):
            for asked in ASKED:
                # The empty table is another one each time, and the days of the others are new ones.
                empty = Path(folder, f"0-{number}-{asked}")
                make_home(empty, 0)
                last = first + timedelta(days=asked - 1)
                for existing, home in {0: empty, 3650: Path(folder, "3650"), 73_000: KEPT}.items():
                    for is_unchanged in (False, True):
                        cost = run_command(home, "run", "levels", str(first), str(last))
                        costs.setdefault((asked, existing, is_unchanged), []).append(cost)
                first = last + timedelta(days=1)
    figures: list[Figure] = []
    for key in sorted(costs, key=lambda key: key[2]):
        figures += _figures(*key, costs[key])
    what = "`reloads run` of new days of a hundred rows, of a whole process, beside the same in an empty table"
    return Part("curve", "Days asked beside days that are there", tuple(figures), (f"{what}; {AGAIN}.",))


def _figures(asked: int, existing: int, is_unchanged: bool, costs: list[Cost]) -> list[Figure]:  # noqa: FBT001
    """Seconds and memory; only days that are new have an aim."""
    form = ", unchanged" if is_unchanged else ""
    name, base = f"{asked:,} beside {existing:,}{form}", f"{asked:,} beside 0{form}"
    most_ratio = FACTOR if existing and not is_unchanged else None
    figures: list[Figure] = []
    for suffix, unit, values in (
        ("", "CPU s", tuple(cost.cpu_seconds for cost in costs)),
        (", memory", "MB", tuple(cost.megabytes for cost in costs)),
    ):
        reference = f"{base}{suffix}" if existing else ""
        figures.append(Figure(f"{name}{suffix}", values, unit, reference, most_ratio=most_ratio))
    return figures


def prepare_kept_home(*, days: int) -> date:
    """Have the home with most days, and so many more that nobody asked for yet; the first of these.

    It is made anew where there is none, where too few days are left, or where the table has another version by now.
    """
    first, version = FIRST_ASKED, ""
    if NOTE.exists():
        noted = json.loads(NOTE.read_text())
        first, version = date.fromisoformat(noted["next"]), noted["version"]
    if version != _version() or first + timedelta(days=days) > LAST_ASKED:
        shutil.rmtree(KEPT, ignore_errors=True)
        make_home(KEPT, 73_000)
        first = FIRST_ASKED
    NOTE.write_text(json.dumps({"next": str(first + timedelta(days=days)), "version": _version()}))
    return first


def _version() -> str:
    return Catalog.load(KEPT / "tables")["levels"].version if KEPT.exists() else "none"


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
