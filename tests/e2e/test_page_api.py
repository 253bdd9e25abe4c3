"""The JSON API of the Warehouse page in Airflow's API server: three people, and nobody, at a real pipeline."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gate import Gate, closed_gate
from tests.e2e.native_stack import NativeStackUnderTest
from tests.support.command import run_command
from tests.support.described_answers import Description
from tests.support.outsider import ask, log_in
from tests.support.page_api import PageApi
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY

HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/) \u202e \x1b[2J & \"'\\ é"
ROUTES = (
    ("GET", "/api/tables"),
    ("GET", "/api/tables/flights/days?first=2013-01-01&last=2013-01-02"),
    ("GET", "/api/tables/flights/days/2013-01-01"),
    ("POST", "/api/plan"),
    ("POST", "/api/requests"),
    ("GET", "/api/requests"),
    ("GET", "/api/requests/x"),
    ("POST", "/api/requests/x/cancel"),
    ("POST", "/api/requests/x/retry"),
    ("GET", "/api/requests/x/undo"),
    ("POST", "/api/requests/x/undo"),
    ("GET", "/api/runs/rewrite_flights/x"),
    ("GET", "/openapi.json"),
    ("GET", "/static/page.js"),
)


def api_of(stack: NativeStackUnderTest, user: str) -> PageApi:
    answer = log_in(stack.url, user, stack.password if user == stack.user else stack.password_of(user))
    return PageApi(stack.url, token=json.loads(answer.text)["access_token"])


@pytest.fixture(scope="module")
def ada(stack: NativeStackUnderTest) -> PageApi:
    """Somebody who may ask."""
    return api_of(stack, "ada")


@pytest.fixture(scope="module")
def vera(stack: NativeStackUnderTest) -> PageApi:
    """Somebody who may look."""
    return api_of(stack, "vera")


@pytest.fixture
def description(ada: PageApi) -> Description:
    return Description(ada.get("/openapi.json"))


def asked(pipeline: Pipeline, api: PageApi, **fields: Any) -> Any:
    """A request of the page, once it ended."""
    file = api.post("/api/requests", fields)["file"]

    def ended() -> Any:
        shown = api.get(f"/api/requests/{file}")
        assert shown["state"] != "rejected", shown
        return shown if shown["state"] in ("done", "failed") else None

    return pipeline.wait_for(f"the end of {file}", ended)


# who may what


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", ["", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."], ids=["nobody", "a forger"])
def test_without_a_login_nothing_is_told(stack: NativeStackUnderTest, method: str, path: str, token: str) -> None:
    body = {"table": "flights", "days": ["2013-01-01"]} if method == "POST" else None
    reply = PageApi(stack.url, token=token).send(method, path, body)
    assert reply.status in (401, 403)
    assert set(reply.data) == {"detail"}


def test_who_may_look_sees_everything_and_changes_nothing(pipeline: Pipeline, ada: PageApi, vera: PageApi) -> None:
    asked_id = asked(pipeline, ada, table="paged", days=["2024-03-01"])["id"]
    pipeline.wait_for_end_of_work("paged", "paged_totals")
    record = ada.get(f"/api/requests/{asked_id}")
    names = {table["name"] for table in ada.get("/api/tables")["tables"]}
    assert {table["name"] for table in vera.get("/api/tables")["tables"]} == names
    assert vera.get(f"/api/requests/{record['id']}") == record | {"may_steer": False}
    assert not any(table["may_ask"] for table in vera.get("/api/tables")["tables"])
    before = pipeline.files("paged")
    for path, body in (
        ("/api/requests", {"table": "paged", "days": ["2024-03-01"]}),
        (f"/api/requests/{record['id']}/cancel", {}),
        (f"/api/requests/{record['id']}/retry", {}),
        (f"/api/requests/{record['id']}/undo", {"force": True}),
    ):
        reply = vera.send("POST", path, body)
        assert (reply.status, reply.detail.partition(";")[0]) == (403, "'vera' may not trigger rewrite_paged")
    assert pipeline.files("paged") == before
    assert not list(pipeline.landing.glob("page-*"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": "http://127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {},
        {"Sec_Fetch_Site": "same-origin", "Content_Type": "text/plain"},
        {"Sec_Fetch_Site": "same-origin", "Content_Type": "application/x-www-form-urlencoded"},
    ],
)
def test_another_site_cannot_ask_with_the_login_of_a_browser(
    pipeline: Pipeline, ada: PageApi, headers: dict[str, str]
) -> None:
    body = {"table": "paged", "days": ["2024-03-30"], "reason": "from elsewhere"}
    reply = ada.send_as_browser("POST", "/api/requests", body, **headers)
    assert reply.status == 403
    assert "send " in reply.detail
    reasons = {record.reason for state in ("accepted", "done", "failed") for record in pipeline.records(state)}
    assert "from elsewhere" not in reasons
    assert not list(pipeline.landing.glob("page-*"))


@pytest.mark.parametrize("headers", [{"Sec_Fetch_Site": "same-origin"}, {"Origin": ""}], ids=["fetch", "origin"])
def test_our_own_page_can(stack: NativeStackUnderTest, ada: PageApi, headers: dict[str, str]) -> None:
    if "Origin" in headers:
        headers = {"Origin": stack.url}
    reply = ada.send_as_browser("POST", "/api/plan", {"table": "paged", "days": ["2024-03-30"]}, **headers)
    assert reply.status == 200
    assert ada.send_as_browser("GET", "/api/tables").status == 200


def test_data_files_and_documents_say_what_a_browser_may_load(stack: NativeStackUnderTest, ada: PageApi) -> None:
    data, script = ada.send("GET", "/api/tables").headers, ada.send("GET", "/static/page.js").headers
    assert data["content-security-policy"].startswith("default-src 'none'")
    assert (data["cache-control"], data["x-content-type-options"]) == ("no-store", "nosniff")
    assert (script["cache-control"], bool(script["etag"])) == ("no-cache", True)
    token = ada.token
    for path in ("/dags", "/plugin/reloads", "/auth/login"):
        policy = ask(f"{stack.url}{path}", token=token, Accept="text/html").headers["content-security-policy"]
        assert "script-src 'self'; " in policy
        assert "frame-ancestors 'self'" in policy
    assert "content-security-policy" not in ask(f"{stack.url}/docs", token=token, Accept="text/html").headers


# what it says and does


def test_the_plan_is_the_one_of_the_command_line(pipeline: Pipeline, ada: PageApi) -> None:
    asked(pipeline, ada, table="paged", days=["2024-04-01..2024-04-02"])
    pipeline.wait_for_end_of_work("paged", "paged_totals")
    reloads = str(Path(sys.executable).with_name("reloads"))
    environment = {"RELOADS_HOME": str(pipeline.home), "RELOADS_SOURCE": "source"}
    days = ("2024-04-01", "2024-04-04", "--exclude", "2024-04-03", "--only", "missing")
    printed = run_command(reloads, "plan", "paged", *days, "--json", environment=environment)
    [planned] = json.loads(printed)["requests"]

    body = {"table": "paged", "days": ["2024-04-01..2024-04-02", "2024-04-04"], "only": "missing"}
    tables = ada.post("/api/plan", body)["tables"]

    assert [table["table"] for table in planned["tables"]] == [table["table"] for table in tables]
    for here, there in zip(planned["tables"], tables, strict=True):
        for name in ("why", "days", "partitions", "rows", "bytes"):
            assert [part[name] for part in here["parts"]] == [part[name] for part in there["parts"]]


def test_a_request_is_followed_from_its_file_to_its_end_and_its_run(
    pipeline: Pipeline, ada: PageApi, vera: PageApi
) -> None:
    with closed_gate(pipeline, "paged") as gate:
        body = {"table": "paged", "days": ["2024-05-01..2024-05-03", "2024-05-05"], "reason": HOSTILE}
        file = ada.post("/api/requests", body)["file"]
        running = _wait_until_running(pipeline, ada, file, gate)
        assert running["standing"]["sentence"]
        assert (running["progress"]["days"], running["progress"]["staged"]) == (4, 0)
        run = running["progress"]["run"]
        served = vera.get(f"/api/runs/rewrite_paged/{run.replace('+', '%2B')}")
        assert [request["id"] for request in served["requests"]] == [running["id"]]
        days = vera.get("/api/tables/paged/days?first=2024-05-01&last=2024-05-05")["days"]
        assert [day["state"] for day in days] == ["running"] * 3 + ["missing", "running"]

    done = pipeline.wait_for("its end", lambda: _if_ended(ada, file))
    assert (done["state"], done["requested_by"], done["reason"]) == ("done", "ada", HOSTILE)
    assert (done["counts"]["published"], done["rows"]) == (4, 4 * ROWS_A_DAY)
    assert [each["run"] for each in done["runs"]] == [run]
    day = vera.get("/api/tables/paged/days/2024-05-01")
    [partition] = day["partitions"]
    assert (day["state"], partition["requests"], partition["run"]) == ("fresh", [done["id"]], run)
    assert partition["run_path"] == done["runs"][0]["path"]
    assert partition["log_path"] == f"{partition['run_path']}/tasks/plan"
    assert done["id"] in {request["id"] for request in vera.get("/api/requests?person=ada&table=paged")["requests"]}
    pipeline.wait_for("the note of the run", lambda: done["id"] in str(pipeline.rest.run("rewrite_paged", run)["note"]))


def test_what_a_person_wrote_about_a_run_stays(pipeline: Pipeline, ada: PageApi) -> None:
    with closed_gate(pipeline, "paged") as gate:
        file = ada.post("/api/requests", {"table": "paged", "days": ["2024-05-20"]})["file"]
        running = _wait_until_running(pipeline, ada, file, gate)
        run = running["progress"]["run"].replace("+", "%2B").replace(":", "%3A")
        pipeline.rest.patch(f"/dags/rewrite_paged/dagRuns/{run}", {"note": "watched by me"})
    record = pipeline.wait_for("its end", lambda: _if_ended(ada, file))
    later = asked(pipeline, ada, table="paged", days=["2024-05-21"])
    run_of_later = later["runs"][0]["run"]
    pipeline.wait_for("the next note", lambda: pipeline.rest.run("rewrite_paged", run_of_later)["note"])
    assert pipeline.rest.run("rewrite_paged", record["runs"][0]["run"])["note"] == "watched by me"


def test_a_cancelled_request_is_retried_and_undone(pipeline: Pipeline, ada: PageApi) -> None:
    before = pipeline.files("paged")
    pipeline.rest.pause("rewrite_page_paused")
    file = ada.post("/api/requests", {"table": "page_paused", "days": ["2024-06-01"]})["file"]

    def paused() -> Any:
        shown = ada.get(f"/api/requests/{file}")
        return shown if shown.get("standing", {}).get("kind") == "paused" else None

    waiting = pipeline.wait_for("a request that waits for a paused DAG", paused)
    assert [table["is_paused"] for table in ada.get("/api/tables")["tables"] if table["name"] == "page_paused"] == [
        True
    ]
    assert ada.post(f"/api/requests/{waiting['id']}/cancel")["state"] == "cancelled"
    pipeline.rest.unpause("rewrite_page_paused")
    [again] = ada.post(f"/api/requests/{waiting['id']}/retry")["files"]
    record = pipeline.wait_for("the end of the retry", lambda: _if_ended(ada, again))
    assert pipeline.rows("page_paused") == {"2024-06-01": ROWS_A_DAY}

    preview = ada.get(f"/api/requests/{record['id']}/undo")
    assert preview["back"] == [
        {"table": "page_paused", "partition": "day=2024-06-01", "rows_now": ROWS_A_DAY, "rows_after": None}
    ]
    [undo] = ada.post(f"/api/requests/{record['id']}/undo", {"force": False})["requests"]
    assert (undo["mode"], undo["requested_by"]) == ("undo", "ada")
    assert pipeline.files("page_paused") == {}
    assert pipeline.files("paged") == before


def test_what_cannot_be_done_now_is_refused_with_a_sentence(pipeline: Pipeline, ada: PageApi) -> None:
    record = asked(pipeline, ada, table="paged", days=["2024-07-01"])
    for act, sentence in (("cancel", "has ended already (done)"), ("retry", "neither failed nor was cancelled")):
        reply = ada.send("POST", f"/api/requests/{record['id']}/{act}", {})
        assert reply.status == 409
        assert sentence in reply.detail


def test_a_rejected_file_is_shown_with_its_sentence_as_it_is(pipeline: Pipeline, vera: PageApi) -> None:
    pipeline.drop("hostile.json", {"table": HOSTILE, "start_date": "2024-01-01"})
    sentence = pipeline.rejection("hostile")
    shown = vera.get("/api/requests/hostile.json")
    assert (shown["state"], shown["sentence"]) == ("rejected", sentence)
    assert "<script>alert(1)</script>" in sentence
    assert sentence in {each["sentence"] for each in vera.get("/api/requests?state=rejected")["rejected"]}


def test_every_answer_is_as_described(pipeline: Pipeline, ada: PageApi, description: Description) -> None:
    record = asked(pipeline, ada, table="paged", days=["2024-07-02"])
    asks = {"table": "paged", "days": ["2024-07-03"]}
    sent: list[tuple[str, str, Any]] = [
        ("GET", "/api/tables", None),
        ("GET", "/api/tables/paged/days?first=2024-07-01&last=2024-07-04", None),
        ("GET", "/api/tables/departures/days?first=2013-01-01&last=2013-01-04", None),
        ("GET", "/api/tables/paged/days/2024-07-02", None),
        ("GET", "/api/requests", None),
        ("GET", f"/api/requests/{record['id']}", None),
        ("GET", f"/api/requests/{record['id']}/undo", None),
        ("GET", f"/api/runs/rewrite_paged/{record['runs'][0]['run'].replace('+', '%2B')}", None),
        ("GET", "/api/requests/nothing", None),
        ("GET", "/api/requests?limit=0", None),
        ("POST", "/api/plan", asks),
        ("POST", "/api/requests", asks),
        ("POST", f"/api/requests/{record['id']}/cancel", {}),
        ("POST", f"/api/requests/{record['id']}/retry", {}),
        ("POST", f"/api/requests/{record['id']}/undo", {"force": False}),
    ]
    for method, path, body in sent:
        reply = ada.send(method, path, body)
        assert description.faults(method, path, reply.status, reply.data) == [], (method, path, reply.text[:300])
    assert len(description.operations) == len(ROUTES) - 2


def _wait_until_running(pipeline: Pipeline, api: PageApi, file: str, gate: Gate) -> Any:
    pipeline.wait_for("a batch that reads", gate.has_reader)

    def running() -> Any:
        shown = api.get(f"/api/requests/{file}")
        return shown if shown.get("progress") else None

    return pipeline.wait_for("progress", running)


def _if_ended(api: PageApi, file: str) -> Any:
    shown = api.get(f"/api/requests/{file}")
    return shown if shown["state"] in ("done", "failed", "cancelled") else None
