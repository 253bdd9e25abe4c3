"""Asking: the plan is that of the command line, and what is dropped goes through the same door as any file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reloads.inspection.preview import preview
from reloads.requests.acceptance import process_files
from reloads.requests.record import Record
from reloads.requests.request import parse_request
from reloads.tables.catalog import Catalog
from tests.support.chain import Chain
from tests.unit.airflow.page.page_under_test import Page

HOSTILE = '<script>alert(1)</script>\n\x1b[2J\u202e & "quotes" \\ é'
KEYED = "select day, amount, 'x' || (amount % 3) as shop from raw"


def taken(chain: Chain) -> list[Record]:
    """What the door makes of the drop folder."""
    files = process_files(
        chain.queue,
        catalog=Catalog.load(chain.settings.tables),
        now=datetime.now(UTC),
        today=datetime.now(UTC).date(),
        stable_seconds=0,
    )
    assert not files.rejected
    assert not files.waiting
    return files.accepted


def dropped(chain: Chain) -> list[Path]:
    return sorted(chain.settings.landing.glob("*.json"))


def test_what_is_asked_for_is_what_the_door_takes(page: Page, chain: Chain) -> None:
    chain.define("a", KEYED, 'keys = ["shop"]\nparameters.limit = {type = "integer", default = 1}')
    days = ["2025-01-05", "2025-01-01..2025-01-02", "2025-01-02..2025-01-03"]
    fields = {"only": "stale", "keys": {"shop": ["x1", 2]}, "parameters": {"limit": 7}, "cascade": False}

    file = page.post("/api/requests", {"table": "a", "days": days, "reason": HOSTILE} | fields)["file"]

    [record] = taken(chain)
    assert record.file == file
    assert record.days.texts() == ["2025-01-01..2025-01-03", "2025-01-05"]
    assert (record.only, record.keys, record.parameters) == ("stale", {"shop": ("x1", "2")}, {"limit": 7})
    assert (record.cascade, record.reason, record.requested_by, record.mode) == (False, HOSTILE, "admin", "landing")
    shown = page.get(f"/api/requests/{file}")
    assert (shown["id"], shown["reason"], shown["days"]) == (record.id, HOSTILE, record.days.texts())


def test_what_the_page_writes_is_what_a_person_would(page: Page, chain: Chain) -> None:
    page.post("/api/requests", {"table": "a", "days": ["2025-01-01"], "reason": ""})
    [file] = dropped(chain)
    assert file.name.startswith("page-a-2025-01-01-")
    days = {"start_date": "2025-01-01", "end_date": "2025-01-01"}
    assert json.loads(file.read_text()) == {"table": "a", **days, "requested_by": "admin"}


def test_each_ask_is_a_file_of_its_own(page: Page, chain: Chain) -> None:
    files = {page.post("/api/requests", {"table": "a", "days": ["2025-01-01"]})["file"] for _ in range(5)}
    assert len(files) == len(dropped(chain)) == 5


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no days": ({"days": []}, "days is empty; pick one day at least"),
    "no day": ({"days": ["yesterday"]}, "day 'yesterday' is not a day of the form YYYY-MM-DD"),
    "an unknown day": ({"days": ["2025-02-30"]}, "day '2025-02-30' is not in the calendar"),
    "a range backwards": ({"days": ["2025-01-02..2025-01-01"]}, "end_date 2025-01-01 is before start_date"),
    "too early": ({"days": ["2024-12-31"]}, "start_date 2024-12-31 is before the first day of 'a'"),
    "the future": ({"days": ["9999-12-31"]}, "end_date 9999-12-31 is in the future"),
    "a gap of all times": ({"days": ["0001-01-01", "9999-12-31"]}, "end_date 9999-12-31 is in the future"),
    "too many": ({"days": ["2025-01-01", "2025-01-31"]}, "31 days are more than the 30 that 'a' allows"),
    "only": ({"only": "some"}, 'only "some" is not valid'),
    "keys": ({"keys": {"shop": ["x"]}}, "'a' has no key \"shop\"; it has none, leave keys out"),
    "key values": ({"keys": {"shop": []}}, 'keys names 0 values of "shop"'),
    "parameters": ({"parameters": {"limit": 1}}, "'a' has no parameter"),
    "a long reason": ({"reason": "x" * 1001}, "reason "),
    "half a character": ({"reason": "\ud800"}, ""),
}


@pytest.mark.parametrize("path", ["/api/plan", "/api/requests"])
@pytest.mark.parametrize(("fields", "sentence"), REFUSED.values(), ids=list(REFUSED))
def test_what_breaks_a_rule_is_refused_with_the_sentence_of_the_door(
    page: Page, chain: Chain, path: str, fields: dict[str, Any], sentence: str
) -> None:
    chain.define("a", "select day, amount from raw", "max_days_per_request = 30")

    status, told = page.refusal("POST", path, {"table": "a", "days": ["2025-01-01"]} | fields)

    assert status == 400
    assert told.startswith(sentence)
    assert "\n" not in told
    assert dropped(chain) == []


def test_days_of_a_broken_table_cannot_be_asked_for_now(page: Page, chain: Chain) -> None:
    (chain.settings.tables / "a" / "query.sql").write_text("select")
    for path in ("/api/plan", "/api/requests"):
        status, told = page.refusal("POST", path, {"table": "a", "days": ["2025-01-01"]})
        assert (status, told.partition(" (")[0]) == (409, "table 'a' is broken")
    assert dropped(chain) == []


def test_a_table_that_is_mended_or_new_is_known_at_once(page: Page, chain: Chain) -> None:
    ask = {"table": "new", "days": ["2025-01-01"]}
    assert page.refusal("POST", "/api/plan", ask)[0] == 404
    chain.define("new", "select day, amount from raw")
    assert page.post("/api/plan", ask)["tables"][0]["planned_days"] == 1
    chain.define("new", "select day, amount + 1 as amount from raw", "max_days_per_request = 1")
    assert page.refusal("POST", "/api/plan", ask | {"days": ["2025-01-01..2025-01-02"]})[0] == 400


# the plan


@pytest.mark.parametrize("only", ["all", "missing", "stale"])
@pytest.mark.parametrize("cascade", [True, False])
def test_the_plan_is_the_one_of_the_command_line(page: Page, chain: Chain, only: str, *, cascade: bool) -> None:
    chain.define("a", KEYED, 'keys = ["shop"]')
    for table in "abcd":
        chain.ask(table, "2025-01-01", "2025-01-05", cascade=False)
        chain.run(table)
    chain.deliver("2025-01-02", 100)
    chain.ask("a", "2025-01-02", cascade=False)
    chain.run("a")
    ask = {"table": "a", "days": ["2025-01-01..2025-01-03", "2025-01-07"], "only": only, "cascade": cascade}
    fields = {"table": "a", "start_date": "2025-01-01", "end_date": "2025-01-07", "only": only, "cascade": cascade}
    excluded = ["2025-01-04", "2025-01-05", "2025-01-06"]
    request = parse_request(fields | {"exclude_dates": excluded})
    lines = preview(chain.settings, request, now=datetime.now(UTC))

    tables = page.post("/api/plan", ask)["tables"]

    assert [table["table"] for table in tables] == list(dict.fromkeys(line.table for line in lines))
    for table in tables:
        of_table = [line for line in lines if line.table == table["table"]]
        planned = [line for line in of_table if line.is_planned]
        assert table["is_downstream"] == (table["table"] != "a")
        assert table["partitions"] == len(planned)
        assert table["rows"] == sum(line.rows or 0 for line in planned)
        assert table["bytes"] == sum(line.bytes or 0 for line in planned)
        assert table["planned_days"] == len({line.partition.split("/")[0] for line in planned})
        assert {part["why"] for part in table["parts"]} == {line.why for line in of_table}
        assert sum(part["partitions"] for part in table["parts"]) == len(of_table)


def test_a_plan_names_the_days_of_each_reason_once(page: Page, chain: Chain) -> None:
    chain.define("a", KEYED, 'keys = ["shop"]')
    chain.ask("a", "2025-01-01", "2025-01-02", cascade=False)
    chain.run("a")

    [table] = page.post("/api/plan", {"table": "a", "days": ["2025-01-01..2025-01-04"], "only": "missing"})["tables"][
        :1
    ]

    assert [(part["days"], part["why"], part["is_planned"]) for part in table["parts"]] == [
        (["2025-01-03..2025-01-04"], "it is missing", True),
        (["2025-01-01..2025-01-02"], "it is there", False),
    ]


def test_a_plan_writes_nothing(page: Page, chain: Chain) -> None:
    chain.ask("a", "2025-01-01", "2025-01-02", cascade=False)
    chain.run("a")
    page.post("/api/plan", {"table": "a", "days": ["2025-01-01"]})  # what is made once is made by now
    before = {path: path.stat().st_mtime_ns for path in chain.settings.home.rglob("*")}
    page.post("/api/plan", {"table": "a", "days": ["2025-01-01..2025-01-03"]})
    assert {path: path.stat().st_mtime_ns for path in chain.settings.home.rglob("*")} == before
