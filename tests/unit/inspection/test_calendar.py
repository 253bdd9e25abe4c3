"""The calendar: each day is in the state that whoever knows what happened to it would name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import RequestError, TableError
from reloads.inspection.calendar import STATES, Calendar, find_shown_days, read_calendar
from reloads.inspection.calendar_json import calendar_values
from reloads.inspection.day_detail import read_day
from reloads.inspection.overview import Overview
from reloads.inspection.sql_query import query_views
from reloads.inspection.sql_views import open_views
from reloads.requests.batch_notes import note_batch
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import settle_batches
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog
from tests.support import calendar_home
from tests.support.calendar_home import STATE_OF_DAY, TABLE, deliver
from tests.support.chain import NOW, Chain

SHOPS = """
select cast(d as date) as day, shop, 1 as amount
from generate_series(date '2025-01-01', date '2025-01-31', interval 1 day) as days(d)
cross join (values ('a'), ('b')) as shops(shop)
"""


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """A home with a day of each state."""
    return calendar_home.lay_out(tmp_path / "home")


def look(chain: Chain, table: str = TABLE, days: Days | None = None, *, now: datetime = NOW) -> Calendar:
    wanted = days or Days.of(calendar_home.days())
    return read_calendar(chain.settings, Catalog.load(chain.settings.tables), table, wanted, now=now)


def states(calendar: Calendar) -> dict[str, str]:
    return {str(day): each.cell.state for day, each in calendar.days.items()}


def test_each_day_is_in_its_state(chain: Chain) -> None:
    assert states(look(chain)) == STATE_OF_DAY


def test_what_is_not_as_it_should_be_says_why_and_who_says_so(chain: Chain) -> None:
    days = look(chain).days
    reasons = {str(day): each.cell.why for day, each in days.items() if each.cell.why}
    failed, refused, waiting, asked = (days[date(2025, 1, day)].cell for day in (4, 5, 6, 9))
    assert reasons["2025-01-03"] == "visits/2025-01-03.csv changed"
    assert "'many'" in reasons["2025-01-04"]
    assert "visitors_are_counted" in reasons["2025-01-05"]
    assert reasons["2025-01-06"] == "it waits for raw files: visits/2025-01-06.csv is not there"
    assert reasons.keys() == STATE_OF_DAY.keys() - {"2025-01-01", "2025-01-02", "2025-01-08"}
    ids = {record.id for state in ("accepted", "failed") for record in chain.queue.records(state)}
    assert {failed.request, refused.request, waiting.request, asked.request} == ids


def test_page_command_sql_and_list_of_tables_say_the_same(chain: Chain) -> None:
    days = look(chain)
    values = calendar_values(days, now=NOW)
    assert {each["day"]: each["state"] for each in values["days"]} == STATE_OF_DAY
    with open_views(chain.settings, now=NOW) as db:
        rows = query_views(db, f"select day, state, why, rows from calendar where \"table\" = '{TABLE}'").fetchall()
    by_sql = {str(day): (state, why, count) for day, state, why, count in rows}
    assert by_sql == {each["day"]: (each["state"], each["why"], each["rows"]) for each in values["days"]}
    summary = Overview(chain.settings).summarize(Catalog.load(chain.settings.tables), now=NOW)[TABLE]
    assert summary is not None
    assert summary.counts == {state: Counter(STATE_OF_DAY.values())[state] for state in STATES}
    assert (summary.rows, summary.gaps, len(summary.published)) == (6, 4, 4)
    assert (summary.open_requests, summary.failed_requests) == (2, 2)
    for day, state in STATE_OF_DAY.items():
        detail = read_day(chain.settings, Catalog.load(chain.settings.tables), TABLE, date.fromisoformat(day), now=NOW)
        assert detail.day.cell.state == state


def test_the_command_line_says_the_same(chain: Chain) -> None:
    environment = {
        **os.environ,
        "RELOADS_HOME": str(chain.settings.home),
        "RELOADS_STABLE_SECONDS": "0.001",
        "RELOADS_TIME_ZONE": "UTC",
    }
    command = [sys.executable, "-m", "reloads.cli.main", "status", TABLE]
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert {each["day"]: each["state"] for each in told["days"]} == STATE_OF_DAY
    assert told["counts"] == {state: Counter(STATE_OF_DAY.values())[state] for state in STATES}
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0].startswith(f"{TABLE}, 2025-01-01..2025-01-09: 4 days published, 4 missing between them, 6 rows")
    assert [line.split()[0] for line in lines[1:]] == sorted(set(STATE_OF_DAY.values()), key=list[str](STATES).index)


def test_a_failed_day_that_was_reloaded_since_is_as_it_is_published(chain: Chain) -> None:
    for day in ("2025-01-04", "2025-01-05"):
        deliver(chain, day, 5)
        chain.ask(TABLE, day, at=NOW + timedelta(minutes=1))
    batches = chain.plan(TABLE)
    later = NOW + timedelta(minutes=2)
    outcomes = [run_batch(chain.settings, TABLE, batch, run="later", now=later).to_json() for batch in batches]
    chain.settle(TABLE, batches, outcomes)
    told = states(look(chain))
    assert (told["2025-01-04"], told["2025-01-05"]) == ("fresh", "fresh")
    assert len(chain.queue.records("failed")) == 2, "the records tell what failed all the same"


def test_a_file_that_somebody_removed_or_replaced_shows_at_once(chain: Chain) -> None:
    table = chain.settings.warehouse / TABLE
    (table / "day=2025-01-01" / "data.parquet").unlink()
    (table / "day=2025-01-08" / "data.parquet").unlink()
    (table / "day=2025-01-08" / "data.parquet").write_bytes(b"PAR1")
    told = look(chain).days
    assert (told[date(2025, 1, 1)].cell.state, told[date(2025, 1, 1)].cell.why) == ("missing", "a file of it is gone")
    stranger = told[date(2025, 1, 8)].cell
    assert (stranger.state, stranger.published.rows, stranger.published.bytes) == ("stale", None, 4)


def test_a_downstream_table_is_stale_day_by_day_when_its_input_changed(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "chain")
    chain.load()
    chain.deliver("2025-01-10", 99)
    chain.ask("a", "2025-01-10", cascade=False)
    chain.run("a")
    january = Days.between(date(2025, 1, 1), date(2025, 1, 31))
    stale = {
        table: [day for day, each in look(chain, table, january).days.items() if each.cell.state == "stale"]
        for table in "abcd"
    }
    assert stale["a"] == [] == stale["d"]
    assert stale["b"] == [date(2025, 1, 10)]
    assert stale["c"] == [date(2025, 1, day) for day in range(10, 17)]


def test_of_a_table_with_keys_each_partition_has_a_state_of_its_own(chain: Chain) -> None:
    chain.define("shops", SHOPS, 'keys = ["shop"]')
    chain.ask("shops", "2025-01-01", "2025-01-03")
    chain.run("shops")
    asked = chain.ask("shops", "2025-01-02", keys={"shop": ["b"]})
    days = look(chain, "shops", Days.between(date(2025, 1, 1), date(2025, 1, 4))).days
    assert {str(day): each.cell.state for day, each in days.items()} == {
        "2025-01-01": "fresh",
        "2025-01-02": "open",
        "2025-01-03": "fresh",
        "2025-01-04": "missing",
    }
    cells = {name.key_values["shop"]: cell for name, cell in days[date(2025, 1, 2)].partitions.items()}
    assert {shop: cell.state for shop, cell in cells.items()} == {"a": "fresh", "b": "open"}
    assert cells["b"].request == asked.id
    rows = calendar_values(look(chain, "shops", Days.between(date(2025, 1, 1), date(2025, 1, 4))), now=NOW)["key_rows"]
    assert [row["keys"] for row in rows] == [{"shop": "a"}, {"shop": "b"}]
    assert [each and each["state"] for each in rows[1]["days"]] == ["fresh", "open", "fresh", None]


def test_a_key_that_failed_leaves_the_other_keys_as_they_are_and_counts_until_it_was_made_again(chain: Chain) -> None:
    chain.define("shops", SHOPS, 'keys = ["shop"]')
    chain.ask("shops", "2025-01-01")
    chain.run("shops")
    checks = chain.settings.tables / "shops" / "checks.sql"
    checks.write_text("create view no_b as from new where shop = 'b';\n")
    run_at(chain, "shops", NOW + timedelta(minutes=1), keys={"shop": ["b"]})
    assert shop_states(chain) == ("refused", {"a": "fresh", "b": "refused"})
    checks.unlink()
    run_at(chain, "shops", NOW + timedelta(minutes=2), keys={"shop": ["a"]})
    assert shop_states(chain) == ("refused", {"a": "fresh", "b": "refused"})
    run_at(chain, "shops", NOW + timedelta(minutes=3), keys={"shop": ["b"]})
    assert shop_states(chain) == ("fresh", {"a": "fresh", "b": "fresh"})


def run_at(chain: Chain, table: str, now: datetime, **fields: Any) -> None:
    """Ask for the first of January and rewrite it, at that time."""
    chain.ask(table, "2025-01-01", at=now, **fields)
    batches = chain.plan(table)
    outcomes = [run_batch(chain.settings, table, batch, run=str(now), now=now).to_json() for batch in batches]
    settle_batches(chain.settings, open_catalog(chain.settings), table, batches, outcomes, run=str(now), now=now)


def shop_states(chain: Chain) -> tuple[str, dict[str, str]]:
    """The state of the first of January, and of its partitions by shop."""
    [day] = look(chain, "shops", Days.of([date(2025, 1, 1)])).days.values()
    return day.cell.state, {name.key_values["shop"]: cell.state for name, cell in day.partitions.items()}


def test_a_daily_table_waits_for_the_files_of_its_days_and_says_when_they_are_late(chain: Chain) -> None:
    toml = 'on_empty = "publish"\ndaily = true\narrival_days = 3\ndue = "06:00"'
    chain.define(TABLE, calendar_home.QUERY, toml)
    now = datetime(2025, 2, 1, 5, 59, tzinfo=UTC)
    days = Days.between(date(2025, 1, 25), date(2025, 1, 31))
    before, after = look(chain, TABLE, days, now=now), look(chain, TABLE, days, now=now + timedelta(minutes=1))
    waiting = [day for day, each in before.days.items() if each.cell.state == "waiting"]
    assert waiting == [date(2025, 1, day) for day in (28, 29, 30, 31)], "those of arrival_days and no older ones"
    assert [day for day, each in before.days.items() if each.is_late] == waiting[:-1]
    assert [day for day, each in after.days.items() if each.is_late] == waiting


def test_the_days_shown_end_with_yesterday_or_with_the_last_one_that_is_there_or_asked_for(chain: Chain) -> None:
    catalog = Catalog.load(chain.settings.tables)
    shown = find_shown_days(chain.settings, catalog[TABLE], now=NOW, asked=Days())
    assert str(shown) == "2025-01-01..2025-01-08"
    asked = Days.of([date(2025, 1, 9)])
    assert str(find_shown_days(chain.settings, catalog[TABLE], now=NOW, asked=asked)) == "2025-01-01..2025-01-09"
    assert find_shown_days(chain.settings, catalog["a"], now=NOW, asked=Days()) == Days()
    chain.define("a", "select day, amount from raw", "daily = true")
    catalog = Catalog.load(chain.settings.tables)
    assert str(find_shown_days(chain.settings, catalog["a"], now=NOW, asked=Days())) == "2025-01-01..2025-01-30"


def test_a_table_that_is_unknown_or_reads_a_broken_one_is_an_error(chain: Chain) -> None:
    with pytest.raises(RequestError, match="'nothing' is unknown"):
        look(chain, "nothing")
    chain.define("a", "select day, amount from raw limit", "")
    with pytest.raises(TableError, match="does not parse"):
        look(chain, "b")


def test_a_day_tells_who_wrote_it_from_what_and_its_versions(chain: Chain) -> None:
    deliver(chain, "2025-01-08", 7)
    request = chain.ask(TABLE, "2025-01-08", at=NOW + timedelta(minutes=1))
    chain.run(TABLE)
    detail = read_day(chain.settings, Catalog.load(chain.settings.tables), TABLE, date(2025, 1, 8), now=NOW)
    [partition] = detail.partitions
    assert partition.requests == (request.id,)
    assert list(partition.files) == ["visits/2025-01-08.csv"]
    assert partition.run
    assert partition.batch == 0
    assert [version.rows for version in detail.versions] == [None, 2, 1], "it was nothing, and then it was loaded twice"
    assert detail.versions[-1].requests == (request.id,)
    failed = read_day(chain.settings, Catalog.load(chain.settings.tables), TABLE, date(2025, 1, 4), now=NOW)
    assert failed.partitions == ()
    assert "'many'" in (failed.failure.error if failed.failure else "")


def test_a_day_that_a_batch_rewrites_now_is_running_and_another_key_of_it_is_not(chain: Chain) -> None:
    chain.define("shops", SHOPS, 'keys = ["shop"]')
    run_at(chain, "shops", NOW)
    request = chain.ask("shops", "2025-01-01", keys={"shop": ["b"]}, at=NOW + timedelta(minutes=1))
    [batch] = [Batch.from_json(batch) for batch in chain.plan("shops")]
    assert shop_states(chain) == ("open", {"a": "fresh", "b": "open"})
    with note_batch(chain.settings.landing, "shops", batch, run="run/7"):
        assert shop_states(chain) == ("running", {"a": "fresh", "b": "running"})
        [day] = look(chain, "shops", Days.of([date(2025, 1, 1)])).days.values()
        assert (day.cell.request, day.cell.why) == (request.id, "the run run/7 is starting")
    assert shop_states(chain) == ("open", {"a": "fresh", "b": "open"}), "a batch that ended is not at work"
