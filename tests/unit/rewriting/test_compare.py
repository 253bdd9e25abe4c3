"""Whether two files hold the same content: which rows, how often each, and the names and types of the columns."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, product
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.rewriting.compare import find_unchanged
from reloads.sql import quote_text

Row = tuple[str, ...]
Write = Callable[..., Path]

# Literals of different values, by type. No 30 days beside 1 month: DuckDB's writer may store one for the other, as it
# does 0.0 and -0.0, because SQL calls them equal.
VALUES = {
    "integer": ["0", "1", "-1"],
    "double": ["0.0", "1.5", "'nan'", "'inf'"],
    "decimal(38, 3)": ["0.001", "1.1"],
    "varchar": ["''", "'null'", "'ä'", "'a' || chr(0)", "'a'"],
    "blob": [r"'\x00'", "''", "'a'"],
    "boolean": ["true", "false"],
    "date": ["'2024-02-29'", "'1900-01-01'"],
    "timestamp": ["'2024-01-01'", "'2024-01-01 00:00:00.000001'"],
    "timestamptz": ["'2024-01-01 00:00:00+00'", "'2024-01-01 00:00:00+01'"],
    "interval": ["'1 month'", "'1 hour'"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'"],
    "enum('a', 'b')": ["'a'", "'b'"],
    "integer[]": ["[]", "[null]", "[1]", "[1, null]", "[null, 1]", "[2, 1]", "[1, 2]"],
    "integer[][]": ["[]", "[[]]", "[null]", "[[null]]", "[[1], [2]]", "[[1, 2]]", "[[1, 2], []]"],
    "varchar[]": ["['a', 'b']", "['a, b']", "['']", "['null']", "[null]"],
    "integer[2]": ["[1, 2]", "[null, null]"],
    "struct(x integer, y integer[])": [
        "{x: null, y: null}",
        "{x: null, y: []}",
        "{x: null, y: [null]}",
        "{x: 1, y: null}",
    ],
    "map(varchar, integer)": ["map {}", "map {'a': 1}", "map {'a': null}", "map {'a': 1, 'b': 2}", "map {'b': 2}"],
    "variant": ["1", "1::bigint", "'1'", "[]", "[null]"],
}
kinds = st.sampled_from(sorted(VALUES))
file_numbers = count()


@pytest.fixture(scope="module", params=[True, False], ids=["order kept", "order free"])
def db(request: pytest.FixtureRequest) -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "100MB",
        "threads": 2,
        "preserve_insertion_order": request.param,
    }
    with duckdb.connect(config=config) as connection:
        yield connection


@pytest.fixture(scope="module")
def write(db: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """``write(query)`` makes a new file of the rows; each has another footer."""
    folder = tmp_path_factory.mktemp("files")

    def write_file(query: str, file: Path | None = None) -> Path:
        number = next(file_numbers)
        file = file or folder / f"{number}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        db.execute(f"copy ({query}) to {quote_text(str(file))} (format parquet, kv_metadata {{run: '{number}'}})")
        return file

    return write_file


def is_unchanged(db: duckdb.DuckDBPyConnection, published: Path, staged: Path) -> bool:
    return find_unchanged(db, {"key": (published, staged)}) == {"key"}


def rows_of(kinds: list[str]) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.tuples(*(st.sampled_from(["null", *VALUES[kind]]) for kind in kinds)), max_size=6)


def create_table(db: duckdb.DuckDBPyConnection, kinds: list[str], rows: list[Row]) -> None:
    db.execute(f"create or replace table t ({', '.join(f'c{i} {kind}' for i, kind in enumerate(kinds))})")
    for row in rows:
        db.execute(f"insert into t values ({', '.join(row)})")


@given(st.data())
def test_files_are_equal_when_the_same_rows_are_there_equally_often(
    db: duckdb.DuckDBPyConnection, write: Write, data: st.DataObject
) -> None:
    columns = data.draw(st.lists(kinds, min_size=1, max_size=4))
    published_rows = data.draw(rows_of(columns))
    staged_rows = data.draw(st.permutations(published_rows) | rows_of(columns))
    create_table(db, columns, published_rows)
    published = write("from t")
    create_table(db, columns, staged_rows)
    order = data.draw(st.permutations(range(len(columns))))
    staged = write(f"select {', '.join(f'c{position}' for position in order)} from t")
    assert is_unchanged(db, published, staged) == (Counter(published_rows) == Counter(staged_rows))


@given(st.data())
def test_a_single_changed_value_is_a_change(db: duckdb.DuckDBPyConnection, write: Write, data: st.DataObject) -> None:
    columns = data.draw(st.lists(kinds, min_size=1, max_size=4))
    rows = data.draw(rows_of(columns).filter(bool))
    create_table(db, columns, rows)
    published = write("from t")
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(columns) - 1))
    values = ["null", *VALUES[columns[column]]]
    changed = data.draw(st.sampled_from([value for value in values if value != rows[row][column]]))
    rows[row] = (*rows[row][:column], changed, *rows[row][column + 1 :])
    create_table(db, columns, rows)
    assert not is_unchanged(db, published, write("from t"))


@pytest.mark.parametrize(
    ("published", "staged"),
    [
        pytest.param("values (1), (1), (2), (2)", "values (1), (1), (1), (1)", id="pairs, which an xor forgets"),
        pytest.param("values (1), (1), (2)", "values (1), (2), (2)", id="one doubled and another removed"),
        pytest.param("values (1), (2)", "values (1), (2), (2)", id="one more"),
        pytest.param("values (1, null), (2, 3)", "values (null, 1), (2, 3)", id="a null in another column"),
        pytest.param("values (null::integer, 1)", "values (null::integer, null::integer)", id="a null more"),
        pytest.param("values (1, 2), (3, 4)", "values (1, 4), (3, 2)", id="values of two rows swapped"),
        pytest.param(
            "values (18, 'ok'), (124, 'b107197')",
            "values (124, 'ok'), (18, 'b107197')",
            id="swapped, with equal sums of simple hashes",
        ),
        pytest.param(
            "select interval '1 month' as i",
            "select interval '30 days' as i",
            id="a month is not 30 days",
        ),
        pytest.param("select 1 as a", "select 1 as b", id="another name"),
        pytest.param("select 1 as a", "select 1 as A", id="another case"),
        pytest.param("select 1 as a", "select 1::bigint as a", id="another type"),
        pytest.param("select 1 as a", "select 1 as a, null as b", id="another column"),
        pytest.param("select '1' as a", "select '1'::blob as a", id="text or bytes"),
        pytest.param("select {a: 1} as s", "select {b: 1} as s", id="another name inside"),
        pytest.param("select [1] as s", "select [1::bigint] as s", id="another type inside"),
        pytest.param("select 1 as a limit 0", "select 1 as b limit 0", id="another name and no rows"),
    ],
)
def test_it_is_a_change(db: duckdb.DuckDBPyConnection, write: Write, published: str, staged: str) -> None:
    assert not is_unchanged(db, write(published), write(staged))


@pytest.mark.parametrize(
    ("published", "staged"),
    [
        pytest.param("select 1 as a, 2 as b", "select 2 as b, 1 as a", id="columns in another order"),
        pytest.param("from range(5000)", "from range(5000) order by 1 desc", id="rows in another order"),
        pytest.param("select 1 as a", "select random()::integer * 0 + 1 as a", id="a column that may be null"),
        pytest.param("select 1 as a limit 0", "select 1 as a limit 0", id="no rows"),
        pytest.param("select 1 as a, 2 as b limit 0", "select 2 as b, 1 as a limit 0", id="no rows in another order"),
        pytest.param("select 1 as filename, 2 as b", "select 2 as b, 1 as filename", id="a column called filename"),
        pytest.param("select 1 as c1, 2 as c0", "select 2 as c0, 1 as c1", id="columns called like ours"),
        pytest.param('select 1 as "\'", 2 as """"', 'select 2 as """", 1 as "\'"', id="quotes as names"),
        pytest.param(
            "select 0.0::double as a, 2 as b", "select 2 as b, -('0.0'::double) as a", id="zeros that SQL calls equal"
        ),
    ],
)
def test_it_is_not_a_change(db: duckdb.DuckDBPyConnection, write: Write, published: str, staged: str) -> None:
    assert is_unchanged(db, write(published), write(staged))


@pytest.mark.parametrize(
    ("published", "staged"),
    [
        pytest.param("select 0 as a", "select date '1970-01-01' as a", id="another type"),
        pytest.param("select 0 as a", "select 0 as b", id="another name"),
        pytest.param("select 1 as a, 2 as b", "select 1 as b, 2 as a", id="names swapped"),
        pytest.param("select {a: 1, b: 2} as s", "select {b: 1, a: 2} as s", id="names inside swapped"),
    ],
)
def test_the_same_bytes_of_another_schema_are_a_change(
    db: duckdb.DuckDBPyConnection, write: Write, published: str, staged: str
) -> None:
    published_file, staged_file = write(published), write(staged)
    assert bytes_before_footer(published_file) == bytes_before_footer(staged_file)
    assert not is_unchanged(db, published_file, staged_file)


def bytes_before_footer(file: Path) -> bytes:
    content = file.read_bytes()
    return content[: -8 - int.from_bytes(content[-8:-4], "little")]


def test_the_same_bytes_are_not_a_change_whoever_wrote_them_and_are_enough(
    db: duckdb.DuckDBPyConnection, write: Write
) -> None:
    published, staged = write("select 'abc' as a, 1 as b"), write("select 'abc' as a, 1 as b")
    assert published.read_bytes() != staged.read_bytes()
    for file in (published, staged):
        content = file.read_bytes()
        file.write_bytes(content[:4] + bytes(20) + content[24:])  # rows that nobody could read
    assert is_unchanged(db, published, staged)


def test_a_batch_may_hold_files_of_several_schemas(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    queries = ["select 1 as a, 2 as b", "select 2 as b, 1 as a", "select 'x' as a", "select 'y' as c, [1] as l"]
    numbers_of_queries = range(len(queries))
    pairs = {(i, j): (write(queries[i]), write(queries[j])) for i, j in product(numbers_of_queries, repeat=2)}
    assert find_unchanged(db, pairs) == {(0, 0), (1, 1), (2, 2), (3, 3), (0, 1), (1, 0)}


def test_one_file_may_stand_in_several_pairs(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    published, staged = write("from range(9)"), write("from range(9) order by 1 desc")
    pairs = {1: (published, staged), 2: (published, write("from range(8, -1, -1)")), 3: (published, published)}
    assert find_unchanged(db, pairs) == {1, 2, 3}


def test_nothing_to_compare(db: duckdb.DuckDBPyConnection) -> None:
    assert find_unchanged(db, {}) == set()


def test_names_that_differ_by_case_only_are_two_columns(db: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    files = []
    for values in ([1, 2], [1, 3]):
        files.append(tmp_path / f"{values[1]}.parquet")
        pq.write_table(pa.table([[1], values[1:]], names=["a", "A"]), files[-1])
    assert not is_unchanged(db, *files)


def test_the_names_of_folders_are_not_content(db: duckdb.DuckDBPyConnection, write: Write, tmp_path: Path) -> None:
    published = write("select 1 as n, 'x' as day", tmp_path / "day=2024-01-01" / "data.parquet")
    staged = write("select 'x' as day, 1 as n", tmp_path / "day=2024-01-02" / "staged.parquet")
    assert is_unchanged(db, published, staged)


@pytest.mark.parametrize(
    "name", ["*", "**", "?", "[ab]", "[!a]", "a]", "{a,b}", "\\", "'\"", "%2F", "\n", " ü#&=", "~"]
)
def test_a_path_means_no_other_file(
    db: duckdb.DuckDBPyConnection, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for matched_name in ("a", "b", "!", "x", "ab"):
        write("select 9 as n from range(9)", tmp_path / matched_name / "data.parquet")
    file = tmp_path / name / "data.parquet"
    file.parent.mkdir()
    shutil.copyfile(write("select 1 as n, 2 as b"), file)
    assert is_unchanged(db, file, write("select 2 as b, 1 as n"))
    monkeypatch.chdir(tmp_path)
    assert is_unchanged(db, Path(os.pardir, tmp_path.name, name, "data.parquet"), write("select 2 as b, 1 as n"))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda file: file.unlink(), id="vanished"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_bytes(b"PAR1" * 5), id="no footer"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-1]), id="cut"),
        pytest.param(lambda file: file.write_bytes(b"PAR1" + bytes(90) + file.read_bytes()[94:]), id="rows spoilt"),
        pytest.param(lambda file: (file.unlink(), file.mkdir()), id="a folder"),
    ],
)
def test_a_published_file_that_cannot_be_read_is_changed_and_the_others_are_compared(
    db: duckdb.DuckDBPyConnection, write: Write, spoil: Callable[[Path], object]
) -> None:
    pairs = {n: (write("from range(99)"), write("from range(98, -1, -1)")) for n in range(7)}
    spoil(pairs[3][0])
    assert find_unchanged(db, pairs) == {0, 1, 2, 4, 5, 6}


def test_files_larger_than_the_memory_are_compared(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    query = "select md5(n::varchar) || md5((n * n)::varchar) as text, n from range({}) as r(n)"
    published, staged = write(query.format("2_000_000")), write(query.format("1_999_999, -1, -1"))
    assert published.stat().st_size > 100_000_000
    assert is_unchanged(db, published, staged)
