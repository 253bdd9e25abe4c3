"""Inputs: the rows that a query reads of other tables are of one moment, from known files, with their types."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import OperatorError, QueryError, TableError
from reloads.planning.staleness import TableState
from reloads.rewriting.context import Locations, Provenance
from reloads.rewriting.engine import Engine, Share, connect
from reloads.rewriting.inputs import create_inputs, set_parameters
from reloads.rewriting.linked_inputs import LinkedInput, link_inputs
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, load_table
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.expiry import expire
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.state import Head
from tests.support.chain import NOW, Chain, changed

FIRST = date(2025, 1, 1)
WEEK = Days.between(date(2025, 1, 8), date(2025, 1, 14))
CORRECTED = 1000
DAYS_OF_D = Days.between(date(2025, 1, 1), date(2025, 1, 3))
Rows = list[tuple[Any, ...]]


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """Two weeks of ``a``."""
    return load(chain, "a", last="2025-01-14")


def load(chain: Chain, *tables: str, first: str = "2025-01-01", last: str = "2025-01-03") -> Chain:
    for table in tables:
        chain.ask(table, first, last, cascade=False)
        chain.work_off(table)
    return chain


def correct(chain: Chain, table: str = "a", first: str = "2025-01-01", last: str = "2025-01-14") -> None:
    """Replace each partition of these days by one with other values."""
    for day in Days.parse([f"{first}..{last}"]):
        chain.deliver(str(day), CORRECTED)
    load(chain, table, first=first, last=last)


def definition_of(chain: Chain, name: str) -> Table:
    return load_table(chain.settings.tables, name)


def folder_at(chain: Chain, name: str) -> TableFolder:
    return folder_of(chain.settings.warehouse, definition_of(chain, name))


def head_of(chain: Chain, name: str) -> Head:
    return state_of(folder_at(chain, name)).read_head()


def take(chain: Chain, downstream: str, days: Days, folder: Path) -> dict[str, LinkedInput]:
    """Link what these days of the downstream table need."""
    table, settings = definition_of(chain, downstream), chain.settings
    place = Locations(settings.warehouse, settings.source, Catalog.load(settings.tables).all_inputs(table))
    with duckdb.connect() as db:
        return link_inputs(db, table, days, place=place, folder=folder, provenance=Provenance("run", NOW))


def days_of(linked_input: LinkedInput) -> list[date]:
    """The days of the files, in which each is once."""
    return sorted(date.fromisoformat(file.parent.name.removeprefix("day=")) for file in linked_input.files)


@contextmanager
def engine_with(chain: Chain, downstream: str, linked_inputs: Mapping[str, LinkedInput]) -> Iterator[Engine]:
    """A database that knows the inputs of the downstream table, as they were linked."""
    table, settings = definition_of(chain, downstream), chain.settings
    share = Share(threads=2, memory_mb=256)
    with connect(table, raw=RawFiles.look(settings), folder=settings.home, share=share) as engine:
        inputs = Catalog.load(settings.tables).all_inputs(table)
        create_inputs(engine, linked_inputs, warehouse=settings.warehouse, inputs=inputs)
        yield engine


def query(chain: Chain, downstream: str, days: Days, folder: Path, sql: str) -> Rows:
    with engine_with(chain, downstream, take(chain, downstream, days, folder)) as engine:
        return engine.db.execute(sql).fetchall()


def published(chain: Chain, table: str) -> Rows:
    files = str(chain.settings.warehouse / table / "*" / "data.parquet")
    with duckdb.connect() as db:
        return db.execute("from read_parquet($1, hive_partitioning = true) order by all", [files]).fetchall()


# which files


def test_the_published_versions_are_linked(loaded: Chain, tmp_path: Path) -> None:
    linked_input = take(loaded, "b", WEEK, tmp_path / "stage")["a"]
    folder = folder_at(loaded, "a")
    inodes = {file.stat().st_ino for file in linked_input.files}
    assert inodes == {folder.partition(day).stat().st_ino for day in WEEK}
    assert days_of(linked_input) == list(WEEK)
    assert linked_input.head == head_of(loaded, "a")


def test_where_no_link_can_be_made_a_copy_is_as_good(
    loaded: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", source, None, target)

    folder = folder_at(loaded, "a")
    monkeypatch.setattr(os, "link", no_links)
    linked_input = take(loaded, "b", WEEK, tmp_path / "stage")["a"]
    contents = {file.parent.name: file.read_bytes() for file in linked_input.files}
    assert contents == {f"day={day}": folder.partition(day).read_bytes() for day in WEEK}
    assert {file.stat().st_nlink for file in linked_input.files} == {1}
    assert linked_input.point == head_of(loaded, "a").point


@given(n=st.integers(0, 13), length=st.integers(1, 5), window=st.integers(1, 6))
def test_a_window_links_the_days_of_the_downstream_table_and_those_before(
    linked: Callable[[Days, int], list[date]], n: int, length: int, window: int
) -> None:
    first = FIRST + timedelta(days=n)
    last = first + timedelta(days=length - 1)
    needed = Days.between(first - timedelta(days=window - 1), last)
    published_days = Days.between(FIRST, FIRST + timedelta(days=13))
    assert linked(Days.between(first, last), window) == list(needed & published_days)


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Days, int], list[date]]:
    """The days of ``a``, which has the first 14 of January, that days of a table link which reads it by a window."""
    chain = load(Chain.at(tmp_path_factory.mktemp("linked")), "a", last="2025-01-14")

    def days_linked(days: Days, window: int) -> list[date]:
        chain.define("downstream", "select day, amount from a", f'reads = {{ a = "{window} days" }}')
        return days_of(take(chain, "downstream", days, tmp_path_factory.mktemp("stage"))["a"])

    return days_linked


def test_only_published_days_are_linked_and_gaps_are_not(loaded: Chain, tmp_path: Path) -> None:
    gap = Days.parse(["2025-01-02", "2025-01-09", "2025-01-20"])
    linked_input = take(loaded, "b", gap, tmp_path / "stage")["a"]
    assert days_of(linked_input) == [date(2025, 1, 2), date(2025, 1, 9)]


def test_a_value_of_a_key_that_lost_its_rows_is_not_linked(chain: Chain, tmp_path: Path) -> None:
    shops = "select day, amount, shop from raw cross join (values ('n'), ('s')) as shops(shop)"
    chain.define("shops", shops, 'keys = ["shop"]')
    load(chain, "shops")
    chain.define("shops", f"{shops} where not (shop = 's' and day = '2025-01-02')", 'keys = ["shop"]')
    load(chain, "shops")
    chain.define("downstream", "select day, shop, amount from shops")
    days = Days.between(FIRST, date(2025, 1, 3))
    rows = query(chain, "downstream", days, tmp_path / "stage", "select day(day), shop from shops order by all")
    assert rows == [(1, "n"), (1, "s"), (2, "n"), (3, "n"), (3, "s")]


def test_a_disk_that_takes_no_links_is_the_operators_to_mend(loaded: Chain, tmp_path: Path) -> None:
    (tmp_path / "stage").touch()
    with pytest.raises(OperatorError, match=r"data\.parquet cannot be written \(.*\); make room or grant access"):
        take(loaded, "b", WEEK, tmp_path / "stage")


# as of one commit


@contextmanager
def at_the_first_link(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have ``act`` called as soon as the first link is made."""
    link, has_acted = os.link, False

    def link_and_act(source: Path, target: Path) -> None:
        nonlocal has_acted
        link(source, target)
        if not has_acted:
            has_acted = True
            act()

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link_and_act)
        yield
    assert has_acted


def test_what_is_published_while_versions_are_linked_waits_for_nobody_and_is_not_read(
    loaded: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = head_of(loaded, "a")
    with at_the_first_link(lambda: correct(loaded), monkeypatch):
        linked_inputs = take(loaded, "b", WEEK, tmp_path / "stage")
    with engine_with(loaded, "b", linked_inputs) as engine:
        old = engine.db.execute("select amount from a order by day").fetchall()
    assert old == [(day.day,) for day in WEEK]
    assert linked_inputs["a"].head == before != head_of(loaded, "a")
    rows = query(loaded, "b", WEEK, tmp_path / "again", "select distinct amount from a")
    assert rows == [(CORRECTED,)]


def test_where_versions_expire_while_they_are_linked_all_are_of_a_later_commit(
    loaded: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def correct_and_expire() -> None:
        correct(loaded)
        assert expire(folder_at(loaded, "a"), now=NOW + timedelta(hours=1), days=0, followed=[]) == 14

    with at_the_first_link(correct_and_expire, monkeypatch):
        linked_inputs = take(loaded, "b", WEEK, tmp_path / "stage")
    with engine_with(loaded, "b", linked_inputs) as engine:
        rows = engine.db.execute("select distinct amount, count(*) from a group by all").fetchall()
    assert rows == [(CORRECTED, len(WEEK))], "not one of them is the old one that had been linked"
    assert linked_inputs["a"].point == head_of(loaded, "a").point


def test_what_is_published_after_the_links_were_made_is_not_read(loaded: Chain, tmp_path: Path) -> None:
    linked_inputs = take(loaded, "b", WEEK, tmp_path / "stage")
    with engine_with(loaded, "b", linked_inputs) as engine:
        correct(loaded)
        assert engine.db.execute("select amount from a order by day").fetchall() == [(day.day,) for day in WEEK]
    assert not linked_inputs["a"].point.includes(head_of(loaded, "a").point)


def test_a_commit_says_how_far_each_input_was_read(loaded: Chain) -> None:
    load(loaded, "b", "c")
    load(loaded, "a", last="2025-01-02")
    load(loaded, "d")
    for day in DAYS_OF_D:
        entry = state_of(folder_at(loaded, "d")).read([day]).entries[folder_at(loaded, "d").day_name(day)]
        assert entry.making
        assert entry.making.inputs == {name: head_of(loaded, name).point for name in "bc"}
    [entry] = state_of(folder_at(loaded, "b")).read([FIRST]).entries.values()
    assert entry.making
    assert entry.making.inputs == {"a": Point(head_of(loaded, "a").point.log, 1)}, "as it was then"


def test_an_input_that_is_replaced_while_a_downstream_table_is_rewritten_makes_it_stale(
    loaded: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(loaded, "b", "c", first="2025-01-08", last="2025-01-14")
    loaded.ask("d", "2025-01-08", "2025-01-14", cascade=False)
    batches_of_d = loaded.plan("d")
    loaded.define("b", "select day, 3 * amount as twice from a")
    loaded.ask("b", "2025-01-08", "2025-01-14", cascade=False)
    batches_of_b = loaded.plan("b")
    link, is_replaced = os.link, False

    def replace_b_when_c_is_linked(source: Path, target: Path) -> None:
        nonlocal is_replaced
        link(source, target)
        if Path(source).parent.parent.name == "c" and not is_replaced:
            is_replaced = True
            loaded.settle("b", batches_of_b, loaded.rewrite("b", batches_of_b))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", replace_b_when_c_is_linked)
        outcomes = loaded.rewrite("d", batches_of_d)
    assert loaded.settle("d", batches_of_d, outcomes).failed == ()
    assert [row[0] for row in published(loaded, "d")] == [2 * day.day for day in WEEK], "as b was at first"
    record = loaded.ask("d", "2025-01-08", "2025-01-14", only="stale")
    loaded.work_off("d")
    assert [reason.why for reason in loaded.find_record(record.id)[1].planned] == ["b changed"]
    assert [row[0] for row in published(loaded, "d")] == [3 * day.day for day in WEEK]


def stale_days(chain: Chain, name: str) -> list[date]:
    table, two_weeks = definition_of(chain, name), Days.between(FIRST, date(2025, 1, 14))
    inputs = Catalog.load(chain.settings.tables).all_inputs(table)
    raw = RawFiles.look(chain.settings)
    state = TableState.at(table, two_weeks, warehouse=chain.settings.warehouse, inputs=inputs, raw=raw)
    return [day for day in two_weeks if state.why(day)]


@pytest.mark.parametrize("window", [1, 2, 7])
def test_exactly_the_days_that_read_a_change_are_stale(loaded: Chain, window: int) -> None:
    loaded.define("downstream", "select day, amount from a", f'reads = {{ a = "{window} days" }}')
    load(loaded, "downstream", last="2025-01-14")
    assert stale_days(loaded, "downstream") == []
    correct(loaded, first="2025-01-05", last="2025-01-05")
    fifth = date(2025, 1, 5)
    assert stale_days(loaded, "downstream") == [fifth + timedelta(days=number) for number in range(window)]


def test_what_was_read_of_an_input_with_keys_is_not_stale_until_a_value_changes(loaded: Chain) -> None:
    shops = "select day, shop, amount * {} as amount from a cross join (values ('it''s 5 %'), ('süd')) as shops(shop)"
    loaded.define("shops", shops.format("1"), 'keys = ["shop"]')
    load(loaded, "shops", last="2025-01-14")
    loaded.define("downstream", "select day, shop, amount from shops", 'reads = { shops = "2 days" }')
    load(loaded, "downstream", last="2025-01-14")
    assert stale_days(loaded, "downstream") == []
    loaded.define("shops", shops.format("if(shop = 'süd', 7, 1)"), 'keys = ["shop"]')
    load(loaded, "shops", first="2025-01-05", last="2025-01-05")
    assert stale_days(loaded, "downstream") == [date(2025, 1, 5), date(2025, 1, 6)]


# an input without partitions


def columns_and_row_count(chain: Chain, downstream: str, table: str, folder: Path) -> tuple[dict[str, str], int]:
    """An input as the query of the downstream table sees it."""
    with engine_with(chain, downstream, take(chain, downstream, WEEK, folder)) as engine:
        described = engine.db.execute(f"describe {table}").fetchall()
        rows = engine.db.execute(f"select count(*) from {table}").fetchall()
    return {row[0]: row[1] for row in described}, rows[0][0]


def test_an_input_that_was_never_loaded_is_empty_with_the_columns_of_its_query(chain: Chain, tmp_path: Path) -> None:
    assert columns_and_row_count(chain, "b", "a", tmp_path / "stage") == ({"day": "DATE", "amount": "INTEGER"}, 0)


def test_so_is_an_input_whose_own_inputs_were_never_loaded(chain: Chain, tmp_path: Path) -> None:
    assert columns_and_row_count(chain, "d", "b", tmp_path / "stage") == ({"day": "DATE", "twice": "INTEGER"}, 0)
    assert columns_and_row_count(chain, "d", "c", tmp_path / "again") == ({"day": "DATE", "week": "INTEGER"}, 0)


def test_an_input_without_partitions_of_these_days_has_the_columns_of_those_that_it_has(
    chain: Chain, tmp_path: Path
) -> None:
    load(chain, "a")
    chain.define("a", "select day, amount::text as units from raw")
    assert columns_and_row_count(chain, "b", "a", tmp_path / "stage") == ({"amount": "INTEGER", "day": "DATE"}, 0)


@pytest.mark.parametrize("is_loaded", [True, False], ids=["of files", "of the query"])
def test_an_input_with_keys_has_their_columns_too(chain: Chain, tmp_path: Path, *, is_loaded: bool) -> None:
    chain.define("shops", "select day, amount, 5 as shop, day as opened from raw", 'keys = ["shop", "opened"]')
    if is_loaded:
        load(chain, "shops")
    chain.define("downstream", "select day, shop from shops")
    columns, row_count = columns_and_row_count(chain, "downstream", "shops", tmp_path / "stage")
    assert columns == {"day": "DATE", "amount": "INTEGER", "shop": "INTEGER", "opened": "DATE"}
    assert row_count == 0


def test_an_input_with_parameters_has_the_types_of_their_defaults(chain: Chain, tmp_path: Path) -> None:
    factor = "[parameters.factor]\ntype = 'number'\ndefault = 2\n"
    chain.define("a", "select day, amount * getvariable('factor') as amount from raw", factor)
    assert columns_and_row_count(chain, "b", "a", tmp_path / "stage") == ({"day": "DATE", "amount": "DOUBLE"}, 0)


def test_a_table_whose_inputs_are_empty_publishes_empty_days(chain: Chain) -> None:
    chain.define("d", "select day, twice, week from b join c using (day)", 'on_empty = "publish"')
    load(chain, "d")
    files = [path.parent.name for path in chain.settings.warehouse.glob("d/*/data.parquet")]
    assert sorted(files) == ["day=2025-01-01", "day=2025-01-02", "day=2025-01-03"]
    assert published(chain, "d") == []
    assert head_of(chain, "d").columns == {"twice": "INTEGER", "week": "INTEGER"}


@pytest.mark.parametrize("is_loaded", [True, False], ids=["loaded", "never loaded"])
def test_an_empty_input_may_read_another_one_whatever_their_names(
    chain: Chain, tmp_path: Path, *, is_loaded: bool
) -> None:
    # b, which was never loaded, reads c; d reads both.
    chain.define("c", "select day, amount as week from raw")
    chain.define("b", "select day, 2 * week as twice from c")
    if is_loaded:
        load(chain, "c", first="2025-01-08", last="2025-01-14")
    rows = query(chain, "d", WEEK, tmp_path / "stage", "select (select count(*) from b), (select count(*) from c)")
    assert rows == [(0, 7 if is_loaded else 0)]


# keys


SHOPS = [
    "north",
    "100 % sure",
    "a b",
    "a%20b",
    "süd",
    "東京",
    "it's",
    'a "b"',
    "x/y",
    "k=v",
    "[1]*?",
    "5",
    "2025-01-01",
]


def test_keys_of_every_kind_of_text_come_back_unchanged(chain: Chain, tmp_path: Path) -> None:
    listed = ", ".join("('{}')".format(shop.replace("'", "''")) for shop in SHOPS)
    chain.define("shops", f"select day, amount, shop from raw, (values {listed}) as v(shop)", 'keys = ["shop"]')
    load(chain, "shops", first="2025-01-08", last="2025-01-09")
    chain.define("downstream", "select day, shop from shops")
    sql = "select distinct shop, typeof(shop) from shops"
    assert set(query(chain, "downstream", WEEK, tmp_path / "stage", sql)) == {(shop, "VARCHAR") for shop in SHOPS}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        pytest.param("1234::int", "INTEGER", 1234, id="integer"),
        pytest.param("9_007_199_254_740_993", "BIGINT", 9_007_199_254_740_993, id="a large integer"),
        pytest.param("date '2024-02-29'", "DATE", date(2024, 2, 29), id="date"),
        pytest.param("true", "BOOLEAN", True, id="boolean"),
        pytest.param("'007'", "VARCHAR", "007", id="a text of digits"),
        pytest.param("'2024-02-29'", "VARCHAR", "2024-02-29", id="a text like a date"),
        pytest.param("'a:b ü'", "VARCHAR", "a:b ü", id="text"),
    ],
)
def test_a_key_has_the_type_that_the_query_of_the_input_gave_it(
    chain: Chain, tmp_path: Path, value: str, kind: str, expected: object
) -> None:
    chain.define("shops", f"select day, amount, {value} as shop from raw", 'keys = ["shop"]')
    load(chain, "shops", first="2025-01-08", last="2025-01-08")
    chain.define("downstream", "select day, shop from shops")
    rows = query(chain, "downstream", WEEK, tmp_path / "stage", "select shop, typeof(shop), typeof(day) from shops")
    assert rows == [(expected, kind, "DATE")]


def test_a_column_named_like_a_folder_above_the_warehouse_is_the_column(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "amount=7" / "env=prod")
    sources = chain.settings.tables / "sources.sql"
    sources.write_text(sources.read_text().replace("columns =", "hive_partitioning = false, columns ="))
    load(chain, "a")
    rows = query(chain, "b", Days.of([FIRST]), tmp_path / "stage=1", "from a")
    assert sorted(rows) == [(1, FIRST)]


def test_keys_below_such_a_folder_are_read_from_the_names_of_the_files(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "env=prod")
    chain.define("shops", "select day, amount, 'a/b =% ü' as shop, 7 as number from raw", 'keys = ["shop", "number"]')
    load(chain, "shops", last="2025-01-01")
    chain.define("downstream", "select day, shop, number from shops")
    rows = query(
        chain, "downstream", Days.of([FIRST]), tmp_path / "stage=1", "select day, shop, number, amount from shops"
    )
    assert rows == [(FIRST, "a/b =% ü", 7, 1)]


# parameters


PARAMETERS = """
[parameters]
count = { type = "integer", default = 5 }
factor = { type = "number", default = 2 }
note = { type = "text", default = "7" }
is_on = { type = "boolean", default = true }
since = { type = "date", default = 2024-02-29 }
"""
NAMES = ("count", "factor", "is_on", "note", "since")


@pytest.mark.parametrize(
    ("given", "values"),
    [
        pytest.param({}, (5, 2.0, True, "7", date(2024, 2, 29)), id="defaults"),
        pytest.param(
            {"count": 3_000_000_000, "factor": 3}, (3_000_000_000, 3.0, True, "7", date(2024, 2, 29)), id="some"
        ),
        pytest.param(
            {"count": 2**63 - 1, "factor": 1e300, "note": "it's 5", "is_on": False, "since": "2025-01-01"},
            (2**63 - 1, 1e300, False, "it's 5", date(2025, 1, 1)),
            id="all, as JSON has them",
        ),
        pytest.param({"note": "", "since": date(2025, 1, 2)}, (5, 2.0, True, "", date(2025, 1, 2)), id="as Python"),
    ],
)
def test_a_parameter_has_its_type_whatever_its_value(
    chain: Chain, given: dict[str, object], values: tuple[object, ...]
) -> None:
    chain.define("a", "select day, amount from raw", PARAMETERS)
    with duckdb.connect() as db:
        set_parameters(db, definition_of(chain, "a"), given)
        variables = [f"getvariable('{name}')" for name in NAMES]
        types = [f"typeof({variable})" for variable in variables]
        assert db.execute(f"select {', '.join(variables)}").fetchall() == [values]
        assert db.execute(f"select {', '.join(types)}").fetchall() == [
            ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "DATE")
        ]


def test_an_empty_input_does_not_lend_its_parameters_to_a_downstream_table(chain: Chain) -> None:
    declared = "[parameters.factor]\ntype = '{}'\ndefault = {}\n"
    chain.define("a", "select day, amount * getvariable('factor') as amount from raw", declared.format("number", 2))
    query_of_b = "select day, getvariable('factor') as factor from raw where day not in (select day from a)"
    chain.define("b", query_of_b, declared.format("integer", 3))
    load(chain, "b")
    assert {row[0] for row in published(chain, "b")} == {3}
    assert head_of(chain, "b").columns == {"factor": "BIGINT"}


# inputs of inputs


def test_all_inputs_are_those_of_the_inputs_too(chain: Chain) -> None:
    names = {name: set(Catalog.load(chain.settings.tables).all_inputs(definition_of(chain, name))) for name in "abcd"}
    assert names == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"a", "b", "c"}}
    assert {
        name: table.name
        for name, table in Catalog.load(chain.settings.tables).all_inputs(definition_of(chain, "d")).items()
    } == {name: name for name in "abc"}


def test_tables_that_read_each_other_are_refused(chain: Chain) -> None:
    chain.define("a", "select day, twice as amount from b")
    with pytest.raises(TableError, match="a circle that no order can load"):
        Catalog.load(chain.settings.tables).all_inputs(definition_of(chain, "b"))


# an input that cannot be read


@pytest.mark.parametrize("content", [b"", b"PAR1PAR1", b"garbage" * 100], ids=["empty", "no rows", "garbage"])
def test_an_input_that_cannot_be_read_is_named_and_fails_the_days_that_need_it(loaded: Chain, content: bytes) -> None:
    load(loaded, "b")
    before = loaded.files()
    loaded.define("b", "select day, 3 * amount as twice from a")
    file = folder_at(loaded, "a").partition(date(2025, 1, 2))
    file.write_bytes(content)
    record = loaded.ask("b", "2025-01-01", "2025-01-03", cascade=False)
    settled = loaded.run("b")
    assert settled.published.texts() == ["2025-01-01", "2025-01-03"]
    assert loaded.files()["b 2025-01-02"] == before["b 2025-01-02"]
    [failure] = settled.failed
    assert failure.days.texts() == ["2025-01-02"]
    assert failure.error.startswith("the table 'a' cannot be read: ")
    assert failure.error.endswith("; mend or reload it")
    assert "\n" not in failure.error
    assert file.parent.name in failure.error, "which of its partitions"
    assert loaded.find_record(record.id)[0] == "failed"


def test_after_the_input_was_reloaded_the_downstream_table_can_be(loaded: Chain) -> None:
    load(loaded, "b")
    before = loaded.files()
    folder_at(loaded, "a").partition(date(2025, 1, 2)).write_bytes(b"garbage")
    load(loaded, "a", "b")
    # Other tables follow the file that somebody put there.
    assert [name for name in changed(before, loaded.files()) if name[0] in "ab"] == ["a 2025-01-02"]
    assert loaded.queue.records("failed") == []


def test_rows_of_an_input_that_cannot_be_read_fail_the_days_that_need_them(loaded: Chain) -> None:
    # The footer is whole, so the damage shows only when the rows are read.
    load(loaded, "b")
    before = loaded.files()
    file = folder_at(loaded, "a").partition(date(2025, 1, 2))
    spoilt = bytearray(file.read_bytes())
    footer = len(spoilt) - 8 - int.from_bytes(spoilt[-8:-4], "little")
    spoilt[4:footer] = b"\xff" * (footer - 4)
    file.write_bytes(bytes(spoilt))
    loaded.define("b", "select day, 3 * amount as twice from a")
    loaded.ask("b", "2025-01-01", "2025-01-03", cascade=False)
    settled = loaded.run("b")
    assert settled.published.texts() == ["2025-01-01", "2025-01-03"]
    [failure] = settled.failed
    assert failure.days.texts() == ["2025-01-02"]
    assert "\n" not in failure.error
    assert loaded.files()["b 2025-01-02"] == before["b 2025-01-02"]


def test_an_input_whose_source_is_missing_is_tried_again(chain: Chain, tmp_path: Path) -> None:
    for file in chain.settings.source.glob("*.csv"):
        file.unlink()
    with pytest.raises(OperatorError, match=r"the table 'a' cannot be read: .*tables/sources\.sql: .*; mend or reload"):
        columns_and_row_count(chain, "b", "a", tmp_path / "stage")


def test_an_empty_input_whose_query_is_wrong_is_named(chain: Chain, tmp_path: Path) -> None:
    chain.define("a", "select day, amont as amount from raw")
    with pytest.raises(QueryError, match=r"the table 'a' cannot be read: .*amont.*; mend or reload it"):
        columns_and_row_count(chain, "b", "a", tmp_path / "stage")
