"""Triage: which days of a request are rewritten, which are skipped, and why; kept in the record."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from reloads.days import Days
from reloads.planning.selection import select_days
from reloads.requests.record import Record
from reloads.tables.definition import load_table
from tests.support.chain import NOW, Chain

ALL = ("2025-01-01", "2025-01-04")


@pytest.fixture
def half(chain: Chain) -> Chain:
    """Of the first four days two are loaded, and the first of them is stale since."""
    chain.ask("a", "2025-01-01", "2025-01-02", cascade=False)
    chain.ask("b", "2025-01-01", "2025-01-02", cascade=False)
    chain.work_off("a", "b")
    chain.deliver("2025-01-01", 1000)
    chain.ask("a", "2025-01-01", cascade=False)
    chain.work_off("a")
    return chain


def reasons(chain: Chain, record: Record) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    _, now = chain.the(record.id)
    planned = {one.why: one.days.texts() for one in now.planned}
    return planned, {one.why: one.days.texts() for one in now.skipped}


def test_who_asks_for_all_gets_all_without_a_question(half: Chain) -> None:
    record = half.ask("b", *ALL)
    half.plan("b")
    assert reasons(half, record) == ({"it was asked for": ["2025-01-01..2025-01-04"]}, {})


def test_who_asks_for_the_missing_days_gets_those(half: Chain) -> None:
    record = half.ask("b", *ALL, only="missing")
    half.work_off("b")
    planned, skipped = reasons(half, record)
    assert planned == {"it is missing": ["2025-01-03..2025-01-04"]}
    assert skipped == {"it is there": ["2025-01-01..2025-01-02"]}
    state, done = half.the(record.id)
    assert (state, done.published.texts()) == ("done", ["2025-01-03..2025-01-04"])


def test_who_asks_for_the_stale_days_gets_those(half: Chain) -> None:
    record = half.ask("b", *ALL, only="stale")
    half.work_off("b")
    planned, skipped = reasons(half, record)
    assert planned == {"a changed": ["2025-01-01"]}
    assert skipped == {"it is up to date": ["2025-01-02"], "it was never loaded": ["2025-01-03..2025-01-04"]}
    state, done = half.the(record.id)
    assert (state, done.published.texts()) == ("done", ["2025-01-01"])


def test_a_request_of_which_nothing_is_needed_is_done_when_it_is_planned(half: Chain) -> None:
    record = half.ask("b", "2025-01-02", only="stale")
    assert half.plan("b") == []
    state, done = half.the(record.id)
    assert (state, done.published, done.runs) == ("done", Days(), ())
    assert done.finished_at == NOW


def test_a_plan_made_twice_says_the_same(half: Chain) -> None:
    record = half.ask("b", *ALL, only="stale")
    assert half.plan("b") == half.plan("b")
    once = half.the(record.id)
    half.plan("b")
    assert half.the(record.id) == once


def test_a_day_that_changed_its_need_between_two_plans_is_judged_anew(half: Chain) -> None:
    record = half.ask("b", "2025-01-01", only="stale")
    assert len(half.plan("b")) == 1
    other = half.ask("b", "2025-01-01")
    half.run("b")
    assert {half.the(one.id)[0] for one in (record, other)} == {"done"}
    late = half.ask("b", "2025-01-01", only="stale")
    assert half.plan("b") == []
    assert reasons(half, late) == ({}, {"it is up to date": ["2025-01-01"]})


@pytest.mark.parametrize(
    ("only", "shop", "days"),
    [
        ("missing", "north", ["2025-01-03..2025-01-04"]),
        ("missing", "south", ["2025-01-03..2025-01-04"]),
        ("stale", "north", ["2025-01-01"]),
        ("stale", "south", []),
    ],
)
def test_keys_are_judged_by_their_own_partitions(chain: Chain, only: str, shop: str, days: list[str]) -> None:
    shops = "select day, shop, amount from a cross join (values ('north'), ('south')) as shops(shop)"
    chain.define("shops", shops, 'keys = ["shop"]')
    chain.ask("a", *ALL, cascade=False)
    chain.ask("shops", "2025-01-01", "2025-01-02")
    chain.work_off("a", "shops")
    chain.deliver("2025-01-01", 1000)
    chain.ask("a", "2025-01-01", cascade=False)
    chain.ask("shops", "2025-01-01", keys={"shop": ["south"]})
    chain.work_off("a", "shops")
    record = chain.ask("shops", *ALL, only=only, keys={"shop": [shop]})
    chain.work_off("shops")
    assert chain.the(record.id)[1].published.texts() == days


def test_a_day_that_only_follows_keeps_the_parameters_it_was_written_with(chain: Chain) -> None:
    declared = "[parameters.factor]\ntype = 'integer'\ndefault = 1\n"
    chain.define("b", "select day, amount * getvariable('factor') as twice from a", declared)
    chain.ask("a", *ALL, cascade=False)
    chain.ask("b", "2025-01-01", "2025-01-02", parameters={"factor": 5})
    chain.work_off("a", "b")
    chain.deliver("2025-01-02", 1000)
    chain.deliver("2025-01-03", 1000)
    chain.ask("a", "2025-01-02", "2025-01-03")
    chain.run("a")
    table = load_table(chain.settings.tables, "b")
    _, own = select_days(chain.settings, table, chain.queue.outstanding("b"), now=datetime.now(UTC))
    assert {day: dict(kept) for day, kept in own.items()} == {date(2025, 1, 2): {"factor": 5}, date(2025, 1, 3): {}}
    assert {batch["label"]: batch["parameters"] for batch in chain.plan("b")} == {
        "2025-01-02": {"factor": 5},
        "2025-01-03": {},
    }
