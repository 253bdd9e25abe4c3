"""The list of requests and one of them: newest first, bounded, and the same as the records say."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from reloads.days import Days
from reloads.inspection.open_requests import list_open_requests
from reloads.outcome import CheckResult, Failure, Outcome
from reloads.requests.ended import MOST_READ
from reloads.requests.endings import KEPT
from reloads.requests.record import Record
from tests.support.chain import NOW, Chain
from tests.support.touches import count_names
from tests.unit.airflow.page.page_under_test import Page

HOSTILE = "<img src=x onerror=alert(1)> ![a](http://evil.example/) \x1b[2J\u202e"


def end(chain: Chain, number: int, table: str = "a", *, by: str | None = None, fails: bool = False) -> Record:
    """A request that ended so many minutes after noon."""
    at = NOW + timedelta(minutes=number)
    record = chain.ask(table, "2025-01-01", "2025-01-02", at=at, requested_by=by)
    if fails:
        outcome = Outcome(failed=(Failure(days=record.days, error="it broke"),))
    else:
        outcome = Outcome(published=record.days, rows={"2025-01-01": 2, "2025-01-02": 3})
    ended = chain.queue.settle(record.id, outcome, run=f"run {number}", now=at)
    assert ended
    return ended


def ids(page: Page, query: str = "") -> list[str]:
    return [request["id"] for request in page.get(f"/api/requests{query}")["requests"]]


def test_open_and_ended_requests_are_listed_newest_first(page: Page, chain: Chain) -> None:
    first, second, third = end(chain, 1), chain.ask("b", "2025-01-01", at=NOW + timedelta(minutes=2)), end(chain, 3)
    assert ids(page) == [third.id, second.id, first.id]


def test_a_request_is_shown_as_its_record_says(page: Page, chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01", "2025-01-04", reason=HOSTILE, requested_by=HOSTILE, file="x.json")
    check = CheckResult(check="c", severity="error", days=Days.parse(["2025-01-02"]), rows=2, found="<b>")
    outcome = Outcome(
        published=Days.parse(["2025-01-01"]),
        unchanged=Days.parse(["2025-01-03"]),
        failed=(Failure(days=Days.parse(["2025-01-02"]), error=HOSTILE),),
        checks=(check,),
        rows={"2025-01-01": 7, "2025-01-03": 1},
        rows_before={"2025-01-03": 1},
    )
    chain.queue.settle(record.id, outcome, run="scheduled__2025-01-01T00:00:00+00:00", now=NOW)

    shown = page.get(f"/api/requests/{record.id}")

    counts = {"asked": 4, "published": 1, "unchanged": 1, "failed": 1, "skipped": 0, "cancelled": 0}
    assert shown["counts"] == {**counts, "waiting": 0, "left": 1}
    assert (shown["state"], shown["standing"]["kind"]) == ("accepted", "queued")
    assert (shown["reason"], shown["requested_by"], shown["error"]) == (HOSTILE, HOSTILE, HOSTILE)
    assert (shown["rows"], shown["rows_before"]) == (8, 1)
    assert shown["failed"] == [{"days": ["2025-01-02"], "error": HOSTILE}]
    assert shown["checks"][0]["sentence"] == "the check c of 2025-01-02 says: 2 violations, found <b>"
    [run] = shown["runs"]
    assert run["path"] == "/dags/rewrite_a/runs/scheduled__2025-01-01T00%3A00%3A00%2B00%3A00"
    assert shown["mode"] == "landing"
    assert page.get("/api/requests/x.json") == shown
    listed = page.get("/api/requests")["requests"][0]
    assert listed == {name: shown[name] for name in listed}


def test_a_run_of_a_command_leads_to_no_page_of_airflow(page: Page, chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01")
    chain.queue.settle(record.id, Outcome(published=record.days), run="command/0123", now=NOW)
    assert page.get(f"/api/requests/{record.id}")["runs"] == [{"run": "command/0123", "path": None}]


def test_the_other_requests_of_a_file_are_named(page: Page, chain: Chain) -> None:
    first = chain.ask("a", "2025-01-01", file="two.json")
    second = chain.ask("b", "2025-01-01", file="two.json", at=NOW + timedelta(seconds=1))
    shown = page.get("/api/requests/two.json")
    assert (shown["id"], [other["id"] for other in shown["others"]]) == (first.id, [second.id])


def test_of_many_open_requests_the_newest_are_listed_and_the_others_counted(page: Page, chain: Chain) -> None:
    records = [chain.ask("a", "2025-01-01", at=NOW + timedelta(seconds=number)) for number in range(5)]
    listed = page.get("/api/requests?limit=2")
    assert [each["id"] for each in listed["requests"]] == [records[4].id, records[3].id]
    assert listed["more_open"] == 3
    assert page.get("/api/requests")["more_open"] == 0
    page.log_in("only", "admin", tables="b")
    assert page.get("/api/requests?limit=2")["more_open"] == 0, "what one may not see is not counted"


def test_where_an_open_request_stands_is_said_as_the_terminal_says_it(page: Page, chain: Chain) -> None:
    chain.ask("a", "2025-01-01")
    chain.ask("b", "2025-01-01", at=NOW + timedelta(minutes=1))
    standings = list_open_requests(chain.settings, now=datetime.now(UTC), paused=())
    expected = {record.id: (standing.kind, standing.sentence) for record, standing in standings}
    shown = {each["id"]: tuple(each["standing"].values()) for each in page.get("/api/requests")["requests"]}
    assert shown == expected
    assert len(shown) == 2


def test_a_request_for_a_paused_table_says_so(page: Page, chain: Chain, paused: Callable[[str], None]) -> None:
    record = chain.ask("b", "2025-01-01")
    paused("rewrite_b")
    assert page.get(f"/api/requests/{record.id}")["standing"]["kind"] == "paused"
    assert [table["name"] for table in page.get("/api/tables")["tables"] if table["is_paused"]] == ["b"]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?table=a", [4, 1]),
        ("?table=b", [3, 2]),
        ("?state=failed", [3]),
        ("?state=done", [4, 2, 1]),
        ("?state=open", []),
        ("?state=cancelled", []),
        ("?state=rejected", []),
        ("?person=ada", [4, 3]),
        ("?person=ada&state=done&table=a", [4]),
        ("?person=nobody", []),
        ("?limit=2", [4, 3]),
        ("?state=done&limit=1", [4]),
    ],
)
def test_filters_leave_what_they_say(page: Page, chain: Chain, query: str, numbers: list[int]) -> None:
    records = [end(chain, 1), end(chain, 2, "b"), end(chain, 3, "b", by="ada", fails=True), end(chain, 4, by="ada")]
    assert ids(page, query) == [records[number - 1].id for number in numbers]


def test_the_people_who_asked_are_named(page: Page, chain: Chain) -> None:
    for number, person in enumerate(["bob", None, "ada", "bob"]):
        end(chain, number, by=person)
    assert page.get("/api/requests")["people"] == ["ada", "bob"]


@pytest.mark.parametrize("query", ["", "&table=a", "&state=done", "&person=ada"])
def test_page_after_page_each_ended_request_comes_once(page: Page, chain: Chain, query: str) -> None:
    records = [end(chain, number, by="ada") for number in range(7)]
    open_request = chain.ask("a", "2025-01-01", requested_by="ada")
    seen: list[str] = []
    before = ""
    while True:
        answer = page.get(f"/api/requests?limit=3{query}{before}")
        seen += [request["id"] for request in answer["requests"] if request["id"] != open_request.id]
        if not answer["next"]:
            break
        before = f"&before={answer['next'].replace('+', '%2B')}"
    assert seen == [record.id for record in reversed(records)]


def test_a_failed_request_stays_failed_though_its_days_were_made_since(page: Page, chain: Chain) -> None:
    failed = end(chain, 1, fails=True)
    chain.ask("a", "2025-01-01", "2025-01-02")
    chain.run("a")
    assert page.get(f"/api/requests/{failed.id}")["state"] == "failed"


def test_a_change_after_the_end_does_not_hide_a_request_from_the_pages(page: Page, chain: Chain) -> None:
    records = [end(chain, number) for number in range(6)]
    chain.queue.note_children(records[0].id, ["undo-a-0123456789ab"])
    first = page.get("/api/requests?limit=3&table=a")
    rest = page.get(f"/api/requests?limit=3&table=a&before={first['next']}")
    shown = [request["id"] for request in (*first["requests"], *rest["requests"])]
    assert shown == [record.id for record in reversed(records)]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=501", "?limit=x", "?state=lost", "?before=yesterday"])
def test_a_filter_that_is_none_is_refused_with_a_sentence(page: Page, query: str) -> None:
    status, sentence = page.refusal("GET", f"/api/requests{query}")
    assert status == 400
    assert "is not valid" in sentence


@pytest.mark.parametrize(
    "name",
    ["nothing", "nothing.json", "..", "../accepted/x", "a%00b", "a%0Ab", "%ff.json", "x" * 300, "x" * 300 + ".json"],
)
@pytest.mark.parametrize("act", ["", "/undo"])
def test_an_unknown_request_is_not_found(page: Page, name: str, act: str) -> None:
    assert page.refusal("GET", f"/api/requests/{name}{act}")[0] == 404


# files


def test_a_dropped_file_is_found_until_it_is_a_request(page: Page, chain: Chain) -> None:
    landing = chain.settings.landing
    (landing / "new.json").write_text("{}")
    dropped = page.get("/api/requests/new.json")
    assert (dropped["state"], dropped["sentence"]) == ("dropped", "it was dropped just now; the next look takes it")
    (landing / ".taken").mkdir()
    (landing / "new.json").rename(landing / ".taken" / "1-2-new.json")
    assert page.get("/api/requests/new.json") == dropped


def test_a_file_that_waits_says_why(page: Page, chain: Chain) -> None:
    (chain.settings.landing / "new.json").write_text("{}")
    (chain.settings.landing / "new.error.txt").write_text(f"new.json: {HOSTILE}\n")
    [waiting] = page.get("/api/requests")["waiting_files"]
    assert waiting["file"] == "new.json"
    assert waiting["sentence"].startswith("new.json: <img src=x onerror=alert(1)>")
    assert page.get("/api/requests/new.json")["sentence"] == waiting["sentence"]


def test_rejected_files_are_listed_newest_first_with_their_sentences(page: Page, chain: Chain) -> None:
    chain.queue.folder("rejected")
    for number in range(3):
        (chain.settings.landing / "rejected" / f"bad{number}.json").write_text("{}")
        (chain.settings.landing / "rejected" / f"bad{number}.error.txt").write_text(f"bad.json: {number} {HOSTILE}\n")
    for query in ("", "?state=rejected"):
        answer = page.get(f"/api/requests{query}")
        assert [each["sentence"][10] for each in answer["rejected"]] == ["2", "1", "0"]
        assert {each["file"] for each in answer["rejected"]} == {"bad.json"}
    assert page.get("/api/requests?state=done")["rejected"] == []
    assert page.get("/api/requests?table=a")["rejected"] == []
    assert page.get("/api/requests/bad.json")["state"] == "rejected"


# how much is read


def test_the_first_page_lists_no_folder_that_grows_with_what_ended(page: Page, chain: Chain) -> None:
    for number in range(KEPT + 30):
        end(chain, number)
    with count_names(chain.settings.landing) as first:
        assert len(ids(page)) == 100
    with count_names(chain.settings.landing) as filtered:
        assert len(ids(page, "?state=done&limit=500")) == KEPT + 30
    assert first["done"] == 0
    assert filtered["done"] == KEPT + 30


def test_a_search_stops_after_so_many_records_and_says_where_to_go_on(page: Page, chain: Chain) -> None:
    assert MOST_READ == 2000
    record = end(chain, 1)
    text = record.to_json()
    for number in range(MOST_READ):
        name = f"copy-a-{number:012x}"
        (chain.settings.landing / "done" / f"{name}.json").write_text(text.replace(record.id, name))
    wanted = end(chain, -1, by="ada")
    os.utime(chain.settings.landing / "done" / f"{wanted.id}.json", (0, 0))
    first = page.get("/api/requests?person=ada")
    assert first["requests"] == []
    assert first["next"]
