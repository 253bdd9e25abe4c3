"""Inputs: the rows that a query reads of other tables are of one moment, from known files, with their types."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import chain as chain_all
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import OperatorError, QueryError, TableError
from reloads.rewriting.engine import Engine, Share, connect
from reloads.rewriting.inputs import Snapshot, create_inputs, set_parameters, take_snapshots
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, load_table
from reloads.warehouse.fingerprint import digest, identities
from reloads.warehouse.ledger import read_ledger
from reloads.warehouse.partitions import folder_of
from tests.support.chain import Chain, changed

FIRST = date(2025, 1, 1)
WEEK = Days.between(date(2025, 1, 8), date(2025, 1, 14))
CORRECTED = 1000
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


def take(chain: Chain, downstream: str, days: Days, folder: Path) -> dict[str, Snapshot]:
    table = definition_of(chain, downstream)
    inputs = Catalog.load(chain.settings.tables).all_inputs(table)
    return take_snapshots(table, days, warehouse=chain.settings.warehouse, inputs=inputs, folder=folder)


@contextmanager
def engine_with(chain: Chain, downstream: str, snapshots: Mapping[str, Snapshot]) -> Iterator[Engine]:
    """A database that knows the inputs of the downstream table, as they were linked."""
    table, settings = definition_of(chain, downstream), chain.settings
    share = Share(threads=2, memory_mb=256)
    with connect(table, source=settings.source, spill=settings.home / "spill", share=share) as engine:
        inputs = Catalog.load(settings.tables).all_inputs(table)
        create_inputs(engine, snapshots, warehouse=settings.warehouse, inputs=inputs)
        yield engine


def query(chain: Chain, downstream: str, days: Days, folder: Path, sql: str) -> Rows:
    with engine_with(chain, downstream, take(chain, downstream, days, folder)) as engine:
        return engine.db.execute(sql).fetchall()


def published(chain: Chain, table: str) -> Rows:
    files = str(chain.settings.warehouse / table / "*" / "data.parquet")
    with duckdb.connect() as db:
        return db.execute("from read_parquet($1, hive_partitioning = true) order by all", [files]).fetchall()


# which files


def test_a_snapshot_is_links_to_the_published_files(loaded: Chain, tmp_path: Path) -> None:
    snapshot = take(loaded, "b", WEEK, tmp_path / "stage")["a"]
    folder = folder_of(loaded.settings.warehouse, definition_of(loaded, "a"))
    assert [file.stat().st_ino for file in snapshot.files] == [folder.partition(day).stat().st_ino for day in WEEK]
    assert snapshot.identities == identities(folder, WEEK)


def test_where_no_link_can_be_made_a_copy_is_as_good(
    loaded: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", source, None, target)

    folder = folder_of(loaded.settings.warehouse, definition_of(loaded, "a"))
    monkeypatch.setattr(os, "link", no_links)
    snapshot = take(loaded, "b", WEEK, tmp_path / "stage")["a"]
    assert [file.read_bytes() for file in snapshot.files] == [folder.partition(day).read_bytes() for day in WEEK]
    assert {file.stat().st_nlink for file in snapshot.files} == {1}
    assert snapshot.identities == identities(folder, WEEK), "or the downstream table would be stale at once"


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
        snapshot = take(chain, "downstream", days, tmp_path_factory.mktemp("stage"))["a"]
        linked_days = [day for day, identities_of_day in snapshot.identities.items() if identities_of_day]
        assert len(snapshot.files) == len(linked_days)
        return linked_days

    return days_linked


def test_only_published_days_are_linked_and_gaps_are_not(loaded: Chain, tmp_path: Path) -> None:
    gap = Days.parse(["2025-01-02", "2025-01-09", "2025-01-20"])
    snapshot = take(loaded, "b", gap, tmp_path / "stage")["a"]
    assert [file.parent.name for file in snapshot.files] == ["day=2025-01-02", "day=2025-01-09"]


def test_a_disk_that_takes_no_links_is_the_operators_to_mend(loaded: Chain, tmp_path: Path) -> None:
    (tmp_path / "stage").touch()
    with pytest.raises(OperatorError, match=r"data\.parquet cannot be written \(.*\); make room or grant access"):
        take(loaded, "b", WEEK, tmp_path / "stage")


# of one moment


def is_locked(chain: Chain, table: str) -> bool:
    """Whether a process that would publish that table now has to wait."""
    handle = os.open(chain.settings.warehouse / ".ledger" / f"{table}.lock", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def test_while_an_input_is_linked_only_its_table_is_locked(
    loaded: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(loaded, "b", "c")
    locks: list[tuple[str, bool, bool]] = []
    link = os.link

    def note_locks(source: Path, target: Path) -> None:
        locks.append((Path(source).parent.parent.name, is_locked(loaded, "b"), is_locked(loaded, "c")))
        link(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", note_locks)
        take(loaded, "d", Days.between(FIRST, date(2025, 1, 2)), tmp_path / "stage")
    assert locks == [*[("b", True, False)] * 2, *[("c", False, True)] * 2]
    assert not is_locked(loaded, "b")
    assert not is_locked(loaded, "c")


def test_a_publication_meanwhile_waits_so_that_all_days_are_of_before(
    loaded: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in WEEK:
        loaded.deliver(str(day), CORRECTED)
    loaded.ask("a", "2025-01-08", "2025-01-14", cascade=False)
    batches = loaded.plan("a")
    waits_or_is_done = threading.Event()

    def publish() -> None:
        loaded.rewrite("a", batches)
        waits_or_is_done.set()

    publisher = threading.Thread(target=publish)
    link, flock = os.link, fcntl.flock

    def link_and_publish_at_the_first(source: Path, target: Path) -> None:
        link(source, target)
        if threading.current_thread() is not publisher and publisher.ident is None:
            publisher.start()
            assert waits_or_is_done.wait(60)

    def notice_waiting(handle: int, how: int) -> None:
        if threading.current_thread() is publisher and how == fcntl.LOCK_EX:
            try:
                flock(handle, how | fcntl.LOCK_NB)
            except BlockingIOError:
                waits_or_is_done.set()
        flock(handle, how)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link_and_publish_at_the_first)
        patch.setattr(fcntl, "flock", notice_waiting)
        snapshots = take(loaded, "b", WEEK, tmp_path / "stage")
        publisher.join(60)
    with engine_with(loaded, "b", snapshots) as engine:
        old = engine.db.execute("select amount from a order by day").fetchall()
    assert old == [(day.day,) for day in WEEK]
    rows = query(loaded, "b", WEEK, tmp_path / "again", "select distinct amount from a")
    assert rows == [(CORRECTED,)], "it only waited"


def test_what_is_published_after_the_links_were_made_is_not_read(loaded: Chain, tmp_path: Path) -> None:
    snapshots = take(loaded, "b", WEEK, tmp_path / "stage")
    with engine_with(loaded, "b", snapshots) as engine:
        correct(loaded)
        assert engine.db.execute("select amount from a order by day").fetchall() == [(day.day,) for day in WEEK]
    folder = folder_of(loaded.settings.warehouse, definition_of(loaded, "a"))
    new_identities = identities(folder, WEEK)
    assert all(snapshots["a"].digest(day) != digest(new_identities, day, 1) for day in WEEK)


def test_an_input_that_is_replaced_while_a_downstream_table_is_rewritten_makes_it_stale(
    loaded: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(loaded, "b", "c", first="2025-01-08", last="2025-01-14")
    loaded.ask("d", "2025-01-08", "2025-01-14", cascade=False)
    batches_of_d = loaded.plan("d")
    loaded.define("b", "select day, 3 * amount as twice from a")
    loaded.ask("b", "2025-01-08", "2025-01-14", cascade=False)
    batches_of_b = loaded.plan("b")
    link, is_replaced = os.link, threading.Event()

    def replace_b_when_c_is_linked(source: Path, target: Path) -> None:
        link(source, target)
        if Path(source).parent.parent.name == "c" and not is_replaced.is_set():
            is_replaced.set()
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


# the digest

IDENTITIES = st.dictionaries(
    st.integers(0, 12).map(lambda n: FIRST + timedelta(days=n)),
    st.lists(st.sampled_from(["p", "q", "r"]), unique=True, max_size=3).map(tuple),
    max_size=10,
)


Identities = dict[date, tuple[str, ...]]


@given(read=IDENTITIES, now=IDENTITIES, n=st.integers(0, 14), window=st.integers(1, 5), is_near=st.booleans())
def test_the_digest_tells_exactly_the_files_of_the_window(
    read: Identities, now: Identities, n: int, window: int, *, is_near: bool
) -> None:
    day = FIRST + timedelta(days=n)
    days_of_window = [day - timedelta(days=k) for k in range(window)]
    read, now = with_day_names(read), with_day_names(now)
    if is_near:
        # Only days outside the window differ.
        now = {outside: files for outside, files in now.items() if outside not in days_of_window}
        now |= {within: files for within, files in read.items() if within in days_of_window}

    def files_of_window(files_by_day: Identities) -> set[str]:
        return set(chain_all.from_iterable(files_by_day.get(day, ()) for day in days_of_window))

    are_equal = files_of_window(read) == files_of_window(now)
    assert (digest(read, day, window) == digest(now, day, window)) == are_equal


def with_day_names(files_by_day: Identities) -> Identities:
    named: Identities = {}
    for day, files in files_by_day.items():
        named[day] = tuple(f"day={day}:{file}" for file in files)
    return named


def test_the_order_of_the_files_does_not_count() -> None:
    assert digest({FIRST: ("a", "b")}, FIRST, 1) == digest({FIRST: ("b", "a")}, FIRST, 1)


def test_what_was_linked_and_what_is_published_have_one_digest(loaded: Chain, tmp_path: Path) -> None:
    shops = "select day, shop, amount from a cross join (values ('it''s 5 %'), ('süd')) as shops(shop)"
    loaded.define("shops", shops, 'keys = ["shop"]')
    load(loaded, "shops")
    loaded.define("downstream", "select day, shop, amount from shops", 'reads = { shops = "2 days" }')
    days = Days.between(FIRST, date(2025, 1, 5))
    snapshot = take(loaded, "downstream", days, tmp_path / "stage")["shops"]
    folder = folder_of(loaded.settings.warehouse, definition_of(loaded, "shops"))
    published_identities = identities(folder, Days.between(FIRST - timedelta(days=1), date(2025, 1, 5)))
    digests = [snapshot.digest(day) for day in days]
    assert digests == [digest(published_identities, day, 2) for day in days]
    assert len(set(digests)) == 5


def test_a_file_that_went_or_has_another_time_is_another_digest(loaded: Chain) -> None:
    folder = folder_of(loaded.settings.warehouse, definition_of(loaded, "a"))
    file = folder.partition(FIRST)
    before = digest(identities(folder, [FIRST]), FIRST, 1)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    touched = digest(identities(folder, [FIRST]), FIRST, 1)
    file.unlink()
    gone = digest(identities(folder, [FIRST]), FIRST, 1)
    assert len({before, touched, gone}) == 3


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


def test_an_input_without_partitions_of_these_days_has_the_columns_of_its_newest_file(
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
    assert read_ledger(chain.settings.warehouse, "d").columns == {"twice": "INTEGER", "week": "INTEGER"}


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
    assert read_ledger(chain.settings.warehouse, "b").columns == {"factor": "BIGINT"}


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
    file = folder_of(loaded.settings.warehouse, definition_of(loaded, "a")).partition(date(2025, 1, 2))
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
    folder_of(loaded.settings.warehouse, definition_of(loaded, "a")).partition(date(2025, 1, 2)).write_bytes(b"garbage")
    load(loaded, "a", "b")
    assert {name.partition(" ")[0] for name in changed(before, loaded.files())} == {"a"}
    assert loaded.queue.records("failed") == []


def test_rows_of_an_input_that_cannot_be_read_fail_the_days_that_need_them(loaded: Chain) -> None:
    # The footer is whole, so the damage shows only when the rows are read.
    load(loaded, "b")
    before = loaded.files()
    file = folder_of(loaded.settings.warehouse, definition_of(loaded, "a")).partition(date(2025, 1, 2))
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
