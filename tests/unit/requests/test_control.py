"""Control: cancel gives up what is outstanding, retry asks for what is missing, a knock has it announced at once."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pyarrow.parquet
import pytest

from reloads.errors import RequestError
from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.control import cancel_request, find_records, retry_request
from reloads.requests.intake import collect_requests
from reloads.requests.judgement import read_requests
from reloads.requests.neglect import KNOCK, attend, find_neglected, knock
from reloads.requests.record import Record
from reloads.tables.catalog import Catalog
from tests.support.chain import NOW, Chain

TWO_BAD = "select day, if(amount in (2, 4), error('bad row'), amount) as amount from raw"


def accept_files(chain: Chain) -> list[Record]:
    """Accept what lies in the drop folder."""
    files = collect_requests(
        chain.settings, Catalog.load(chain.settings.tables), clock=lambda: NOW, leave_out=leave_out_waiting
    ).files
    assert files.rejected == {}
    return files.accepted


def drop(chain: Chain, file: str, table: str | list[str], first: str, last: str, **options: object) -> list[Record]:
    fields = {"table": table, "start_date": first, "end_date": last, **options}
    (chain.settings.landing / file).write_text(json.dumps(fields))
    return accept_files(chain)


def test_two_drops_of_one_file_name_do_not_depend_on_each_other(chain: Chain) -> None:
    [a] = drop(chain, "reload.json", "a", "2025-01-01", "2025-01-01", cascade=False)
    [b] = drop(chain, "reload.json", "b", "2025-01-01", "2025-01-01")
    assert (a.file, a.drop is None) == (b.file, False)
    assert [batch["requests"] for batch in chain.plan("b")] == [{b.id: ["2025-01-01"]}]


# finding


def test_a_request_is_found_by_its_id_and_by_the_name_of_its_file(chain: Chain) -> None:
    [a, b] = drop(chain, "both.json", ["a", "b"], "2025-01-01", "2025-01-02")
    assert find_records(chain.queue, a.id) == [a]
    assert [record.id for record in find_records(chain.queue, "both.json")] == sorted([a.id, b.id])
    with pytest.raises(RequestError, match="'c' is not a request; reloads status lists them"):
        find_records(chain.queue, "c")


# cancel


def test_a_cancelled_request_gives_up_what_is_left_and_keeps_what_is_done(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", "partitions_per_run = 2")
    record = chain.ask("a", "2025-01-01", "2025-01-05", cascade=False)
    chain.run("a")
    [cancelled] = cancel_request(chain.queue, record.id, now=NOW)
    assert (str(cancelled.published), str(cancelled.cancelled)) == ("2025-01-04..2025-01-05", "2025-01-01..2025-01-03")
    assert chain.find_record(record.id) == ("cancelled", cancelled)
    assert chain.work_off("a") == []
    assert list(chain.files()) == ["a 2025-01-04", "a 2025-01-05"]


def test_a_file_is_cancelled_with_all_its_tables_that_are_still_open(chain: Chain) -> None:
    a, b = drop(chain, "both.json", ["a", "b"], "2025-01-01", "2025-01-02", cascade=False)
    chain.run("a")
    assert [record.table for record in cancel_request(chain.queue, "both.json", now=NOW)] == ["b"]
    assert (chain.find_record(a.id)[0], chain.find_record(b.id)[0]) == ("done", "cancelled")


def test_what_waits_for_a_cancelled_request_waits_no_longer(chain: Chain) -> None:
    # Its input stays empty.
    chain.define("b", "select day, 2 * amount as twice from a", 'on_empty = "publish"')
    a, b = drop(chain, "both.json", ["a", "b"], "2025-01-01", "2025-01-02", cascade=False)
    assert chain.plan("b") == []
    cancel_request(chain.queue, a.id, now=NOW)
    chain.run("b")
    assert chain.find_record(b.id)[0] == "done"


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_what_ended_cannot_be_cancelled_and_says_how_it_ended(chain: Chain, state: str) -> None:
    if state == "failed":
        chain.define("a", TWO_BAD)
    record = chain.ask("a", "2025-01-01", "2025-01-02", cascade=False)
    if state == "cancelled":
        cancel_request(chain.queue, record.id, now=NOW)
    else:
        chain.run("a")
    with pytest.raises(RequestError, match=rf"'{record.id}' has ended already \({state}\); undo puts back"):
        cancel_request(chain.queue, record.id, now=NOW)


# retry


def test_a_failed_request_is_asked_again_for_the_days_that_failed(chain: Chain) -> None:
    chain.define("a", TWO_BAD)
    failed = chain.ask("a", "2025-01-01", "2025-01-05", reason="late rows", cascade=False)
    chain.run("a")
    before = chain.files()
    chain.define("a", "select day, amount from raw")

    [name] = retry_request(chain.queue, failed.id)
    assert name == f"retry-{failed.id}.json"
    [repeated] = accept_files(chain)
    assert (repeated.days.texts(), repeated.reason, repeated.cascade) == (
        ["2025-01-02", "2025-01-04"],
        "late rows",
        False,
    )
    chain.run("a")
    assert chain.find_record(repeated.id)[0] == "done"
    assert {name: file for name, file in chain.files().items() if name in before} == before


def test_a_cancelled_request_is_asked_again_for_the_days_given_up(chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01", "2025-01-05")
    cancel_request(chain.queue, record.id, now=NOW)
    retry_request(chain.queue, record.id)
    [repeated] = accept_files(chain)
    assert repeated.days == record.days


def test_what_was_asked_for_in_particular_is_asked_for_again(chain: Chain) -> None:
    query = "select day, shop, getvariable('factor') as factor, amount from raw, (values ('n'), ('s')) as s(shop)"
    chain.define("a", query, "keys = ['shop']\n[parameters.factor]\ntype = 'integer'\ndefault = 1\n")
    choice: dict[str, Any] = {"keys": {"shop": ["n"]}, "parameters": {"factor": 5}, "only": "missing", "cascade": False}
    record = chain.ask("a", "2025-01-01", **choice)
    cancel_request(chain.queue, record.id, now=NOW)
    retry_request(chain.queue, record.id)
    [repeated] = accept_files(chain)
    assert {name: json.loads(repeated.to_json())[name] for name in choice} == choice


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_day_of_a_wave_that_was_never_loaded_is_loaded_when_it_is_tried_again(chain: Chain, end: str) -> None:
    good = (chain.settings.tables / "b" / "query.sql").read_text()
    chain.define("b", "select day, if(true, error('bad row'), amount) as twice from a")
    chain.ask("a", "2025-01-01")
    chain.run("a")
    [follower] = chain.cascades("b")
    if end == "failed":
        chain.run("b")
    else:
        cancel_request(chain.queue, follower.id, now=NOW)
    assert chain.find_record(follower.id)[0] == end

    chain.define("b", good)
    retry_request(chain.queue, follower.id)
    accept_files(chain)
    chain.run("b")
    assert "b 2025-01-01" in chain.files()


@pytest.mark.parametrize("way", ["retry", "move back"])
def test_a_cascade_that_is_repeated_keeps_its_cause_its_parameters_and_its_length(chain: Chain, way: str) -> None:
    toml = "max_days_per_request = 2\n[parameters.factor]\ntype = 'integer'\ndefault = 1\n"
    query = "select day, {} * getvariable('factor') as amount from a"
    chain.define("b", query.format("amount"), toml)
    chain.ask("a", "2025-01-01", "2025-01-03", cascade=False)
    chain.ask("b", "2025-01-01", "2025-01-02", parameters={"factor": 7})
    chain.work_off("a", "b")
    chain.define("b", query.format("if(true, error('bad row'), amount)"), toml)
    for day in ("2025-01-01", "2025-01-02", "2025-01-03"):
        chain.deliver(day, 100)
    parent = chain.ask("a", "2025-01-01", "2025-01-03", reason="a correction")
    chain.work_off("a", "b")
    [failed] = chain.cascades("b")
    assert chain.find_record(failed.id)[0] == "failed"

    chain.define("b", query.format("amount"), toml)
    if way == "retry":
        retry_request(chain.queue, failed.id)
    else:
        name = f"{failed.id}.json"
        (chain.queue.folder("failed") / name).rename(chain.settings.landing / name)
    [repeated] = accept_files(chain)
    assert (repeated.days, repeated.cause, repeated.reason) == (failed.days, failed.cause, "a changed")
    assert repeated.cause is not None
    assert repeated.cause.requests == (parent.id,)
    chain.run("b")
    assert chain.find_record(repeated.id)[0] == "done"
    files = [chain.settings.warehouse / "b" / f"day=2025-01-0{day}" / "data.parquet" for day in (1, 2, 3)]
    assert [pyarrow.parquet.ParquetFile(file).read()["amount"].to_pylist() for file in files] == [[700], [700], [100]]


def test_a_request_for_too_many_days_is_refused_unless_it_was_accepted_before(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", "max_days_per_request = 4")
    record = chain.ask("a", "2025-01-01", "2025-01-05")
    cancel_request(chain.queue, record.id, now=NOW)
    retry_request(chain.queue, record.id)
    [repeated] = accept_files(chain)
    assert repeated.days == record.days
    fields = {"table": "a", "start_date": "2025-01-01", "end_date": "2025-01-05"}
    with pytest.raises(RequestError, match="5 days are more than the 4 that 'a' allows"):
        read_requests(json.dumps(fields).encode(), catalog=Catalog.load(chain.settings.tables), today=date(2025, 1, 31))


def test_what_is_repeated_again_and_again_does_not_grow(chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01")
    sizes: list[int] = []
    for _ in range(4):
        cancel_request(chain.queue, record.id, now=NOW)
        name = f"{record.id}.json"
        (chain.queue.folder("cancelled") / name).rename(chain.settings.landing / "again.json")
        [record] = accept_files(chain)
        sizes.append(len(record.to_json()))
    assert sizes[-1] - sizes[-2] <= len(" ")


def test_two_tries_of_one_request_are_two_files(chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01")
    cancel_request(chain.queue, record.id, now=NOW)
    names = [*retry_request(chain.queue, record.id), *retry_request(chain.queue, record.id)]
    assert len(set(names)) == 2
    assert {path.name for path in chain.settings.landing.glob("*.json")} == set(names)


def test_what_did_not_fail_is_not_tried_again(chain: Chain) -> None:
    record = chain.ask("a", "2025-01-01", cascade=False)
    sentence = "neither failed nor was cancelled; ask for its days with: reloads request"
    with pytest.raises(RequestError, match=sentence):
        retry_request(chain.queue, record.id)
    chain.run("a")
    with pytest.raises(RequestError, match=sentence):
        retry_request(chain.queue, record.id)
    assert list(chain.settings.landing.glob("*.json")) == []


# knock


def test_whoever_knocks_has_the_requests_announced_at_the_next_look(chain: Chain) -> None:
    record, attended = chain.ask("a", "2025-01-01"), chain.ask("b", "2025-01-01")
    attend(chain.queue, [record, attended])
    knock(chain.queue, [record])
    now = record.accepted_at + timedelta(seconds=1)
    assert [record.id for record in find_neglected(chain.queue, now=now, after=timedelta(days=9999))] == [record.id]
    assert (chain.settings.landing / KNOCK).exists()


def test_a_knock_is_not_a_request_file(chain: Chain) -> None:
    knock(chain.queue, [])
    assert accept_files(chain) == []
    assert (chain.settings.landing / KNOCK).exists()
