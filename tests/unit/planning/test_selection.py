"""Selection: which days of a request are rewritten, which are skipped and why, and which wait for an input."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.planning.parts import WrittenParameters
from reloads.planning.runnable_requests import runnable_records
from reloads.planning.selection import read_state, select_days, written_parameters
from reloads.requests.record import Mode, Record
from reloads.tables.catalog import Catalog
from reloads.tables.lineage import Lineage
from reloads.tables.raw_files import RawFiles
from tests.support.chain import NOW, Chain

FOUR_DAYS = ("2025-01-01", "2025-01-04")
LINEAGE = Lineage({"a": {}, "b": {"a": 1}, "c": {"a": 7}, "d": {"b": 1, "c": 1}})


# which days are rewritten


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
    _, current = chain.find_record(record.id)
    planned = {reason.why: reason.days.texts() for reason in current.planned}
    skipped = {reason.why: reason.days.texts() for reason in current.skipped}
    return planned, skipped


def test_a_request_for_all_days_plans_all_without_a_question(half: Chain) -> None:
    record = half.ask("b", *FOUR_DAYS)
    half.plan("b")
    assert reasons(half, record) == ({"it was asked for": ["2025-01-01..2025-01-04"]}, {})


def test_a_request_for_missing_days_plans_those(half: Chain) -> None:
    half.define("b", "select day, 2 * amount as twice from a", 'on_empty = "publish"')
    record = half.ask("b", *FOUR_DAYS, only="missing")
    half.work_off("b")
    planned, skipped = reasons(half, record)
    assert planned == {"it is missing": ["2025-01-03..2025-01-04"]}
    assert skipped == {"it is there": ["2025-01-01..2025-01-02"]}
    state, current = half.find_record(record.id)
    assert (state, current.published.texts()) == ("done", ["2025-01-03..2025-01-04"])


def test_a_request_for_stale_days_plans_those(half: Chain) -> None:
    record = half.ask("b", *FOUR_DAYS, only="stale")
    half.work_off("b")
    planned, skipped = reasons(half, record)
    assert planned == {"a changed": ["2025-01-01"]}
    assert skipped == {"it is up to date": ["2025-01-02"], "it was never loaded": ["2025-01-03..2025-01-04"]}
    state, current = half.find_record(record.id)
    assert (state, current.published.texts()) == ("done", ["2025-01-01"])


def test_a_request_that_needs_no_rewriting_is_done_when_it_is_planned(half: Chain) -> None:
    record = half.ask("b", "2025-01-02", only="stale")
    assert half.plan("b") == []
    state, current = half.find_record(record.id)
    assert (state, current.published, current.runs) == ("done", Days(), ())
    assert current.finished_at == NOW


def test_a_plan_made_twice_says_the_same(half: Chain) -> None:
    record = half.ask("b", *FOUR_DAYS, only="stale")
    assert half.plan("b") == half.plan("b")
    once = half.find_record(record.id)
    half.plan("b")
    assert half.find_record(record.id) == once


def test_a_day_that_became_fresh_between_two_plans_is_decided_anew(half: Chain) -> None:
    record = half.ask("b", "2025-01-01", only="stale")
    assert len(half.plan("b")) == 1
    second_record = half.ask("b", "2025-01-01")
    half.run("b")
    assert half.find_record(record.id)[0] == half.find_record(second_record.id)[0] == "done"
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
def test_keys_are_selected_by_their_own_partitions(chain: Chain, only: str, shop: str, days: list[str]) -> None:
    shops = "select day, shop, amount from a cross join (values ('north'), ('south')) as shops(shop)"
    chain.define("shops", shops, 'keys = ["shop"]')
    chain.ask("a", *FOUR_DAYS, cascade=False)
    chain.ask("shops", "2025-01-01", "2025-01-02")
    chain.work_off("a", "shops")
    chain.deliver("2025-01-01", 1000)
    chain.ask("a", "2025-01-01", cascade=False)
    chain.ask("shops", "2025-01-01", keys={"shop": ["south"]})
    chain.work_off("a", "shops")
    record = chain.ask("shops", *FOUR_DAYS, only=only, keys={"shop": [shop]})
    chain.work_off("shops")
    assert chain.find_record(record.id)[1].published.texts() == days


@pytest.mark.parametrize("only", ["missing", "stale"])
@pytest.mark.parametrize(
    ("toml", "fields"),
    [
        pytest.param("", {}, id="day"),
        pytest.param('keys = ["shop"]', {}, id="all keys of a day"),
        pytest.param('keys = ["shop"]', {"keys": {"shop": ["north"]}}, id="one key"),
    ],
)
def test_what_was_loaded_and_has_no_file_is_rewritten_as_missing_and_as_stale(
    chain: Chain, only: str, toml: str, fields: dict[str, Any]
) -> None:
    chain.define("shops", "select day, 'north' as shop, amount from a", toml)
    chain.ask("a", *FOUR_DAYS, cascade=False)
    chain.ask("shops", *FOUR_DAYS)
    chain.work_off("a", "shops")
    shutil.rmtree(chain.settings.warehouse / "shops" / "day=2025-01-02")
    record = chain.ask("shops", *FOUR_DAYS, only=only, **fields)
    chain.work_off("shops")
    assert reasons(chain, record)[0] == {"a file of it is gone": ["2025-01-02"]}
    assert len(list(chain.settings.warehouse.glob("shops/**/data.parquet"))) == 4


def test_a_day_that_only_follows_keeps_the_parameters_it_was_written_with(chain: Chain) -> None:
    declared = "[parameters.factor]\ntype = 'integer'\ndefault = 1\n"
    chain.define("b", "select day, amount * getvariable('factor') as twice from a", declared)
    chain.ask("a", *FOUR_DAYS, cascade=False)
    chain.ask("b", "2025-01-01", "2025-01-02", parameters={"factor": 5})
    chain.work_off("a", "b")
    chain.deliver("2025-01-02", 1000)
    chain.deliver("2025-01-03", 1000)
    chain.ask("a", "2025-01-02", "2025-01-03")
    chain.run("a")
    catalog = Catalog.load(chain.settings.tables)
    records = chain.queue.accepted("b")
    state = read_state(chain.settings, catalog, catalog["b"], records, raw=RawFiles.look(chain.settings))
    selections = select_days(records, state, now=datetime.now(UTC))
    assert written_parameters(selections, state) == {
        date(2025, 1, 2): WrittenParameters({"factor": 5}),
        date(2025, 1, 3): WrittenParameters(),
    }
    assert {batch["label"]: batch["parameters"] for batch in chain.plan("b")} == {
        "2025-01-02": {"factor": 5},
        "2025-01-03": {},
    }


def test_a_request_for_all_days_that_keeps_parameters_plans_each_day_with_those_it_was_written_with(
    chain: Chain,
) -> None:
    declared = "[parameters.factor]\ntype = 'integer'\ndefault = 1\n"
    chain.define("b", "select day, amount * getvariable('factor') as twice from a", declared)
    chain.ask("a", *FOUR_DAYS, cascade=False)
    chain.ask("b", "2025-01-01", parameters={"factor": 5})
    chain.ask("b", "2025-01-02")
    chain.work_off("a", "b")
    chain.ask("b", "2025-01-01", "2025-01-02", keep_parameters=True)
    assert {batch["label"]: batch["parameters"] for batch in chain.plan("b")} == {
        "2025-01-01": {"factor": 5},
        "2025-01-02": {},
    }


# which days wait for an input


def record(table: str, *days: str, mode: Mode = "cascade", published: str = "", **fields: Any) -> Record:
    return Record(
        id=f"{table}-{mode}-{'-'.join(days)}",
        mode=mode,
        table=table,
        days=Days.parse(days),
        accepted_at=NOW,
        published=Days.parse([published] if published else []),
        **fields,
    )


def runnable_days(*records: Record, table: str) -> list[str]:
    """The days of ``table`` that can be rewritten now."""
    table_records = [record for record in records if record.table == table]
    runnable = runnable_records(table_records, everything=records, lineage=LINEAGE)
    return Days.union(record.outstanding for record in runnable).texts()


def test_a_request_alone_does_not_wait() -> None:
    assert runnable_days(record("d", "2025-01-10"), table="d") == ["2025-01-10"]


@pytest.mark.parametrize("input_", ["a", "b", "c"])
def test_a_day_waits_for_every_input_near_or_far(input_: str) -> None:
    assert runnable_days(record("d", "2025-01-10"), record(input_, "2025-01-10", mode="landing"), table="d") == []


def test_only_the_days_that_depend_on_an_outstanding_day_wait() -> None:
    asked = record("c", "2025-01-01..2025-01-31")
    assert runnable_days(asked, record("a", "2025-01-10"), table="c") == [
        "2025-01-01..2025-01-09",
        "2025-01-17..2025-01-31",
    ]


def test_published_days_of_an_input_are_not_waited_for() -> None:
    half_done = record("a", "2025-01-10..2025-01-11", published="2025-01-10")
    assert runnable_days(record("b", "2025-01-10..2025-01-11"), half_done, table="b") == ["2025-01-10"]


def test_no_request_waits_for_a_downstream_table() -> None:
    assert runnable_days(record("a", "2025-01-10"), record("d", "2025-01-10"), table="a") == ["2025-01-10"]


def test_no_request_waits_for_another_one_of_the_same_table() -> None:
    assert runnable_days(record("b", "2025-01-10"), record("b", "2025-01-10..2025-01-11"), table="b") == [
        "2025-01-10..2025-01-11"
    ]


@pytest.mark.parametrize(
    ("mode", "waits"),
    [
        ("cascade", True),
        ("daily", True),
        ("landing", False),
        ("manual", False),
        ("event", False),
        ("command", False),
        ("schema", False),
    ],
)
def test_a_request_waits_unless_somebody_asked_for_the_table_alone(mode: Mode, waits: bool) -> None:  # noqa: FBT001
    days = runnable_days(record("b", "2025-01-10", mode=mode), record("a", "2025-01-10", mode="landing"), table="b")
    assert days == ([] if waits else ["2025-01-10"])


@pytest.mark.parametrize(("file", "waits"), [("both.json", True), ("second.json", False), (None, False)])
def test_tables_asked_for_in_one_file_go_one_after_the_other(file: str | None, waits: bool) -> None:  # noqa: FBT001
    asked = record("b", "2025-01-10", mode="landing", file="both.json")
    input_request = record("a", "2025-01-10", mode="landing", file=file)
    assert runnable_days(asked, input_request, table="b") == ([] if waits else ["2025-01-10"])


@pytest.mark.parametrize(("drop", "waits"), [("first", True), ("second", False)])
def test_two_files_of_one_name_do_not_go_one_after_the_other(drop: str, waits: bool) -> None:  # noqa: FBT001
    asked = record("b", "2025-01-10", mode="landing", file="both.json", drop="first")
    input_request = record("a", "2025-01-10", mode="landing", file="both.json", drop=drop)
    assert runnable_days(asked, input_request, table="b") == ([] if waits else ["2025-01-10"])


SIZE_1, SIZE_2, NORTH, SOUTH = {"size": 1}, {"size": 2}, {"shop": ("north",)}, {"shop": ("south",)}


@pytest.mark.parametrize(
    ("early", "late", "waits"),
    [
        pytest.param({"parameters": SIZE_1}, {"parameters": SIZE_2}, True, id="other parameters"),
        pytest.param({"parameters": SIZE_1}, {"parameters": SIZE_1}, False, id="the same parameters"),
        pytest.param(
            {"parameters": SIZE_1, "keys": NORTH}, {"parameters": SIZE_2, "keys": SOUTH}, False, id="other keys"
        ),
        pytest.param({"parameters": SIZE_1}, {"keep_parameters": True}, False, id="whoever keeps parameters"),
        pytest.param({"keep_parameters": True}, {"parameters": SIZE_2}, False, id="after one that keeps parameters"),
    ],
)
def test_a_request_waits_behind_an_earlier_one_that_waits_and_sets_other_parameters(
    early: dict[str, Any],
    late: dict[str, Any],
    waits: bool,  # noqa: FBT001 - of a table
) -> None:
    input_request = record("a", "2025-01-10", mode="landing", drop="x")
    first = record("b", "2025-01-10", mode="landing", drop="x", **early)
    second = record("b", "2025-01-09..2025-01-10", mode="landing", drop="y", **late)
    days = runnable_days(input_request, first, second, table="b")
    assert days == (["2025-01-09"] if waits else ["2025-01-09..2025-01-10"])


def test_a_request_of_which_some_days_wait_is_the_request_with_fewer_days() -> None:
    asked = record("b", "2025-01-09..2025-01-11", published="2025-01-09")
    [runnable] = runnable_records([asked], everything=[asked, record("a", "2025-01-10")], lineage=LINEAGE)
    assert runnable == asked.model_copy(update={"days": Days.parse(["2025-01-09", "2025-01-11"])})


tables = st.sampled_from("abcd")
modes: st.SearchStrategy[Mode] = st.sampled_from(["daily", "landing", "cascade", "manual"])
some_days = st.frozensets(st.integers(5, 17).map(lambda n: date(2025, 1, n)), min_size=1, max_size=6)
files = st.sampled_from(["x.json", None])
requests = st.builds(
    lambda table, mode, days, file, size: record(
        table, *map(str, days), mode=mode, file=file, parameters={"size": size} if size else {}
    ),
    tables,
    modes,
    some_days,
    files,
    st.sampled_from([0, 0, 1]),
)


@given(st.lists(requests, min_size=1, max_size=8))
def test_whatever_is_outstanding_something_can_be_done(drawn_records: list[Record]) -> None:
    records = [record.model_copy(update={"id": str(n)}) for n, record in enumerate(drawn_records)]
    is_ordered = any(record.parameters for record in records)
    rounds = 0
    while any(record.outstanding for record in records):
        runnable = runnable_records(records, everything=records, lineage=LINEAGE)
        assert runnable, "all wait for one another"
        days_done = {record.id: record.outstanding for record in runnable}
        for position, record in enumerate(records):
            published = record.published | days_done.get(record.id, Days())
            records[position] = record.model_copy(update={"published": published})
        rounds += 1
    assert is_ordered or rounds <= 3, "one round for each level at most"


@pytest.mark.parametrize("modes", [("manual", "daily", "cascade"), ("cascade", "daily", "manual")])
def test_who_waits_does_not_depend_on_who_was_looked_at_before(modes: tuple[Mode, ...]) -> None:
    days = Days.parse(["2025-01-01"])
    asked = [Record(id=mode, mode=mode, table="b", days=days, accepted_at=NOW) for mode in modes]
    awaited = Record(id="input", mode="manual", table="a", days=days, accepted_at=NOW)
    runnable = runnable_records(asked, everything=[awaited, *asked], lineage=LINEAGE)
    assert [each.id for each in runnable] == ["manual"]
