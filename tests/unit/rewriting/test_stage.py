"""Staging: what is asked for and nothing else, one finished file for each partition, under names that readers undo."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pytest
from pyarrow import dataset as arrow
from pyarrow import parquet

from reloads.days import Days
from reloads.errors import QueryError
from reloads.partition_filter import PartitionFilter
from reloads.rewriting.engine import Share, connect
from reloads.rewriting.stage import LONGEST_NAME, Stage, Staged
from reloads.sql import quote_text
from reloads.tables.definition import load_table
from reloads.tables.raw_files import RawFiles
from tests.conftest import define_table
from tests.support.sales_home import days, of_each_day

FIFTH = date(2025, 1, 5)
ASKED = days("2025-01-05..2025-01-07")
FOOTER = {"reloads.run": "run 'one'", "reloads.table": "sales", "it's": 'a "text" {} ? $1; --'}
BY_ORIGIN = 'keys = ["origin"]'


@contextmanager
def stage_of(
    home: Path, query: str, toml: str = "", *, partition_filter: PartitionFilter | None = None, threads: int = 1
) -> Iterator[Stage]:
    """A stage of a table of that query, in an empty folder."""
    define_table(home / "tables", "sales", query, toml)
    table, folder = load_table(home / "tables", "sales"), home / "staging"
    folder.mkdir()
    share = Share(threads=threads, memory_mb=512)
    with connect(table, raw=RawFiles(home, stable_seconds=0), folder=home, share=share) as engine:
        yield Stage(table, partition_filter or PartitionFilter(), FOOTER, engine.db, folder)


def staged(home: Path, query: str, toml: str = "", *, wanted: Days = ASKED, **more: object) -> dict[str, Staged]:
    with stage_of(home, query, toml, **more) as stage:  # type: ignore[arg-type]
        return {str(name): file for name, file in stage.write(wanted).items()}


def rows(staged_files: Mapping[str, Staged]) -> list[tuple[object, ...]]:
    """All rows staged, read as the Hive layout."""
    files = ", ".join(quote_text(str(file.path)) for file in staged_files.values())
    with duckdb.connect() as db:
        query = (
            f"from read_parquet([{files}], hive_partitioning = true, hive_types = {{day: date}}, union_by_name = true)"
        )
        return db.execute(f"select * {query} order by all").fetchall()


def with_origins(*origins: str | None) -> str:
    values = ", ".join("null" if origin is None else quote_text(origin) for origin in origins)
    return of_each_day(f"unnest([{values}]) as origin", rows=1)


# rows of others


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(of_each_day("1 as x"), id="a query of all days"),
        pytest.param(of_each_day("1 as x") + " union all select null, 9, 9", id="a null day"),
        pytest.param(of_each_day("1 as x") + " union all select date '-infinity', 9, 9", id="an infinite day"),
        pytest.param(of_each_day("1 as x") + " -- where false", id="a comment at the end"),
        pytest.param(f"with t as ({of_each_day('1 as x')}) from t order by n", id="an order and a name of its own"),
        pytest.param(of_each_day("1 as x") + " union all from (values (date '2025-01-08', 9, 9))", id="a union"),
    ],
)
@pytest.mark.parametrize("toml", ["", 'order_by = ["n"]'], ids=["without order", "with order"])
def test_rows_of_other_days_are_not_staged(tmp_path: Path, query: str, toml: str) -> None:
    wanted = days("2025-01-05", "2025-01-09..2025-01-10")
    staged_files = staged(tmp_path, query, toml, wanted=wanted)
    assert staged_files.keys() == {f"day={day}" for day in wanted}
    assert [(n, x, day) for n, x, day in rows(staged_files)] == [(n, 1, day) for n in (1, 2, 3) for day in wanted]


@pytest.mark.parametrize(
    ("partition_filter", "expected"),
    [
        (PartitionFilter(({"origin": ("EWR",)},)), {"EWR"}),
        (PartitionFilter(({"origin": ("EWR", "no such")}, {"origin": ("LGA",)})), {"EWR", "LGA"}),
        (PartitionFilter(({"origin": ("ewr",)},)), set[str]()),
    ],
    ids=["a value", "two choices", "a value without rows"],
)
def test_rows_of_other_keys_are_not_staged(
    tmp_path: Path, partition_filter: PartitionFilter, expected: set[str]
) -> None:
    staged_files = staged(tmp_path, with_origins("EWR", "JFK", "LGA"), BY_ORIGIN, partition_filter=partition_filter)
    assert staged_files.keys() == {f"day={day}/origin={origin}" for day in ASKED for origin in expected}


@pytest.mark.parametrize("slices", [2, 3, 64])
@pytest.mark.parametrize("toml", ["", 'order_by = ["n"]'], ids=["without order", "with order"])
def test_slices_stage_each_partition_once(tmp_path: Path, slices: int, toml: str) -> None:
    # With 64 of them most slices of 20 keys are empty.
    query = with_origins(*(f"k{n}" for n in range(20)))
    staged_files = staged(tmp_path, query, f"{BY_ORIGIN}\nkey_slices = {slices}\n{toml}")
    assert staged_files.keys() == {f"day={day}/origin=k{n}" for day in ASKED for n in range(20)}
    assert {file.rows for file in staged_files.values()} == {1}
    assert len(rows(staged_files)) == 60


def test_slices_keep_to_the_keys_that_were_asked_for(tmp_path: Path) -> None:
    origins = tuple(f"k{n}" for n in range(10))
    query = with_origins(*(f"k{n}" for n in range(20)))
    toml = f"{BY_ORIGIN}\nkey_slices = 3"
    selected = staged(tmp_path, query, toml, partition_filter=PartitionFilter(({"origin": origins},)))
    assert selected.keys() == {f"day={day}/origin={origin}" for day in ASKED for origin in origins}
    (tmp_path / "others").mkdir()
    others = staged(tmp_path / "others", query, toml, partition_filter=PartitionFilter(excluded=({"origin": origins},)))
    assert others.keys() == {f"day={day}/origin=k{n}" for day in ASKED for n in range(10, 20)}


def test_a_key_without_a_value_is_refused_whichever_slice_it_falls_into(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="rows with origin NULL on 2025-01-05; give each row a value"):
        staged(tmp_path, with_origins("EWR", "JFK", None), f"{BY_ORIGIN}\nkey_slices = 3", wanted=days("2025-01-05"))


# what lies there afterwards


def test_each_file_has_the_rows_and_bytes_that_it_is_said_to_have(tmp_path: Path) -> None:
    staged_files = staged(tmp_path, of_each_day("1 as x") + " where day <> date '2025-01-06'")
    for name, file in staged_files.items():
        assert file.path.parent.name == name
        assert parquet.read_metadata(file.path).num_rows == file.rows == (0 if name.endswith("06") else 3)
        assert file.path.stat().st_size == file.bytes


MANY_DAYS = days("2025-01-01..2025-04-30")
SHUFFLED = "select date '2025-01-01' + (hash(i) % 120)::integer as day, i as n from range(8_400_000) as numbers(i)"
"""120 days of about 70,000 rows each, so that each is written piece by piece while the others are read."""


@pytest.fixture
def few_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_day_that_is_written_piece_by_piece_is_one_file_with_all_its_rows(tmp_path: Path) -> None:
    files = staged(tmp_path, SHUFFLED, wanted=MANY_DAYS, threads=2)
    groups = [parquet.read_metadata(file.path).num_row_groups for file in files.values()]
    assert min(groups) > 1
    assert len(files) == len(MANY_DAYS)
    assert sum(file.rows for file in files.values()) == 8_400_000
    [(count, total)] = duckdb.execute("select count(*), sum(n) from read_parquet($1)", [_paths(files)]).fetchall()
    assert (count, total) == (8_400_000, sum(range(8_400_000)))


@pytest.mark.usefixtures("few_open_files")
def test_where_few_files_may_be_open_each_day_is_one_file_all_the_same(tmp_path: Path) -> None:
    files = staged(tmp_path, SHUFFLED, wanted=MANY_DAYS, threads=2)
    assert len(files) == len(MANY_DAYS)
    assert sum(parquet.read_metadata(file.path).num_rows for file in files.values()) == 8_400_000


def _paths(files: Mapping[str, Staged]) -> list[str]:
    return [str(file.path) for file in files.values()]


def test_days_without_rows_are_empty_files_with_the_same_columns(tmp_path: Path) -> None:
    staged_files = staged(tmp_path, of_each_day("1.5 as x, [day] as list") + " where day = date '2025-01-06'")
    assert {name: file.rows for name, file in staged_files.items()} == {
        f"day={day}": 3 * (day.day == 6) for day in ASKED
    }
    [schema] = {parquet.read_schema(file.path).remove_metadata() for file in staged_files.values()}
    assert schema.names == ["n", "x", "list"]


def test_days_without_rows_are_nothing_in_a_table_with_keys(tmp_path: Path) -> None:
    query = f"from ({with_origins('EWR')}) where day <> date '2025-01-06'"
    staged_files = staged(tmp_path, query, BY_ORIGIN)
    assert staged_files.keys() == {"day=2025-01-05/origin=EWR", "day=2025-01-07/origin=EWR"}


def test_nothing_at_all_is_nothing_in_a_table_with_keys(tmp_path: Path) -> None:
    assert staged(tmp_path, f"from ({with_origins('EWR')}) where false", BY_ORIGIN) == {}


@pytest.mark.parametrize(
    ("query", "toml"),
    [
        (of_each_day("1 as x") + " where day <> date '2025-01-06'", ""),
        (with_origins("EWR", "J/K"), BY_ORIGIN),
    ],
    ids=["without keys, one day empty", "with keys"],
)
def test_the_footer_of_each_file_says_what_it_was_told_to_say(tmp_path: Path, query: str, toml: str) -> None:
    for file in staged(tmp_path, query, toml).values():
        metadata = parquet.read_metadata(file.path).metadata
        assert {key: metadata[key.encode()].decode() for key in FOOTER} == FOOTER


@pytest.mark.parametrize("toml", ["", BY_ORIGIN], ids=["without keys", "with keys"])
@pytest.mark.parametrize("threads", [1, 4])
def test_order_holds_within_each_file(tmp_path: Path, toml: str, threads: int) -> None:
    columns = "hash(n, day) as h, 'k' || (n % 2) as origin"
    shuffled = f"""
        from ({of_each_day(columns, first="2025-01-05", last="2025-01-07", rows=150_000)}) order by hash(h)
    """
    staged_files = staged(tmp_path, shuffled, f'order_by = ["h"]\n{toml}', threads=threads)
    assert len(staged_files) == (6 if toml else 3)
    for file in staged_files.values():
        column = parquet.read_table(file.path, columns=["h"], partitioning=None)["h"].to_pylist()
        assert len(column) == file.rows == 450_000 // len(staged_files)
        assert column == sorted(column)


@pytest.mark.parametrize("rows_a_day", range(2, 8))
@pytest.mark.parametrize("toml", ["", BY_ORIGIN], ids=["without keys", "with keys"])
def test_order_holds_in_partitions_of_a_few_rows_too(tmp_path: Path, toml: str, rows_a_day: int) -> None:
    # In a year of them DuckDB 2.0.0 swaps the rows of about one day in twenty.
    year = of_each_day("if(n = 2, null, -n) as x, 'a' as origin", last="2025-12-31", rows=rows_a_day)
    wanted = days("2025-01-01..2025-12-31")
    staged_files = staged(tmp_path, year, f'order_by = ["x"]\n{toml}', wanted=wanted)
    assert len(staged_files) == 365
    for file in staged_files.values():
        table = parquet.read_table(file.path, partitioning=None)
        numbers = table["x"].to_pylist()
        # NULL comes last, as in SQL.
        assert numbers == [*sorted(number for number in numbers if number is not None), None]
        assert (file.rows, file.bytes) == (rows_a_day, file.path.stat().st_size)
        assert parquet.read_metadata(file.path).metadata[b"reloads.run"].decode() == FOOTER["reloads.run"]


# values of keys


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "NULL"), ("", "''"), ("__HIVE_DEFAULT_PARTITION__", "'__HIVE_DEFAULT_PARTITION__'")],
    ids=["NULL", "an empty text", "the name that Hive gives NULL"],
)
def test_a_key_without_a_value_is_refused_in_one_sentence(tmp_path: Path, value: str | None, shown: str) -> None:
    origin = "null::varchar" if value is None else quote_text(value)
    query = of_each_day(f"if(day = date '2025-01-06', {origin}, 'EWR') as origin")
    with pytest.raises(QueryError) as refused:
        staged(tmp_path, query, BY_ORIGIN)
    assert str(refused.value) == f"sales has rows with origin {shown} on 2025-01-06; give each row a value"


def test_the_second_key_without_a_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="rows with carrier NULL on 2025-01-05; give each row a value"):
        staged(
            tmp_path,
            of_each_day("'EWR' as origin, null::varchar as carrier"),
            'keys = ["origin", "carrier"]',
            wanted=days("2025-01-05"),
        )


def test_a_key_without_a_value_outside_the_filter_is_nobodys_business(tmp_path: Path) -> None:
    partition_filter = PartitionFilter(({"origin": ("EWR",)},))
    assert len(staged(tmp_path, with_origins("EWR", None), BY_ORIGIN, partition_filter=partition_filter)) == 3


@pytest.mark.parametrize("letter", ["x", "ü", "/"], ids=["plain", "of two bytes", "escaped"])
def test_the_longest_name_is_staged_and_a_longer_one_refused(tmp_path: Path, letter: str) -> None:
    # As one escaped text: a letter that is escaped counts as what it becomes, twice if it was escaped before.
    cost = {"x": 1, "ü": 10, "/": 5}[letter]
    room = LONGEST_NAME - len("day=2025-01-05%2Forigin=")
    for number, count in enumerate((room // cost, room // cost + 1)):
        home = tmp_path / str(number)
        home.mkdir()
        query = with_origins(letter * count)
        if not number:
            [name] = staged(home, query, BY_ORIGIN, wanted=days("2025-01-05"))
            assert unquote(name) == f"day=2025-01-05/origin={letter * count}"
            continue
        with pytest.raises(QueryError, match=r"a partition of sales is longer than 220 bytes; shorten its keys$"):
            staged(home, query, BY_ORIGIN, wanted=days("2025-01-05"))


def test_a_name_that_no_file_system_takes_is_refused_as_well(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"sales.* is longer than 220 bytes; shorten its keys$"):
        staged(tmp_path, with_origins("x" * 400), BY_ORIGIN, wanted=days("2025-01-05"))


ODD = [
    "a/b",
    "50%",
    "%2F",
    "k=v",
    "a b",
    " a",
    "a ",
    "Zürich",
    "東京 ✈",
    "it's",
    'say "x"',
    ".",
    "..",
    ".a",
    "a.",
    "EWR",
    "ewr",
    "a\\b",
    "a:b?c#d&e+f",
    "*[x]",
    "~",
    "a,b;c",
    "tab\there",
    "line\nbreak",
    "{a}|b<c>^`$!",
    "null",
    "NULL",
    "0",
    "007",
    "2025-01-05",
]


def as_hive_text() -> arrow.Partitioning:
    schema = pa.schema([("day", pa.date32()), ("origin", pa.string())])
    return arrow.partitioning(schema, flavor="hive")


def test_odd_values_of_keys_are_read_back_by_duckdb_and_arrow(tmp_path: Path) -> None:
    staged_files = staged(tmp_path, with_origins(*ODD), BY_ORIGIN, wanted=days("2025-01-05"))
    assert len(staged_files) == len(ODD)
    folder = next(iter(staged_files.values())).path.parent.parent.parent
    with duckdb.connect() as db:
        query = "select origin from read_parquet($1, hive_partitioning = true, hive_types = {origin: varchar})"
        by_duckdb = [origin for (origin,) in db.execute(query, [f"{folder}/*/*/*.parquet"]).fetchall()]
    by_arrow = arrow.dataset(folder, format="parquet", partitioning=as_hive_text()).to_table()
    assert sorted(by_duckdb) == sorted(ODD)
    assert sorted(by_arrow["origin"].to_pylist()) == sorted(ODD)


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_each_odd_value_is_one_folder_below_its_day(tmp_path: Path, value: str) -> None:
    staged_files = staged(tmp_path, with_origins(value), BY_ORIGIN, wanted=days("2025-01-05"))
    [(name, file)] = staged_files.items()
    assert name.count("/") == 1
    assert unquote(name.partition("/")[2]) == f"origin={value}"
    assert file.path.is_file()
    assert file.path.parent.parent.name == "day=2025-01-05"


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("42", "42"),
        ("date '2025-03-01'", "2025-03-01"),
        ("true", "true"),
        ("1.50::decimal(4, 2)", "1.50"),
        ("-7", "-7"),
    ],
    ids=["an integer", "a date", "a boolean", "a decimal", "a negative integer"],
)
def test_keys_of_other_types_have_their_text_as_name(tmp_path: Path, sql: str, text: str) -> None:
    staged_files = staged(tmp_path, of_each_day(f"{sql} as origin"), BY_ORIGIN, wanted=days("2025-01-05"))
    assert list(staged_files) == [f"day=2025-01-05/origin={text}"]


# what cannot be written


def test_what_the_database_says_of_a_query_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(QueryError) as refused:
        staged(tmp_path, of_each_day("error('first line\nsecond line') as x"))
    assert "first line second line" in str(refused.value)
    assert "\n" not in str(refused.value)
