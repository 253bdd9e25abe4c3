"""Cancel, retry and undo do what the commands do, and say what stands in the way."""

from __future__ import annotations

import json

import pytest

from reloads.requests.neglect import KNOCK
from reloads.requests.record import Record
from tests.support.chain import Chain
from tests.unit.airflow.page.page_under_test import Page


def done(chain: Chain, record: Record) -> Record:
    chain.run(record.table)
    found = chain.queue.get(record.id)
    assert found
    assert not found.outstanding
    return found


def test_a_cancelled_request_gives_up_what_is_left(page: Page, chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01", "2025-01-03")
    answer = page.post(f"/api/requests/{record.id}/cancel")
    assert (answer["id"], answer["state"], answer["counts"]["cancelled"]) == (record.id, "cancelled", 3)
    assert [each.id for each in chain.queue.records("cancelled")] == [record.id]


def test_all_requests_of_a_file_are_cancelled_by_its_name(page: Page, chain: Chain) -> None:
    for table in "ab":
        chain.ask(table, "2025-01-01", file="two.json")
    page.post("/api/requests/two.json/cancel")
    assert {record.table for record in chain.queue.records("cancelled")} == {"a", "b"}


def test_what_ended_cannot_be_cancelled(page: Page, chain: Chain) -> None:
    record = done(chain, chain.ask("a", "2025-01-01"))
    status, sentence = page.refusal("POST", f"/api/requests/{record.id}/cancel", {})
    assert (status, sentence) == (409, f"{record.id!r} has ended already (done); undo puts back what it did")


def test_a_retry_asks_again_for_what_is_missing(page: Page, chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01", "2025-01-02", reason="why")
    page.post(f"/api/requests/{record.id}/cancel")
    [file] = page.post(f"/api/requests/{record.id}/retry")["files"]
    again = json.loads((chain.settings.landing / file).read_text())
    assert (again["table"], again["days"], again["reason"]) == ("a", ["2025-01-01..2025-01-02"], "why")


def test_what_did_not_fail_cannot_be_retried(page: Page, chain: Chain) -> None:
    record = done(chain, chain.ask("a", "2025-01-01"))
    status, sentence = page.refusal("POST", f"/api/requests/{record.id}/retry", {})
    assert (status, sentence.partition(";")[0]) == (409, f"{record.id!r} neither failed nor was cancelled")


def test_an_undo_puts_back_what_its_preview_says_and_what_reads_it_follows(page: Page, chain: Chain) -> None:
    done(chain, chain.ask("a", "2025-01-01", cascade=False))
    before = chain.files()
    chain.deliver("2025-01-01", 100)
    record = done(chain, chain.ask("a", "2025-01-01", "2025-01-02", cascade=False))

    preview = page.get(f"/api/requests/{record.id}/undo")
    assert preview == {
        "sentence": None,
        "back": [
            {"table": "a", "partition": "day=2025-01-01", "rows_now": 1, "rows_after": 1},
            {"table": "a", "partition": "day=2025-01-02", "rows_now": 1, "rows_after": None},
        ],
        "later": [],
        "expired": [],
    }
    answer = page.post(f"/api/requests/{record.id}/undo", {"force": False})

    assert chain.files() == before
    [undo] = answer["requests"]
    assert (undo["mode"], undo["requested_by"], undo["state"], answer["kept"]) == ("undo", "admin", "done", [])
    again = page.get(f"/api/requests/{record.id}/undo")
    assert (again["back"], again["sentence"].partition(";")[0]) == (
        [],
        f"what '{record.id}' replaced in a is back already",
    )


def test_the_requests_that_follow_from_an_undo_are_announced_at_once(page: Page, chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01")
    chain.work_off("a")
    undone = page.post(f"/api/requests/{record.id}/undo", {"force": False})["requests"][0]
    following = page.get(f"/api/requests/{undone['id']}")["children"]
    assert {child["table"] for child in following} == {"b", "c"}
    for child in following:
        assert (chain.settings.landing / "accepted" / f"{child['id']}.json").stat().st_mtime_ns == 0
    assert (chain.settings.landing / KNOCK).exists()


def test_what_somebody_rewrote_later_stays_unless_it_is_forced(page: Page, chain: Chain) -> None:
    first = done(chain, chain.ask("a", "2025-01-01", "2025-01-02", cascade=False))
    chain.deliver("2025-01-01", 100)
    later = done(chain, chain.ask("a", "2025-01-01", cascade=False))

    preview = page.get(f"/api/requests/{first.id}/undo")
    assert [each["partition"] for each in preview["back"]] == ["day=2025-01-02"]
    assert preview["later"] == [{"table": "a", "partition": "day=2025-01-01", "request": later.id}]
    forced = page.get(f"/api/requests/{first.id}/undo?force=true")
    assert [each["partition"] for each in forced["back"]] == ["day=2025-01-01", "day=2025-01-02"]

    kept = page.post(f"/api/requests/{first.id}/undo", {"force": False})["kept"]
    assert kept == [f"a: 2025-01-01 kept, {later.id} rewrote it later"]
    status, sentence = page.refusal("POST", f"/api/requests/{first.id}/undo", {"force": False})
    assert (status, sentence.partition(";")[0]) == (409, f"day=2025-01-01 was rewritten later, by {later.id}")
    assert page.post(f"/api/requests/{first.id}/undo", {"force": True})["kept"] == []


def test_a_request_under_way_cannot_be_undone(page: Page, chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01")
    told = (409, f"{record.id} is still under way; cancel it first, or wait")
    assert page.refusal("GET", f"/api/requests/{record.id}/undo") == told
    assert page.refusal("POST", f"/api/requests/{record.id}/undo", {"force": False}) == told


@pytest.mark.parametrize("body", [{"force": "yes"}, {"forced": True}, [], "x"])
def test_an_undo_takes_no_other_option(page: Page, chain: Chain, body: object) -> None:
    record = done(chain, chain.ask("a", "2025-01-01"))
    assert page.refusal("POST", f"/api/requests/{record.id}/undo", body)[0] == 400


def test_a_broken_table_cannot_be_undone_now(page: Page, chain: Chain) -> None:
    record = done(chain, chain.ask("a", "2025-01-01"))
    (chain.settings.tables / "a" / "query.sql").write_text("select")
    assert page.refusal("GET", f"/api/requests/{record.id}/undo")[0] == 409
    assert page.refusal("POST", f"/api/requests/{record.id}/undo", {"force": False})[0] == 409
