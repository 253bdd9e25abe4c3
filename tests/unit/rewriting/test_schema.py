"""The schema guard: new data fits the published table or leaves it as it was, and the sentence says what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import FitError
from reloads.outcome import Outcome
from reloads.rewriting.schema import columns_of, merge_columns, published_columns
from reloads.settings import Settings
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.layout import log_folder, state_folder
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Head
from tests.support.chain import Chain
from tests.support.sales_home import MONTH, DefineTable, SalesHome, days, of_each_day

Policy = Literal["refuse", "append", "replace"]
POLICIES: tuple[Policy, ...] = ("refuse", "append", "replace")
NAMES = st.sampled_from(["a", "b", "c", "d", "A", "été", "a b"])
KINDS = st.sampled_from(["INTEGER", "BIGINT", "VARCHAR", "DECIMAL(18,2)", "STRUCT(x INTEGER)", "INTEGER[]"])
COLUMNS = st.dictionaries(NAMES, KINDS, min_size=1, max_size=5)
POLICY = st.sampled_from(POLICIES)
UNKNOWN = Head(Point())
KNOWN = Head(Point("a log", 1), columns={"n": "DATE"})
OLD = {"id": "INTEGER", "amount": "DOUBLE"}


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def home(sales_settings: Settings) -> SalesHome:
    return SalesHome(sales_settings)


# what fits, as an algebra


@given(columns=COLUMNS, policy=POLICY, order=st.randoms())
def test_the_same_columns_in_any_order_fit(columns: dict[str, str], policy: Policy, order: object) -> None:
    shuffled = list(columns.items())
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merge_columns("t", dict(shuffled), columns, policy=policy) == columns


@given(new=COLUMNS, policy=POLICY)
def test_whatever_comes_first_fits(new: dict[str, str], policy: Policy) -> None:
    assert merge_columns("t", new, {}, policy=policy) == new


@given(new=COLUMNS, old=COLUMNS)
def test_replace_takes_what_comes(new: dict[str, str], old: dict[str, str]) -> None:
    assert merge_columns("t", new, old, policy="replace") == new


@given(new=COLUMNS, old=COLUMNS)
def test_append_takes_exactly_what_has_all_old_columns_and_refuse_only_what_has_no_others(
    new: dict[str, str], old: dict[str, str]
) -> None:
    fits_append = old.items() <= new.items()
    assert fits(new, old, policy="append") == fits_append
    assert fits(new, old, policy="refuse") == (fits_append and new.keys() <= old.keys())


def fits(new: dict[str, str], old: dict[str, str], *, policy: Policy) -> bool:
    try:
        merge_columns("t", new, old, policy=policy)
    except FitError:
        return False
    return True


@given(new=COLUMNS, old=COLUMNS)
def test_append_keeps_the_old_columns_in_their_order_and_adds_the_new_behind_them(
    new: dict[str, str], old: dict[str, str]
) -> None:
    grown = {**new, **old}
    names = list(merge_columns("t", grown, old, policy="append").items())
    assert names[: len(old)] == list(old.items())
    assert dict(names) == grown


@given(new=COLUMNS, old=COLUMNS, policy=POLICY)
def test_what_was_let_in_fits_from_then_on(new: dict[str, str], old: dict[str, str], policy: Policy) -> None:
    if fits(new, old, policy=policy):
        after = merge_columns("t", new, old, policy=policy)
        assert merge_columns("t", new, after, policy=policy) == after


MEND = 'mend the query, or set on_schema_change = "replace" and all partitions are reloaded'


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        pytest.param(
            {"id": "INTEGER"}, f"sales: the column amount (DOUBLE) of the published table is gone; {MEND}", id="gone"
        ),
        pytest.param(
            {"id": "INTEGER", "amount": "VARCHAR"},
            f"sales: the column amount is VARCHAR and DOUBLE in the published table; {MEND}",
            id="another type",
        ),
        pytest.param(
            {"id": "INTEGER", "Amount": "DOUBLE"},
            f"sales: the column amount (DOUBLE) of the published table is gone; {MEND}",
            id="another case",
        ),
    ],
)
@pytest.mark.parametrize("policy", ["refuse", "append"])
def test_the_sentence_names_the_column_its_types_and_the_cure(
    new: dict[str, str], sentence: str, policy: Policy
) -> None:
    with pytest.raises(FitError) as refused:
        merge_columns("sales", new, OLD, policy=policy)
    assert str(refused.value) == sentence


def test_a_column_that_is_new_is_refused_with_what_lets_it_in() -> None:
    with pytest.raises(FitError) as refused:
        merge_columns("sales", {**OLD, "note": "VARCHAR"}, OLD, policy="refuse")
    assert str(refused.value) == (
        'sales: the column note (VARCHAR) is new to the published table; remove it, or set on_schema_change = "append"'
    )


# which columns the published table has


def write(path: Path, schema: list[pa.Field], *, newer: int = 0) -> Path:
    """An empty Parquet file that another program wrote; a greater ``newer`` is a later time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pa.schema(schema).empty_table(), path)
    os.utime(path, ns=(0, newer))
    return path


def test_whether_a_column_may_hold_null_does_not_count(tmp_path: Path, db: duckdb.DuckDBPyConnection) -> None:
    types = [pa.int32(), pa.string(), pa.decimal128(18, 2), pa.list_(pa.int32()), pa.timestamp("us")]
    nullable_fields = [pa.field(f"c{n}", type_) for n, type_ in enumerate(types)]
    nullable = write(tmp_path / "nullable.parquet", nullable_fields)
    required = write(tmp_path / "required.parquet", [field.with_nullable(nullable=False) for field in nullable_fields])
    assert columns_of(db, nullable) == columns_of(db, required)
    are_nullable = [pyarrow.parquet.read_schema(path).field("c0").nullable for path in (nullable, required)]
    assert are_nullable == [True, False], "as they are stored they differ"


@pytest.mark.parametrize("folder", ["day=2025-01-01", "env=prod/day=2025-01-01", "a[1]*?", "it's"])
def test_the_name_of_a_folder_is_not_a_column(tmp_path: Path, db: duckdb.DuckDBPyConnection, folder: str) -> None:
    file = write(tmp_path / folder / "data.parquet", [pa.field("n", pa.int32())])
    assert columns_of(db, file) == {"n": "INTEGER"}


@pytest.fixture
def target(tmp_path: Path) -> TableFolder:
    return TableFolder(tmp_path, "sales", "day")


def publish(target: TableFolder, day: int, kind: pa.DataType, *, newer: int) -> Path:
    return write(target.partition(date(2025, 1, day)), [pa.field("n", kind)], newer=newer)


def test_a_table_without_a_partition_has_no_columns_whatever_its_log_says(
    target: TableFolder, db: duckdb.DuckDBPyConnection
) -> None:
    assert published_columns(db, KNOWN, target) == {}


def test_the_columns_are_those_that_the_log_says(target: TableFolder, db: duckdb.DuckDBPyConnection) -> None:
    publish(target, 1, pa.int32(), newer=1)
    assert published_columns(db, KNOWN, target) == {"n": "DATE"}


def test_without_a_log_they_are_those_of_the_newest_file(target: TableFolder, db: duckdb.DuckDBPyConnection) -> None:
    publish(target, 1, pa.int32(), newer=1)
    publish(target, 2, pa.int64(), newer=3)
    publish(target, 3, pa.string(), newer=2)
    assert published_columns(db, UNKNOWN, target) == {"n": "BIGINT"}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all"], ids=["empty", "cut off", "garbage"])
def test_a_newest_file_that_cannot_be_read_is_passed_over(
    target: TableFolder, db: duckdb.DuckDBPyConnection, content: bytes
) -> None:
    publish(target, 1, pa.int32(), newer=1)
    publish(target, 2, pa.int64(), newer=2).write_bytes(content)
    assert published_columns(db, UNKNOWN, target) == {"n": "INTEGER"}


def test_where_no_file_can_be_read_whatever_comes_fits(target: TableFolder, db: duckdb.DuckDBPyConnection) -> None:
    publish(target, 1, pa.int32(), newer=1).write_bytes(b"")
    assert published_columns(db, UNKNOWN, target) == {}


def test_in_a_table_with_keys_the_newest_file_counts_as_well(tmp_path: Path, db: duckdb.DuckDBPyConnection) -> None:
    target = TableFolder(tmp_path, "sales", "day", ("shop",))
    write(target.file(PartitionName.parse("day=2025-01-01/shop=b")), [pa.field("n", pa.int64())], newer=2)
    write(target.file(PartitionName.parse("day=2025-01-02/shop=a")), [pa.field("n", pa.int32())], newer=1)
    assert published_columns(db, UNKNOWN, target) == {"n": "BIGINT"}


# the whole table


CHANGES = [
    pytest.param("n as units", "the column amount (INTEGER) of the published table is gone", id="gone"),
    pytest.param("n + 0.5 as amount", "the column amount is DECIMAL(21,1) and INTEGER", id="another type"),
    pytest.param("n::int as amount, 'x' as note", "the column note (VARCHAR) is new", id="new"),
]
AMOUNT = of_each_day("n::int as amount")
Publish = Callable[[str], Outcome]


@pytest.mark.parametrize(("columns", "sentence"), CHANGES)
@pytest.mark.parametrize("lost", ["nothing", "state", "log"])
def test_data_that_does_not_fit_leaves_every_file_of_the_batch_as_it_was(
    home: SalesHome, define: DefineTable, columns: str, sentence: str, lost: str
) -> None:
    define("sales", AMOUNT)
    home.rewrite(days("2025-01-01..2025-01-05"))
    lose(home, lost)
    files, entries = home.state(), home.entries()
    define("sales", of_each_day(columns))
    # The new days too: a table has one set of columns.
    outcome = home.rewrite(MONTH)
    assert (outcome.published, outcome.unchanged) == (Days(), Days())
    [failure] = outcome.failed
    assert failure.days == MONTH
    assert sentence in failure.error
    assert not failure.transient, "trying again does not help"
    assert home.state() == files
    if lost != "log":
        assert home.entries() == entries
    assert {commit.act for commit in home.commits()} == {"adopt" if lost == "log" else "load"}
    assert home.staging() == []


def lose(home: SalesHome, what: str) -> None:
    """Lose the state, which follows from the log, or both."""
    if what != "nothing":
        shutil.rmtree(state_folder(home.warehouse, "sales"))
    if what == "log":
        shutil.rmtree(log_folder(home.warehouse, "sales"))


@pytest.mark.parametrize("lost", ["nothing", "state", "log"])
def test_a_day_alone_is_held_against_the_whole_table(home: SalesHome, define: DefineTable, lost: str) -> None:
    define("sales", AMOUNT)
    home.rewrite(days("2025-01-01"))
    lose(home, lost)
    define("sales", of_each_day("n + 0.5 as amount"))
    assert home.rewrite(days("2025-01-31")).failed[0].days == days("2025-01-31")
    assert home.published() == days("2025-01-01")


def test_the_same_columns_in_another_order_are_published(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("n::int as amount, 'x' as note"))
    home.rewrite(MONTH)
    define("sales", of_each_day("'y' as note, n::int as amount"))
    assert home.rewrite(MONTH).published == MONTH
    assert set(home.query("select note, amount from sales where day = date '2025-01-31'")) == {
        ("y", n) for n in (1, 2, 3)
    }


def test_a_published_column_that_never_holds_null_takes_one_that_may(home: SalesHome, define: DefineTable) -> None:
    define("sales", AMOUNT)
    home.rewrite(days("2025-01-01"))
    file = home.file(date(2025, 1, 1))
    fields = [pa.field("n", pa.int64(), nullable=False), pa.field("amount", pa.int32(), nullable=False)]
    write(file, fields, newer=file.stat().st_mtime_ns)
    lose(home, "log")
    define("sales", of_each_day("nullif(n, 2)::int as amount"))
    assert home.rewrite(days("2025-01-01..2025-01-02")).published == days("2025-01-01..2025-01-02")


def test_a_column_that_append_lets_in_is_null_in_the_days_of_before(home: SalesHome, define: DefineTable) -> None:
    define("sales", AMOUNT)
    home.rewrite(days("2025-01-01..2025-01-02"))
    before = home.state()
    define("sales", of_each_day("'x' as note, n::int as amount"), 'on_schema_change = "append"')
    assert home.rewrite(days("2025-01-02")).published == days("2025-01-02")
    assert home.query("select day, min(note), max(note), sum(amount) from sales group by day order by day") == [
        (date(2025, 1, 1), None, None, 6),
        (date(2025, 1, 2), "x", "x", 6),
    ]
    assert home.state()[home.file(date(2025, 1, 1))] == before[home.file(date(2025, 1, 1))]
    columns_by_day = {name.day: dict(entry.columns) for name, entry in home.entries().items()}
    assert columns_by_day == {
        date(2025, 1, 1): {"n": "BIGINT", "amount": "INTEGER"},
        date(2025, 1, 2): {"note": "VARCHAR", "n": "BIGINT", "amount": "INTEGER"},
    }
    assert columns_of_table(home) == {"n": "BIGINT", "amount": "INTEGER", "note": "VARCHAR"}


def columns_of_table(home: SalesHome) -> dict[str, str]:
    return dict(state_of(home.folder).read_head().columns)


def test_a_column_that_append_let_in_may_not_go_again(home: SalesHome, define: DefineTable) -> None:
    define("sales", AMOUNT)
    home.rewrite(MONTH)
    define("sales", of_each_day("n::int as amount, 'x' as note"), 'on_schema_change = "append"')
    home.rewrite(days("2025-01-02"))
    before = home.state()
    define("sales", AMOUNT, 'on_schema_change = "append"')
    [failure] = home.rewrite(MONTH).failed
    assert failure.error.startswith("sales: the column note (VARCHAR) of the published table is gone")
    assert home.state() == before


def test_days_without_rows_are_held_to_the_columns_as_well(home: SalesHome, define: DefineTable) -> None:
    define("sales", AMOUNT)
    home.rewrite(days("2025-01-01"))
    define("sales", of_each_day("n + 0.5 as amount") + " where false")
    assert home.rewrite(days("2025-01-02")).failed[0].days == days("2025-01-02")


def test_a_table_whose_partitions_all_went_takes_new_columns(home: SalesHome, define: DefineTable) -> None:
    define("sales", AMOUNT)
    home.rewrite(days("2025-01-01"))
    home.file(date(2025, 1, 1)).unlink()
    define("sales", of_each_day("n + 0.5 as amount"))
    assert home.rewrite(days("2025-01-01")).published == days("2025-01-01")


def test_a_table_with_keys_is_held_to_its_columns_too(home: SalesHome, define: DefineTable) -> None:
    shops = "select day, n::int as amount, 'shop ' || n as shop from ({})"
    define("sales", shops.format(of_each_day("1 as x")), 'keys = ["shop"]')
    home.rewrite(days("2025-01-01..2025-01-02"))
    before = home.state()
    define("sales", shops.format(of_each_day("1 as x")).replace("n::int", "n::text"), 'keys = ["shop"]')
    assert "the column amount is VARCHAR and INTEGER" in home.rewrite(days("2025-01-02")).failed[0].error
    assert home.state() == before


def test_the_type_of_a_key_is_held_to_as_well(home: SalesHome, define: DefineTable) -> None:
    shops = "select day, n as amount, {} as shop from (" + of_each_day("1 as one") + ")"
    define("sales", shops.format("n::int"), 'keys = ["shop"]')
    home.rewrite(days("2025-01-01..2025-01-02"))
    before = home.state()
    define("sales", shops.format("'shop ' || n"), 'keys = ["shop"]')
    assert "the column shop is VARCHAR and INTEGER" in home.rewrite(days("2025-01-02")).failed[0].error
    assert home.state() == before


@pytest.fixture
def grown(chain: Chain) -> Chain:
    """Two days of ``a``, which got a column ``note`` on the second, and a table ``b`` that reads it."""
    chain.ask("a", "2025-01-01", "2025-01-02", cascade=False)
    chain.work_off("a")
    chain.define("a", "select day, amount, 'x' as note from raw", 'on_schema_change = "append"')
    chain.ask("a", "2025-01-02", cascade=False)
    chain.work_off("a")
    chain.define("b", "select day, note from a")
    return chain


def notes(chain: Chain) -> list[tuple[object, ...]]:
    files = str(chain.settings.warehouse / "b" / "*" / "data.parquet")
    with duckdb.connect() as db:
        return db.execute("select day, note from read_parquet($1) order by day", [files]).fetchall()


def test_a_downstream_table_sees_null_in_the_days_before_its_input_got_a_column(grown: Chain) -> None:
    grown.ask("b", "2025-01-01", "2025-01-02", cascade=False)
    grown.work_off("b")
    assert notes(grown) == [(date(2025, 1, 1), None), (date(2025, 1, 2), "x")]


def test_it_does_so_where_it_reads_only_such_days(grown: Chain) -> None:
    for day in ("2025-01-02", "2025-01-01"):
        grown.ask("b", day, cascade=False)
        grown.work_off("b")
    assert notes(grown) == [(date(2025, 1, 1), None), (date(2025, 1, 2), "x")]


@pytest.mark.parametrize("lost", ["state", "log"])
def test_columns_that_were_lost_are_looked_up_again(home: SalesHome, define: DefineTable, lost: str) -> None:
    define("sales", AMOUNT)
    home.rewrite(days("2025-01-01"))
    columns = columns_of_table(home)
    lose(home, lost)
    home.rewrite(days("2025-01-02"))
    assert columns_of_table(home) == columns == {"n": "BIGINT", "amount": "INTEGER"}


def test_a_batch_that_is_unchanged_or_refused_leaves_the_columns_as_they_are(
    home: SalesHome, define: DefineTable
) -> None:
    replace = 'on_schema_change = "replace"'
    folder = define("sales", AMOUNT, replace)
    home.rewrite(days("2025-01-01..2025-01-02"))
    (folder / "checks.sql").write_text("create view never as select day from new;")
    define("sales", of_each_day("n::int as units"), replace)
    assert home.rewrite(days("2025-01-02")).failed_days == days("2025-01-02")
    assert columns_of_table(home) == {"n": "BIGINT", "amount": "INTEGER"}
    (folder / "checks.sql").unlink()
    assert home.rewrite(days("2025-01-02")).published == days("2025-01-02")
    assert columns_of_table(home) == {"n": "BIGINT", "units": "INTEGER"}


def test_a_key_may_change_its_type_where_the_table_lets_it(home: SalesHome, define: DefineTable) -> None:
    shops = "select day, n as amount, {} as shop from (" + of_each_day("1 as one") + ")"
    toml = 'keys = ["shop"]\non_schema_change = "replace"'
    define("sales", shops.format("n::int"), toml)
    home.rewrite(days("2025-01-01..2025-01-02"))
    define("sales", shops.format("'shop ' || n"), toml)
    assert home.rewrite(days("2025-01-02")).published == days("2025-01-02")
    assert state_of(home.folder).read_head().key_types == {"shop": "VARCHAR"}
    assert columns_of_table(home) == {"amount": "BIGINT"}, "a key is only in the names of folders"
