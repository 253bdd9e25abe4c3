"""Whoever may read a table's DAG may look, whoever may trigger it may ask and steer, and nobody else learns of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reloads.requests.record import Record
from tests.support.chain import Chain
from tests.unit.airflow.page.page_under_test import Page

ASK = {"table": "b", "days": ["2025-01-01"]}


@pytest.fixture
def request_of_b(chain: Chain) -> Record:
    """A request for the table ``b`` that was done, from a file that asked for ``a``, too."""
    for table in "ab":
        record = chain.ask(table, "2025-01-01", "2025-01-03", file="both.json")
        chain.run(table)
    done = chain.queue.get(record.id)
    assert done
    return done


@pytest.mark.parametrize("role", ["viewer", "user", "op", "admin"])
def test_every_role_of_airflow_sees_all_tables_and_requests(page: Page, request_of_b: Record, role: str) -> None:
    page.log_in("somebody", role)
    assert [table["name"] for table in page.get("/api/tables")["tables"]] == list("abcd")
    assert request_of_b.id in {request["id"] for request in page.get("/api/requests")["requests"]}
    assert page.get("/api/tables/b/days/2025-01-01")["rows"] == 1


def test_who_may_only_look_is_told_so_and_nothing_happens(page: Page, chain: Chain, request_of_b: Record) -> None:
    page.log_in("vera", "viewer")
    before = sorted(path.name for path in chain.settings.landing.rglob("*.json"))

    for path, body in (
        ("/api/requests", ASK),
        (f"/api/requests/{request_of_b.id}/cancel", {}),
        (f"/api/requests/{request_of_b.id}/retry", {}),
        (f"/api/requests/{request_of_b.id}/undo", {"force": True}),
    ):
        status, sentence = page.refusal("POST", path, body)
        assert status == 403
        assert sentence == "'vera' may not trigger rewrite_b; ask an administrator of Airflow for that"
    assert sorted(path.name for path in chain.settings.landing.rglob("*.json")) == before
    assert not any(table["may_ask"] for table in page.get("/api/tables")["tables"])
    assert not page.get(f"/api/requests/{request_of_b.id}")["may_steer"]


def test_who_may_only_look_sees_what_a_request_or_an_undo_would_do(page: Page, request_of_b: Record) -> None:
    page.log_in("vera", "viewer")
    assert page.post("/api/plan", ASK)["tables"]
    assert len(page.get(f"/api/requests/{request_of_b.id}/undo")["back"]) == 3


def test_who_may_trigger_may_ask_and_is_named(page: Page, chain: Chain, request_of_b: Record) -> None:
    page.log_in("ada", "user")
    assert all(table["may_ask"] for table in page.get("/api/tables")["tables"])
    file = page.post("/api/requests", ASK)["file"]
    assert json.loads((chain.settings.landing / file).read_text())["requested_by"] == "ada"
    page.post(f"/api/requests/{request_of_b.id}/undo", {"force": False})


def test_asking_needs_the_right_to_start_runs_and_not_another_one_on_the_dag(page: Page, chain: Chain) -> None:
    page.log_in("eve", "admin")
    page.manager.no_runs.add("eve")
    assert page.refusal("POST", "/api/requests", ASK)[0] == 403
    assert not list(chain.settings.landing.glob("*.json"))
    assert not any(table["may_ask"] for table in page.get("/api/tables")["tables"])


# Of a table that one may not see, nobody can tell that it is there.


def hidden(page: Page) -> None:
    page.log_in("carl", "admin", tables="ad")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/tables/{}/days?first=2025-01-01&last=2025-01-02", None),
        ("GET", "/api/tables/{}/days/2025-01-01", None),
        ("POST", "/api/plan", {"table": "{}", "days": ["2025-01-01"]}),
        ("POST", "/api/requests", {"table": "{}", "days": ["2025-01-01"]}),
        ("GET", "/api/requests?table={}", None),
        ("GET", "/api/runs/rewrite_{}/run", None),
    ],
)
def test_a_table_that_one_may_not_see_is_answered_like_one_that_is_not_there(
    page: Page, request_of_b: Record, method: str, path: str, body: Any
) -> None:
    assert request_of_b.table == "b"
    hidden(page)

    def answer(table: str) -> tuple[int, str]:
        told = json.loads(json.dumps(body).replace("{}", table))
        status, sentence = page.refusal(method, path.replace("{}", table), told)
        return status, sentence.replace(repr(table), "?").replace(f"'rewrite_{table}'", "?")

    assert answer("b") == answer("nothing")
    assert answer("b")[0] == 404


@pytest.mark.parametrize("act", ["", "/cancel", "/retry", "/undo"])
def test_a_request_for_a_table_that_one_may_not_see_is_not_there(page: Page, request_of_b: Record, act: str) -> None:
    hidden(page)
    method = "POST" if act else "GET"
    refusals = [page.refusal(method, f"/api/requests/{name}{act}", {}) for name in (request_of_b.id, "nothing")]
    told = [(status, sentence.replace(request_of_b.id, "?").replace("nothing", "?")) for status, sentence in refusals]
    assert told[0] == told[1]
    assert told[0][0] == 404


def test_it_is_left_out_of_every_list(page: Page, request_of_b: Record) -> None:
    hidden(page)
    tables = page.get("/api/tables")["tables"]
    assert [(table["name"], table["inputs"]) for table in tables] == [("a", {}), ("d", {})]
    assert {request["table"] for request in page.get("/api/requests")["requests"]} == {"a", "d"}
    assert [table["table"] for table in page.post("/api/plan", ASK | {"table": "a"})["tables"]] == ["a", "d"]
    assert request_of_b.file
    of_file = page.get(f"/api/requests/{request_of_b.file}")
    assert (of_file["table"], of_file["others"]) == ("a", [])
    assert {child["table"] for child in of_file["children"]} <= {"a", "d"}
    page.log_in("admin", "admin")
    assert {child["table"] for child in page.get(f"/api/requests/{request_of_b.file}")["children"]} == {"b", "c"}


def test_the_change_that_a_request_follows_is_left_out_with_its_table(page: Page, chain: Chain) -> None:
    chain.ask("a", "2025-01-01")
    chain.run("a")
    [following] = chain.queue.accepted("b")
    assert page.get(f"/api/requests/{following.id}")["cause"]["table"] == "a"
    page.log_in("dora", "admin", tables="b")
    assert page.get(f"/api/requests/{following.id}")["cause"] is None


def test_the_inputs_of_a_partition_are_left_out_with_their_tables(page: Page, request_of_b: Record) -> None:
    assert request_of_b.published
    [partition] = page.get("/api/tables/b/days/2025-01-01")["partitions"]
    assert list(partition["inputs"]) == ["a"]
    page.log_in("dora", "admin", tables="b")
    [partition] = page.get("/api/tables/b/days/2025-01-01")["partitions"]
    assert partition["inputs"] == {}


def test_the_name_of_a_file_does_not_steer_what_one_may_not_see(page: Page, chain: Chain, request_of_b: Record) -> None:
    hidden(page)
    for act in ("cancel", "retry", "undo"):
        status, sentence = page.refusal("POST", f"/api/requests/both.json/{act}", {})
        assert status == 403
        assert "asked for other tables, too" in sentence
    assert chain.queue.get(request_of_b.id) == request_of_b


def test_files_that_are_no_requests_are_shown_to_who_may_see_the_dag_that_takes_them(page: Page, chain: Chain) -> None:
    rejected = chain.settings.landing / "rejected"
    rejected.mkdir()
    (rejected / "bad.json").write_text("{}")
    (rejected / "bad.error.txt").write_text('bad.json: the field "table" is missing\n')
    (chain.settings.landing / "new.json").write_text("{}")

    page.log_in("carl", "admin", tables="a", dags=("request_partitions",))
    listed = page.get("/api/requests")
    assert [each["file"] for each in listed["rejected"]] == ["bad.json"]
    assert [each["file"] for each in listed["waiting_files"]] == ["new.json"]
    assert page.get("/api/requests/bad.json")["state"] == "rejected"
    assert page.get("/api/tables")["may_see_requests"]

    page.log_in("dora", "admin", tables="a")
    listed = page.get("/api/requests")
    assert (listed["rejected"], listed["waiting_files"]) == ([], [])
    assert page.refusal("GET", "/api/requests/bad.json")[0] == 404
    assert page.refusal("GET", "/api/requests/new.json")[0] == 404
    assert not page.get("/api/tables")["may_see_requests"]


def test_who_asked_by_the_page_follows_the_file_without_the_right_to_see_others(page: Page, chain: Chain) -> None:
    page.log_in("dora", "admin", tables="a")
    file = page.post("/api/requests", ASK | {"table": "a"})["file"]
    dropped = page.get(f"/api/requests/{file}")
    assert (dropped["state"], dropped["file"]) == ("dropped", file)
    page.log_in("carl", "admin", tables="b")
    assert page.refusal("GET", f"/api/requests/{file}")[0] == 404
    for name in ("page-a-2025-01-01-000000.json", file.replace(".json", ".JSON"), file.removesuffix(".json")):
        page.log_in("dora", "admin", tables="a")
        assert page.refusal("GET", f"/api/requests/{name}")[0] == 404
    assert len(list(chain.settings.landing.glob("*.json"))) == 1


def test_a_broken_table_and_what_reads_it_are_named_to_who_may_see_them_only(page: Page, chain: Chain) -> None:
    query = chain.settings.tables / "b" / "query.sql"
    query.write_text("select")
    broken = {each["name"]: each["sentence"] for each in page.get("/api/tables")["broken"]}
    assert broken["b"].startswith(str(query))
    assert broken["d"].startswith(f"it reads a table that is broken ({query}")
    assert [table["name"] for table in page.get("/api/tables")["tables"]] == ["a", "c"]
    page.log_in("carl", "admin", tables="ac")
    assert page.get("/api/tables")["broken"] == []
