"""The tables of the end-to-end tests, one for each scenario; some of them wait for a gate to open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.support.tables import BIG, PLAIN, ScenarioTable, lay_out

GATED = PLAIN + "where (select coalesce(max(open), 1) from gate('{name}')) = 1\n"

GATE = """
create or replace macro gate(name) as table
select * from read_csv(
    getvariable('source') || '/gates/' || name || '.csv',
    header = false, auto_detect = false, columns = {'open': 'integer'}
);
"""

# The price of one day was delivered as a word; whoever mends the query makes it NULL.
FAILING_DAY = "2024-05-03"
FAILING = f"""\
select day, number, cast(price as integer) as price
from (select *, if(day = date '{FAILING_DAY}', 'twelve', '12') as price from ({PLAIN}))
"""
MENDED = FAILING.replace("cast(", "try_cast(")


# It takes days.
ENDLESS = f"""\
select *, (select count(*) from range(100000000) a, range(1000000) b where (a.range * b.range) % 7 = 3) as x
from ({PLAIN})
"""

# Every row has the number that the gate had when it was rewritten.
ROUNDS = f"select *, (select max(open) from gate('whole')) as round from ({PLAIN})"

ARRIVING = ("arrived", "awaited", "delivered")
"""Tables whose days have a raw file each, in a folder of the table's name."""

FILES = """
[{name}_files]
files = "{name}/{{day}}.csv"
"""
RAW = """
create or replace view raw_{name} as
select * from read_csv(
    getvariable('{name}_files'),
    header = true, auto_detect = false, columns = {{'day': 'date', 'amount': 'integer'}}
);
"""


def arriving(
    name: str, settings: Mapping[str, object] | None = None, *, first_day: str = "2024-01-01"
) -> ScenarioTable:
    """A table that reads the raw files of its name."""
    return ScenarioTable(f"select day, amount from raw_{name}", settings or {}, first_day=first_day)


def gated(name: str, settings: Mapping[str, object] | None = None) -> ScenarioTable:
    """A table whose rewrites wait while the gate of its name is closed."""
    return ScenarioTable(GATED.replace("{name}", name), settings or {})


TABLES: Mapping[str, ScenarioTable] = {
    "burst": gated("burst"),
    "paused": ScenarioTable(),
    "triggerer_down": ScenarioTable(),
    "scheduler_killed": gated("scheduler_killed"),
    "all_killed": gated("all_killed"),
    "task_killed": gated("task_killed"),
    "watched": ScenarioTable(BIG, {"days_per_batch": 4, "mb_per_batch": 0}),
    "whole": ScenarioTable(
        ROUNDS, {"snapshots": "delta", "days_per_batch": 4, "mb_per_batch": 0, "parallelism": 3, "history_days": 1}
    ),
    "failing": ScenarioTable(FAILING),
    "blocked": ScenarioTable(),
    "no_room": ScenarioTable(BIG),
    "endless": ScenarioTable(ENDLESS, {"batch_minutes": 0.05}),
    "elsewhere": ScenarioTable(settings={"queue": "other-workers"}),
    "overlapping": ScenarioTable(),
    "left": ScenarioTable(),
    "right": ScenarioTable(),
    "foreign": ScenarioTable(),
    "behind": gated("behind", {"daily": True, "partitions_per_run": 20, "parallelism": 1}),
    "by_hand": ScenarioTable(),
    "mixed": ScenarioTable(),
    "oddly_named": ScenarioTable(),
    "door": gated("door"),
    "mendable": ScenarioTable(),
    "crowded": ScenarioTable(),
    "paged": gated("paged"),
    "paged_totals": ScenarioTable("select day, count(*) as numbers from paged group by day"),
    "page_paused": ScenarioTable(),
    "arrived": arriving("arrived", {"on_arrival": True}),
    "arrived_totals": ScenarioTable("select day, sum(amount)::bigint as total from arrived group by day"),
    "awaited": arriving("awaited"),
    "delivered": arriving(
        "delivered", {"on_arrival": True, "arrival_days": 4000, "partitions_per_run": 4000}, first_day="2016-01-01"
    ),
}


def lay_out_gated(
    home: Path, tables: Mapping[str, ScenarioTable] = TABLES, *, arriving: Iterable[str] = ARRIVING
) -> None:
    """The tables of the clone and these; each has a gate, which is open, the arriving ones a folder for raw files."""
    lay_out(home, tables)
    with (home / "tables" / "sources.sql").open("a") as sources:
        sources.write(GATE)
        for name in arriving:
            sources.write(RAW.format(name=name))
            (home / "source" / name).mkdir(parents=True)
    with (home / "tables" / "sources.toml").open("a") as templates:
        for name in arriving:
            templates.write(FILES.format(name=name))
    gates = home / "source" / "gates"
    gates.mkdir(parents=True)
    for name in tables:
        (gates / f"{name}.csv").write_text("1\n")
