"""The tables and days that the page shows are those that the calendar knows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunType
from sqlalchemy import insert
from sqlalchemy.orm import Session

from reloads.airflow.page import tables
from reloads.days import Days
from reloads.inspection.calendar import STATES, read_calendar
from reloads.inspection.calendar_json import calendar_values
from reloads.tables.catalog import Catalog
from tests.support import calendar_home
from tests.support.calendar_home import STATE_OF_DAY
from tests.support.chain import NOW, Chain
from tests.support.described_answers import Description
from tests.unit.airflow.page.page_under_test import Page

KEYED = "select day, amount, 'x' || (amount % 3) as shop from raw"
YEAR = "first=2025-01-01&last=2025-12-31"


@pytest.fixture
def mixed(chain: Chain) -> Chain:
    """Tables with days in many states: fresh, stale, missing, failed and open."""
    chain.define("a", KEYED, 'keys = ["shop"]')
    for table in "ab":
        chain.ask(table, "2025-01-01", "2025-01-05", cascade=False)
        chain.run(table)
    chain.deliver("2025-01-02", 100)
    chain.ask("a", "2025-01-02", cascade=False)
    chain.run("a")
    (chain.settings.source / "2025-01-07.csv").write_text("day,amount\n2025-01-07,x\n")
    chain.ask("a", "2025-01-07", cascade=False, reason="<b>")
    chain.run("a")
    chain.ask("b", "2025-01-09")
    return chain


def row_of(page: Page, name: str) -> Any:
    return next(table for table in page.get("/api/tables")["tables"] if table["name"] == name)


def test_the_days_are_those_of_the_command_line(page: Page, mixed: Chain) -> None:
    catalog = Catalog.load(mixed.settings.tables)
    days = Days.between(date(2025, 1, 1), date(2025, 1, 31))
    for table in "ab":
        now = datetime.now(UTC)
        expected = calendar_values(read_calendar(mixed.settings, catalog, table, days, now=now), now=now)
        shown = page.get(f"/api/tables/{table}/days?first=2025-01-01&last=2025-01-31")
        for each in (expected, shown):
            del each["as_of"]
        assert _without_times(shown) == _without_times(expected)
    assert {day["state"] for day in shown["days"]} >= {"fresh", "stale", "missing", "open"}


def test_a_day_in_each_state_is_told_as_it_is(page: Page, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELOADS_STABLE_SECONDS", "0.001")
    calendar_home.add_table(chain)
    first, *_, last = STATE_OF_DAY
    days = page.get(f"/api/tables/{calendar_home.TABLE}/days?first={first}&last={last}")["days"]
    assert {day["day"]: day["state"] for day in days} == STATE_OF_DAY
    for day, state in STATE_OF_DAY.items():
        assert page.get(f"/api/tables/{calendar_home.TABLE}/days/{day}")["state"] == state
    counts = row_of(page, calendar_home.TABLE)["counts"]
    assert counts == {state: Counter(STATE_OF_DAY.values())[state] for state in STATES}


def test_who_does_not_want_the_rows_of_keys_gets_the_same_days_without_them(page: Page, mixed: Chain) -> None:
    whole = page.get(f"/api/tables/a/days?{YEAR}")
    without = page.get(f"/api/tables/a/days?{YEAR}&keys=false")
    assert mixed.settings
    assert len(whole["key_rows"]) > 1
    assert without["key_rows"] == []
    assert without["days"] == whole["days"]


def test_each_value_of_a_key_has_a_row_of_all_days(page: Page, mixed: Chain) -> None:
    shown = page.get("/api/tables/a/days?first=2025-01-01&last=2025-01-05")
    assert mixed.settings
    assert shown["keys"] == ["shop"]
    assert [row["keys"] for row in shown["key_rows"]] == [{"shop": "x0"}, {"shop": "x1"}, {"shop": "x2"}]
    for row in shown["key_rows"]:
        assert len(row["days"]) == len(shown["days"]) == 5
    rows = [cell["rows"] for row in shown["key_rows"] for cell in row["days"] if cell]
    assert sum(rows) == sum(day["rows"] for day in shown["days"])


def test_the_list_counts_the_days_that_the_calendar_shows(page: Page, mixed: Chain) -> None:
    assert mixed.settings
    for name in "ab":
        row = row_of(page, name)
        days = page.get(f"/api/tables/{name}/days?first={row['first_day']}&last={row['last_day']}")["days"]
        counted = Counter(day["state"] for day in days)
        assert row["counts"] == {state: counted[state] for state in STATES}
        assert row["rows"] == sum(day["rows"] or 0 for day in days)
        assert row["bytes"] == sum(day["bytes"] or 0 for day in days)
    assert (row_of(page, "a")["failed_requests"], row_of(page, "b")["open_requests"]) == (1, 1)


def test_a_table_is_shown_as_its_folder_says(page: Page, chain: Chain) -> None:
    chain.define("c", "select day, amount from a", 'reads = { a = "7 days" }\ndaily = true')
    (chain.settings.tables / "c" / "README.md").write_text("# c\n\nThe <b>last</b> week.\nMore.\n")
    row = row_of(page, "c")
    assert (row["text"], row["inputs"], row["daily"], row["day_column"]) == (
        "The <b>last</b> week",
        {"a": 7},
        True,
        "day",
    )
    assert (row["first_day"], row["published_days"], row["last_change"]) == ("2025-01-01", 0, None)
    assert row["last_day"] == str(datetime.now(UTC).date() - timedelta(days=1))
    assert page.get("/api/tables")["tables"][0]["name"] == "a"


def test_tables_that_nobody_had_time_to_look_at_come_without_numbers(
    page: Page, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.load()
    monkeypatch.setattr(tables, "PATIENCE_SECONDS", -1)
    row = row_of(page, "a")
    assert (row["counts"], row["rows"], row["first_day"]) == (None, None, "2025-01-01")
    monkeypatch.setattr(tables, "PATIENCE_SECONDS", 60)
    assert row_of(page, "a")["published_days"] == 31
    monkeypatch.setattr(tables, "PATIENCE_SECONDS", -1)
    assert row_of(page, "a")["published_days"] == 31


def test_the_log_of_one_of_several_batches_is_that_of_its_own_task(page: Page, mixed: Chain, database: Session) -> None:
    assert mixed
    [partition] = page.get("/api/tables/b/days/2025-01-01")["partitions"]
    run = {"dag_id": "rewrite_b", "run_id": partition["run"]}
    database.add(DagModel(dag_id="rewrite_b", bundle_name="dags"))  # type: ignore[no-untyped-call]
    database.flush()
    # No class takes such a name of a run, which has a blank.
    database.execute(insert(DagRun).values(**run, run_type=DagRunType.MANUAL, state=DagRunState.SUCCESS, run_after=NOW))
    task = {**run, "task_id": "rewrite", "pool": "default_pool", "pool_slots": 1, "queue": "default"}
    database.execute(insert(TaskInstance).values(**task, map_index=0, priority_weight=1))
    database.commit()

    [partition] = page.get("/api/tables/b/days/2025-01-01")["partitions"]
    assert partition["log_path"] == f"{partition['run_path']}/tasks/rewrite/mapped/0"


def test_a_day_tells_who_made_its_partitions_and_from_what(page: Page, mixed: Chain) -> None:
    day = page.get("/api/tables/b/days/2025-01-01")
    [partition] = day["partitions"]
    version = day["versions"][-1]
    assert (day["state"], partition["name"], partition["inputs"]) == ("fresh", "day=2025-01-01", {"a": 1})
    assert partition["requests"] == version["requests"] != []
    assert partition["run_path"].startswith("/dags/rewrite_b/runs/run%20")
    assert partition["log_path"] == f"{partition['run_path']}/tasks/plan"
    failed = page.get("/api/tables/a/days/2025-01-07")
    assert failed["state"] == "failed"
    assert failed["failure"]["error"] in failed["why"]
    opened = page.get("/api/tables/b/days/2025-01-09")
    assert (opened["state"], opened["open_requests"]) == ("open", [mixed.queue.accepted("b")[0].id])


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("first=2025-01-02&last=2025-01-01", "end_date 2025-01-01 is before start_date 2025-01-02"),
        ("first=x&last=2025-01-01", "first 'x' is not a day"),
        ("first=2025-01-01", "last is missing"),
        ("first=0001-01-01&last=9999-12-31", "0001-01-01..9999-12-31 are 3652059 days; ask for 4000 at most"),
    ],
)
def test_a_range_that_is_none_is_refused_with_a_sentence(page: Page, query: str, sentence: str) -> None:
    status, told = page.refusal("GET", f"/api/tables/a/days?{query}")
    assert status == 400
    assert told.startswith(sentence)


@pytest.mark.parametrize("day", ["x", "2025-13-01", "20250101"])
def test_a_day_that_is_none_is_refused_with_a_sentence(page: Page, day: str) -> None:
    status, told = page.refusal("GET", f"/api/tables/a/days/{day}")
    assert (status, told.partition(" is not")[0]) == (400, f"day '{day}'")


def test_days_before_the_first_and_in_the_future_are_shown_as_missing(page: Page) -> None:
    for day in ("1700-01-01", "9999-12-31"):
        assert page.get(f"/api/tables/a/days/{day}")["state"] == "missing"
        [shown] = page.get(f"/api/tables/a/days?first={day}&last={day}")["days"]
        assert shown["state"] == "missing"


def test_every_answer_is_as_described(page: Page, mixed: Chain) -> None:
    description = Description(page.get("/openapi.json"))
    request = mixed.queue.records("done")[0].id
    paths = [
        "/api/tables",
        f"/api/tables/a/days?{YEAR}",
        "/api/tables/a/days/2025-01-07",
        "/api/tables/b/days/2025-01-01",
        "/api/requests",
        f"/api/requests/{request}",
        f"/api/requests/{request}/undo",
        "/api/runs/rewrite_a/run",
    ]
    for path in paths:
        assert description.faults("GET", path, 200, page.get(path)) == [], path
    body = {"table": "a", "days": ["2025-01-01"]}
    assert description.faults("POST", "/api/plan", 200, page.post("/api/plan", body)) == []
    assert description.faults("POST", "/api/requests", 202, page.post("/api/requests", body)) == []


def _without_times(value: Any) -> Any:
    """The same with times as texts of one form: one side ends in ``Z``, the other in ``+00:00``."""
    if isinstance(value, dict):
        return {name: _without_times(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_times(each) for each in value]
    return value.replace("+00:00", "Z") if isinstance(value, str) else value
