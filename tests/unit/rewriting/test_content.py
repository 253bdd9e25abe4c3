"""Fingerprints: equal for the same rows, names and types, and only for them, however the files are written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.rewriting.content import are_comparable, take_fingerprints
from reloads.sql import quote_text

Row = tuple[str, ...]
Write = Callable[..., Path]

# Literals that a reader tells apart, by type.
VALUES = {
    "boolean": ["true", "false"],
    "tinyint": ["0", "1", "-128"],
    "smallint": ["0", "1", "-32768"],
    "integer": ["0", "1", "-1", "-2147483648"],
    "bigint": ["0", "1", "-1", "4294967296", "-9223372036854775808"],
    "utinyint": ["0", "255"],
    "usmallint": ["0", "65535"],
    "uinteger": ["0", "4294967295"],
    "ubigint": ["0", "1", "18446744073709551615"],
    "float": ["'0.0'", "'-0.0'", "1.5", "'nan'", "'inf'", "'-inf'"],
    "double": ["'0.0'", "'-0.0'", "1.5", "'nan'", "'inf'", "'-inf'", "5e-324"],
    "decimal(4, 2)": ["0", "-0.01", "0.1"],
    "decimal(18, 2)": ["0", "-0.01", "0.1", "9999999999999999.99"],
    "decimal(19, 0)": ["0", "-1", "1", "1e18"],
    "decimal(38, 2)": ["0", "-0.01", "0.01", "18446744073709551616", "184467440737095516.16", "-184467440737095516.16"],
    "varchar": ["''", "'null'", "'ä'", "'a' || chr(0)", "'a'", "'a ' || repeat('b', 20)", "'A'"],
    "blob": [r"'\x00'", "''", "'a'", r"'\xFF'"],
    "json": ["'1'", "'1.0'", "' 1'", "'null'", """'{"a":1}'""", """'{"a": 1}'"""],
    "date": ["'2024-02-29'", "'1900-01-01'", "'infinity'"],
    "time": ["'00:00'", "'23:59:59.999999'"],
    "time_ns": ["'00:00'", "'00:00:00.000000001'"],
    "timetz": ["'01:00:00+00'", "'01:00:00+01'"],
    "timestamp": ["'2024-01-01'", "'2024-01-01 00:00:00.000001'", "'-infinity'"],
    "timestamp_ms": ["'2024-01-01'", "'2024-01-01 00:00:00.001'"],
    "timestamp_ns": ["'2024-01-01'", "'2024-01-01 00:00:00.000000001'"],
    "timestamptz": ["'2024-01-01 00:00:00+00'", "'2024-01-01 00:00:00+01'"],
    "interval": ["'1 month'", "'30 days'", "'1 day'", "'1 hour'", "'0 days'"],
    "uuid": [
        "'80000000-0000-0001-0000-000000000001'",
        "'80000000-0000-0002-0000-000000000002'",
        "'80000000-0000-0001-0000-000000000002'",
        "'80000000-0000-0002-0000-000000000001'",
        "'00000000-0000-0001-0000-000000000002'",
    ],
    "hugeint": ["0", "1", "-1", "18446744073709551616"],
    "uhugeint": ["0", "1", "340282366920938463463374607431768211455"],
    "bignum": ["0", "1", "-1", "340282366920938463463374607431768211456"],
    "bit": ["'0'", "'00'", "'1'"],
    "enum('a', 'b')": ["'a'", "'b'"],
    "geometry": ["'POINT(0 1)'", "'POINT(1 0)'", "'LINESTRING(0 1, 1 0)'"],
    "variant": [
        "1",
        "1::bigint",
        "'1'",
        "1.0",
        "1.00",
        "'0.0'::double",
        "'-0.0'::double",
        "'0.0'::float",
        "[]",
        "[null]",
        "[1]",
        "{a: 1}",
        "{a: null}",
        "{b: 1}",
        "{a: [1]}",
        "true",
        "date '2024-01-01'",
        "timestamp '2024-01-01'",
        "timestamptz '2024-01-01 00:00:00+00'",
        "'a'::blob",
        "'80000000-0000-0001-0000-000000000002'::uuid",
    ],
    "integer[]": ["[]", "[null]", "[1]", "[1, null]", "[null, 1]", "[2, 1]", "[1, 2]"],
    "integer[][]": ["[]", "[[]]", "[null]", "[[null]]", "[[1], [2]]", "[[1, 2]]", "[[1, 2], []]", "[[], [1, 2]]"],
    "varchar[]": ["['a', 'b']", "['a, b']", "['']", "['null']", "[null]", "[chr(0)]", "['', '']"],
    "double[]": ["['0.0']", "['-0.0']", "['0.0', '-0.0']", "['-0.0', '0.0']", "[null, '-0.0']", "[null, '0.0']"],
    "float[][]": ["[['0.0']]", "[['-0.0']]", "[['-0.0'], []]", "[[], ['-0.0']]", "[['0.0'], null]", "[['-0.0'], null]"],
    "decimal(38, 2)[]": ["[0]", "[-0.01]", "[0, -0.01]", "[-0.01, 0]"],
    "interval[]": ["['1 month']", "['30 days']"],
    "integer[2]": ["[1, 2]", "[2, 1]", "[null, null]"],
    "struct(x integer, y integer[])": [
        "{x: null, y: null}",
        "{x: null, y: []}",
        "{x: null, y: [null]}",
        "{x: 1, y: null}",
    ],
    "struct(x double, y struct(z float[]))": [
        "{x: '0.0', y: null}",
        "{x: '-0.0', y: null}",
        "{x: '0.0', y: {z: null}}",
        "{x: '0.0', y: {z: ['0.0']}}",
        "{x: '0.0', y: {z: ['-0.0']}}",
    ],
    "struct(a integer, b integer)": ["{a: 1, b: 2}", "{a: 2, b: 1}", "{a: 1, b: null}", "{a: null, b: 1}"],
    "struct(x double)[]": ["[{x: '0.0'}]", "[{x: '-0.0'}]", "[null]", "[{x: null}]"],
    "map(varchar, integer)": ["map {}", "map {'a': 1}", "map {'a': null}", "map {'a': 1, 'b': 2}", "map {'b': 2}"],
    "map(double, float[])": [
        "map {'0.0': ['0.0']}",
        "map {'-0.0': ['0.0']}",
        "map {'0.0': ['-0.0']}",
        "map {'0.0': null}",
        "map {'0.0': []}",
    ],
    "union(n integer, t varchar, d double)": [
        "union_value(n := 1)",
        "union_value(t := '1')",
        "union_value(t := '2')",
        "union_value(d := '0.0'::double)",
        "union_value(d := '-0.0'::double)",
    ],
}
FLAT_KINDS = [kind for kind in VALUES if "(" not in kind.removesuffix("[]") or kind.startswith("decimal")]
# DuckDB writes variants as columns only, and a null geometry as another type.
NESTED_KINDS = [kind for kind in FLAT_KINDS if kind not in ("variant", "geometry")]
# The type of a geometry column is written only if there is a geometry in it.
kinds = st.sampled_from(sorted(VALUES.keys() - {"geometry"}))
file_numbers = count()


@pytest.fixture(scope="module")
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"memory_limit": "100MB", "threads": 2}) as connection:
        yield connection


@pytest.fixture(scope="module")
def write(db: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """``write(query)`` makes a new file of the rows; each has another footer."""
    folder = tmp_path_factory.mktemp("files")

    def write_file(query: str, file: Path | None = None, *, options: str = "") -> Path:
        number = next(file_numbers)
        file = file or folder / f"{number}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        footer = f"kv_metadata {{run: '{number}'}}"
        db.execute(f"copy ({query}) to {quote_text(str(file))} (format parquet, {options} {footer})")
        return file

    return write_file


def are_equal(db: duckdb.DuckDBPyConnection, one: Path, other: Path, *, order_by: Sequence[str] = ()) -> bool:
    fingerprints = take_fingerprints(db, [one, other], order_by=order_by)
    assert are_comparable(fingerprints[one], fingerprints[other])
    return fingerprints[one] == fingerprints[other]


def values_of(kind: str) -> list[str]:
    """Values for one column. DuckDB's writer may store a month there for 30 days, because SQL calls them equal."""
    return [value for value in ["null", *VALUES[kind]] if "30 days" not in value]


def rows_of(kinds: list[str]) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.tuples(*(st.sampled_from(values_of(kind)) for kind in kinds)), max_size=6)


def create_table(db: duckdb.DuckDBPyConnection, kinds: list[str], rows: Sequence[Row]) -> None:
    db.execute(f"create or replace table t ({', '.join(f'c{i} {kind}' for i, kind in enumerate(kinds))})")
    for row in rows:
        db.execute(f"insert into t values ({', '.join(row)})")


# which values are equal


@pytest.mark.parametrize("kind", VALUES)
def test_every_two_values_of_a_type_differ(db: duckdb.DuckDBPyConnection, write: Write, kind: str) -> None:
    files: dict[Path, str] = {}
    for value in ["null", *VALUES[kind]]:
        files[write(f"select cast({value} as {kind}) as v")] = value
    assert_all_differ(db, files)


@pytest.mark.parametrize("kind", NESTED_KINDS)
@pytest.mark.parametrize(
    "nest",
    [
        pytest.param("[{}]", id="in a list"),
        pytest.param("[[null], null, [{}, {}]]", id="in a list in a list"),
        pytest.param("{{s: {}}}", id="in a struct"),
        pytest.param("{{s: [{{t: {}}}]}}", id="in a struct in a list in a struct"),
        pytest.param("map {{'k': {}}}", id="in a map"),
        pytest.param("map {{1: [map {{2: {}}}]}}", id="in a map in a list in a map"),
        pytest.param("[{{s: {{t: {}}}, u: [1.5::double]}}]", id="beside a list of floats"),
        pytest.param("union_value(u := {})", id="in a union"),
    ],
)
def test_every_two_values_differ_inside_others(
    db: duckdb.DuckDBPyConnection, write: Write, kind: str, nest: str
) -> None:
    files: dict[Path, str] = {}
    for value in ["null", *VALUES[kind]]:
        literal = f"cast({value} as {kind})"
        files[write(f"select {nest.format(literal, literal)} as v")] = value
    assert_all_differ(db, files)


@pytest.mark.parametrize("kind", NESTED_KINDS)
def test_every_two_values_differ_as_keys_of_maps(db: duckdb.DuckDBPyConnection, write: Write, kind: str) -> None:
    assert_all_differ(db, {write(f"select map {{cast({value} as {kind}): 1}} as v"): value for value in VALUES[kind]})


def assert_all_differ(db: duckdb.DuckDBPyConnection, files: dict[Path, str]) -> None:
    fingerprints = take_fingerprints(db, list(files))
    values_by_text: dict[str, list[str]] = {}
    for file, value in files.items():
        values_by_text.setdefault(fingerprints[file], []).append(value)
    assert [values for values in values_by_text.values() if len(values) > 1] == []


def test_every_type_that_is_written_has_fingerprints(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    names = db.execute("select distinct type_name from duckdb_types()")
    written: dict[Path, str] = {}
    for (name,) in names.fetchall():
        try:
            written[write(f'select null::"{name}" as v')] = name
        except duckdb.Error:
            continue
    assert len(written) > 30
    assert take_fingerprints(db, list(written)).keys() == written.keys()


def test_what_is_stored_as_another_type_is_that_type(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    # Readers see the same double, so they see no change.
    assert are_equal(
        db, write("select 9007199254740993::hugeint as v"), write("select 9007199254740992.0::double as v")
    )
    assert are_equal(db, write("select 'a'::enum('a', 'b') as v"), write("select 'a' as v"))


def test_all_nans_are_one_value(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    assert are_equal(db, write("select 'nan'::double as v"), write("select -('nan'::double) as v"))


# which files are equal


@given(st.data())
def test_files_are_equal_when_the_same_rows_are_there_equally_often(
    db: duckdb.DuckDBPyConnection, write: Write, data: st.DataObject
) -> None:
    columns = data.draw(st.lists(kinds, min_size=1, max_size=4))
    rows = data.draw(rows_of(columns))
    other_rows = data.draw(st.permutations(rows) | rows_of(columns))
    create_table(db, columns, rows)
    one = write("from t")
    create_table(db, columns, other_rows)
    order = data.draw(st.permutations(range(len(columns))))
    other = write(f"select {', '.join(f'c{position}' for position in order)} from t")
    assert are_equal(db, one, other) == (Counter(rows) == Counter(other_rows))


@given(st.data())
def test_a_single_changed_value_is_a_change(db: duckdb.DuckDBPyConnection, write: Write, data: st.DataObject) -> None:
    columns = data.draw(st.lists(kinds, min_size=1, max_size=4))
    rows = data.draw(rows_of(columns).filter(bool))
    create_table(db, columns, rows)
    one = write("from t")
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(columns) - 1))
    others = [value for value in values_of(columns[column]) if value != rows[row][column]]
    changed = data.draw(st.sampled_from(others))
    rows[row] = (*rows[row][:column], changed, *rows[row][column + 1 :])
    create_table(db, columns, rows)
    assert not are_equal(db, one, write("from t"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("values (1), (1), (2), (2)", "values (1), (1), (1), (1)", id="pairs, which an xor forgets"),
        pytest.param("values (1), (1), (2)", "values (1), (2), (2)", id="one doubled and another removed"),
        pytest.param("values (1), (2)", "values (1), (2), (2)", id="one more"),
        pytest.param("values (0)", "values (0), (0)", id="one more, whose hash is nothing"),
        pytest.param("values (1, null), (2, 3)", "values (null, 1), (2, 3)", id="a null in another column"),
        pytest.param("values (null::integer, 1)", "values (null::integer, null::integer)", id="a null more"),
        pytest.param("values (1, 2), (3, 4)", "values (1, 4), (3, 2)", id="values of two rows swapped"),
        pytest.param(
            "values (18, 'ok'), (124, 'b107197')",
            "values (124, 'ok'), (18, 'b107197')",
            id="swapped, with equal sums of simple hashes",
        ),
        pytest.param(
            "values (195, 1), (52709, 5020621115105268812)",
            "values (52709, 1), (195, 5020621115105268812)",
            id="swapped, with equal sums of twice hashed hashes",
        ),
        pytest.param(
            "values (0::decimal(38, 0), (-1)::decimal(38, 0))",
            "values ((-1)::decimal(38, 0), 0::decimal(38, 0))",
            id="swapped between columns",
        ),
        pytest.param("select 1 as a", "select 1 as b", id="another name"),
        pytest.param("select 1 as a, 2 as b", "select 1 as b, 2 as a", id="names swapped"),
        pytest.param("select 1 as a", "select 1 as A", id="another case"),
        pytest.param("select 1 as a", "select 1::bigint as a", id="another type"),
        pytest.param("select 0 as a", "select date '1970-01-01' as a", id="another type of the same bytes"),
        pytest.param("select 1::decimal(4, 0) as a", "select 0.01::decimal(4, 2) as a", id="another scale"),
        pytest.param("select timestamp '2024-01-01' as a", "select timestamp_ms '2024-01-01' as a", id="another unit"),
        pytest.param(
            "select timestamp '2024-01-01' as a",
            "select timestamptz '2024-01-01 00:00:00+00' as a",
            id="a time zone",
        ),
        pytest.param("select 1 as a", "select 1 as a, null as b", id="another column"),
        pytest.param("select '1' as a", "select '1'::blob as a", id="text or bytes"),
        pytest.param("select '1' as a", "select '1'::json as a", id="text or JSON"),
        pytest.param("select {a: 1} as s", "select {b: 1} as s", id="another name inside"),
        pytest.param("select {a: 1, b: 2} as s", "select {b: 2, a: 1} as s", id="another order of fields"),
        pytest.param("select [1] as s", "select [1::bigint] as s", id="another type inside"),
        pytest.param("select map {1: 2, 3: 4} as s", "select map {3: 4, 1: 2} as s", id="another order of a map"),
        pytest.param("select 1 as a limit 0", "select 1 as b limit 0", id="another name and no rows"),
        pytest.param("select 1 as a limit 0", "select null::integer as a", id="a row of nothing"),
        pytest.param(
            "select 1 as file_row_number, 2 as b", "select 2 as file_row_number, 2 as b", id="a column called like ours"
        ),
    ],
)
def test_it_is_a_change(db: duckdb.DuckDBPyConnection, write: Write, one: str, other: str) -> None:
    assert not are_equal(db, write(one), write(other))


@pytest.mark.parametrize(
    ("one", "other"),
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
            "select [{a: 1}] as s, 1 as n union all select [null], 2",
            "select [null::struct(a integer)] as s, 2 as n union all select [{a: 1}], 1",
            id="nested values that may be null",
        ),
    ],
)
def test_it_is_not_a_change(db: duckdb.DuckDBPyConnection, write: Write, one: str, other: str) -> None:
    assert are_equal(db, write(one), write(other))


@pytest.mark.parametrize(
    "options",
    [
        "compression uncompressed,",
        "compression zstd,",
        "row_group_size 2048,",
        "parquet_version v2,",
        "string_dictionary_page_size_limit 1,",
    ],
)
def test_how_a_file_is_written_is_not_content(db: duckdb.DuckDBPyConnection, write: Write, options: str) -> None:
    query = "select n, n % 7 as seven, 'text ' || n % 100 as t, [n, n / 3] as l from range(20000) r(n)"
    assert are_equal(db, write(query), write(query, options=options))


def test_how_variants_are_laid_out_is_not_content(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    query = "select n, {a: n}::variant as v from range(10) r(n)"
    one, other = write(query), write(query, options="shredding {v: 'varchar'},")
    schemas = [db.execute("from parquet_schema(?)", [str(file)]).fetchall() for file in (one, other)]
    assert len(schemas[0]) != len(schemas[1])
    assert are_equal(db, one, other)


def test_files_of_several_schemas_are_read_together(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    queries = ["select 1 as a, 2 as b", "select 2 as b, 1 as a", "select 'x' as a", "select 'y' as c, [1] as l"]
    files = [write(query) for query in queries]
    fingerprints = take_fingerprints(db, files)
    assert len(set(fingerprints.values())) == 3
    assert fingerprints == {file: take_fingerprints(db, [file])[file] for file in files}


def test_no_files(db: duckdb.DuckDBPyConnection) -> None:
    assert take_fingerprints(db, []) == {}


def test_names_that_differ_by_case_only_are_two_columns(db: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    files: list[Path] = []
    for values in ([1, 2], [1, 3], [2, 1]):
        files.append(tmp_path / f"{len(files)}.parquet")
        pq.write_table(pa.table([values[:1], values[1:]], names=["a", "A"]), files[-1])
    assert len(set(take_fingerprints(db, files).values())) == 3


def test_macros_of_the_sources_are_not_used(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    one, other = write("select [1.5::double] as a, 2 as b"), write("select [2.5::double] as a, 2 as b")
    before = take_fingerprints(db, [one, other], order_by=["b"])
    names = ["hash", "sum", "signbit", "create_sort_key", "list_transform", "list_contains"]
    for name in names:
        db.execute(f"create macro {name}(x) as 0, (x, y) as 0")
    try:
        assert take_fingerprints(db, [one, other], order_by=["b"]) == before
    finally:
        for name in names:
            db.execute(f"drop macro {name}")


# the order of rows


@given(st.data())
def test_the_order_of_rows_counts_as_far_as_order_by_says(
    write: Write, db: duckdb.DuckDBPyConnection, data: st.DataObject
) -> None:
    values = st.tuples(
        st.sampled_from(["null", "0", "1"]), st.sampled_from(["'a'", "'b'"]), st.sampled_from(["2", "3"])
    )
    rows = data.draw(st.lists(values, max_size=5))
    other_rows = data.draw(st.permutations(rows) | st.lists(values, max_size=5))
    order_by = data.draw(st.sampled_from([["c0"], ["c1"], ["c0", "c1"], ["c1", "c0"], ["c0", "c1", "c2"]]))
    positions = [int(name[1:]) for name in order_by]
    create_table(db, ["integer", "varchar", "bigint"], rows)
    one = write("from t")
    create_table(db, ["integer", "varchar", "bigint"], other_rows)
    other = write("select c2, c1, c0 from t")
    sequences = [[[row[position] for position in positions] for row in some] for some in (rows, other_rows)]
    is_same = Counter(rows) == Counter(other_rows) and sequences[0] == sequences[1]
    assert are_equal(db, one, other, order_by=order_by) == is_same


def test_the_order_holds_in_files_of_many_row_groups(tmp_path: Path) -> None:
    with duckdb.connect(config={"threads": 2}) as db:
        files = [tmp_path / f"{number}.parquet" for number in range(3)]
        query = "copy (select n % 5 as other, n from range(100_000) r(n) order by {}) to {} (format parquet {})"
        db.execute(query.format("n", quote_text(str(files[0])), ""))
        db.execute(query.format("n", quote_text(str(files[1])), ", row_group_size 2048"))
        db.execute(query.format("if(n > 99_997, -n, n)", quote_text(str(files[2])), ""))
        assert are_equal(db, files[0], files[1], order_by=["n"])
        assert not are_equal(db, files[0], files[2], order_by=["n"])
        assert are_equal(db, files[0], files[2])


def test_order_by_of_a_column_that_the_file_lacks_orders_nothing(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    assert are_equal(db, write("values (1), (2)"), write("values (2), (1)"), order_by=["day"])


def test_zeros_that_order_by_takes_for_equal_may_stand_in_either_order(
    db: duckdb.DuckDBPyConnection, write: Write
) -> None:
    rows = [
        "select '0.0'::double as x, 1 as n",
        "select '-0.0'::double as x, 2 as n",
        "select 1.0::double as x, 3 as n",
    ]
    one, other, unordered = (
        write(" union all ".join(rows[place] for place in order)) for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1])
    )
    assert are_equal(db, one, other, order_by=["x"])
    assert not are_equal(db, one, unordered, order_by=["x"])


# the text


def test_a_fingerprint_is_the_same_in_every_process(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    columns = "n, n / 7 as d, 'text ' || n as t, n::decimal(38, 2) as w, [n, -n / 3] as l, {a: n} as s"
    file = write(f"select {columns} from range(9999) r(n)")
    program = (
        "import duckdb, sys; from pathlib import Path; from reloads.rewriting.content import take_fingerprints; "
        "db = duckdb.connect(config={'threads': 1, 'preserve_insertion_order': False}); "
        "print(*take_fingerprints(db, [Path(sys.argv[1])], order_by=['n']).values())"
    )
    other = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == take_fingerprints(db, [file], order_by=["n"])[file]


def test_a_fingerprint_says_how_it_was_taken(
    db: duckdb.DuckDBPyConnection, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("select 1 as a, 2 as b")
    plain = take_fingerprints(db, [file])[file]
    ordered = take_fingerprints(db, [file], order_by=["a"])[file]
    ordered_otherwise = take_fingerprints(db, [file], order_by=["b"])[file]
    monkeypatch.setattr(duckdb, "__version__", "2.0.1")
    later = take_fingerprints(db, [file])[file]
    texts = [plain, ordered, ordered_otherwise, later]
    for text in texts:
        assert [are_comparable(text, other) for other in texts].count(True) == 1
        assert not are_comparable(text, "")
    assert not are_comparable("", "")


# what cannot be read


def test_the_names_of_folders_are_not_content(db: duckdb.DuckDBPyConnection, write: Write, tmp_path: Path) -> None:
    one = write("select 1 as n, 'x' as day", tmp_path / "day=2024-01-01" / "data.parquet")
    other = write("select 'x' as day, 1 as n", tmp_path / "day=2024-01-02" / "staged.parquet")
    assert are_equal(db, one, other)


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
    assert are_equal(db, file, write("select 2 as b, 1 as n"))
    monkeypatch.chdir(tmp_path)
    assert are_equal(db, Path(os.pardir, tmp_path.name, name, "data.parquet"), write("select 2 as b, 1 as n"))


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
def test_a_file_that_cannot_be_read_is_left_out_and_the_others_are_not(
    db: duckdb.DuckDBPyConnection, write: Write, spoil: Callable[[Path], object]
) -> None:
    files = [write("from range(99)") for _ in range(7)]
    spoil(files[3])
    fingerprints = take_fingerprints(db, files)
    assert list(fingerprints) == files[:3] + files[4:]
    assert len(set(fingerprints.values())) == 1


def test_files_larger_than_the_memory_are_read(db: duckdb.DuckDBPyConnection, write: Write) -> None:
    query = "select md5(n::varchar) || md5((n * n)::varchar) as text, n from range({}) as r(n)"
    one, other = write(query.format("2_000_000")), write(query.format("1_999_999, -1, -1"))
    assert one.stat().st_size > 100_000_000
    assert are_equal(db, one, other)
