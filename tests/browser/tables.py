"""The tables that the browser tests work on, one for each of them, and one whose days are in every state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.e2e.tables import arriving, gated
from tests.support.pipeline import Pipeline
from tests.support.tables import PLAIN, ScenarioTable

EMPTY_DAY, FAILING_DAY, REFUSED_DAY, GAP = "2024-05-06", "2024-05-07", "2024-05-08", "2024-05-09"
FIRST_DAY, LAST_DAY = "2024-05-01", "2024-05-12"
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"><b>bold</b>"

MOODS = f"""\
select day, number, cast(price as integer) as price, rewritten_at
from (select *, if(day = date '{FAILING_DAY}', 'twelve', '12') as price from ({PLAIN}))
where day <> date '{EMPTY_DAY}'
"""
CHECK = f"""\
create view prices_are_known as
select day, count(*) as found, 'no row' as expected from new where day = date '{REFUSED_DAY}' group by day;
"""

TABLES: Mapping[str, ScenarioTable] = {
    "asked": ScenarioTable(),
    "asked_totals": ScenarioTable("select day, sum(value)::bigint as total from asked group by day"),
    "keyboard": ScenarioTable(),
    "watched": gated("watched"),
    "read_only": ScenarioTable(),
    "moods": ScenarioTable(MOODS, {"on_empty": "publish"}),
    "moods_totals": ScenarioTable("select day, count(*) as rows, max(rewritten_at) as at from moods group by day"),
    "awaited": arriving("awaited"),
}
ARRIVING = ("awaited",)


def add_check(tables: Path) -> None:
    """Give the table of all states a check that refuses a day."""
    (tables / "moods" / "checks.sql").write_text(CHECK)


def make_moods(pipeline: Pipeline) -> None:
    """Bring the days of the tables into as many states as rest by themselves."""
    pipeline.drop("moods.json", table="moods", start_date=FIRST_DAY, end_date=LAST_DAY, exclude_dates=[GAP])
    pipeline.wait_for_records("failed", "moods.json")
    pipeline.wait_for_end_of_work("moods", "moods_totals")
    stale = {"table": "moods", "start_date": "2024-05-02", "cascade": False, "reason": HOSTILE}
    pipeline.drop("stale.json", stale)
    pipeline.drop("awaited.json", table="awaited", start_date="2024-05-01", end_date="2024-05-02")
    pipeline.drop("departures.json", table="departures", start_date="2013-01-01", end_date="2013-01-20")
    pipeline.drop("rejected.json", table=HOSTILE, start_date="2024-05-01")
    pipeline.wait_for_done("stale.json", "departures.json")
    pipeline.wait_for_records("accepted", "awaited.json")
    pipeline.rejection("rejected")
