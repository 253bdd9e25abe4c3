"""A partition filter says the same of rows and of folder names; slices neither overlap nor leave anything out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.partition_filter import PartitionFilter

KEYS = ("origin", "odd key\"'%")
TYPES = {"varchar": str, "integer": int, "bigint": int, "date": date}

texts = st.sampled_from(
    ["EWR", "ewr", "a/b", "50%", "k=v", "it's", 'say "x"', "Zürich ✈", " ", ".", "-1", "2025-01-01"]
)
any_text = texts | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
numbers = st.integers(-3, 12)
dates = st.dates(date(2024, 12, 28), date(2025, 1, 4))
columns_of_values: dict[str, st.SearchStrategy[Any]] = {"varchar": any_text, "integer": numbers, "date": dates}


@pytest.fixture(scope="module")
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """The types of the keys, and rows of them; each row stands for a partition."""
    types = draw(st.tuples(*[st.sampled_from(list(columns_of_values))] * len(KEYS)))
    rows = st.tuples(*(columns_of_values[kind] for kind in types))
    return types, draw(st.lists(rows, unique=True, max_size=12))


@st.composite
def choices(draw: st.DrawFn, rows: Sequence[tuple[object, ...]]) -> tuple[Mapping[str, tuple[str, ...]], ...]:
    """Key filters, of values that occur in the rows and of values that do not."""
    key_filters = []
    for _ in range(draw(st.integers(0, 3))):
        key_filter = {}
        for key in draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=len(KEYS))):
            row_texts = [str(row[KEYS.index(key)]) for row in rows]
            values = st.sampled_from(row_texts or ["x"]) | any_text
            key_filter[key] = tuple(draw(st.lists(values, min_size=1, max_size=3, unique=True)))
        key_filters.append(key_filter)
    return tuple(key_filters)


def rows_within(
    db: duckdb.DuckDBPyConnection,
    partition_filter: PartitionFilter,
    types: Sequence[str],
    rows: Sequence[tuple[object, ...]],
) -> set[int]:
    """The numbers of the rows that the condition lets through, as the staging query asks."""
    columns = [f'"odd key""\'%" {types[1]}', f"origin {types[0]}"]
    db.execute(f"create or replace table t (n integer, {columns[1]}, {columns[0]})")
    if rows:
        db.executemany("insert into t values (?, ?, ?)", [(n, *row) for n, row in enumerate(rows)])
    condition, values = partition_filter.condition(KEYS)
    return {n for (n,) in db.execute(f"select n from t where {condition}", values).fetchall()}


def names_held(
    db: duckdb.DuckDBPyConnection, partition_filter: PartitionFilter, rows: Sequence[tuple[object, ...]]
) -> set[int]:
    """The numbers of the partitions of these rows that are in the partition_filter, by their names."""
    names = {str(n): tuple(map(str, row)) for n, row in enumerate(rows)}
    return {int(name) for name in partition_filter.select(db, names, KEYS)}


def expected(partition_filter: PartitionFilter, rows: Sequence[tuple[object, ...]]) -> set[int]:
    """What the key filters mean, without a database."""

    def passes(row: tuple[object, ...], key_filter: Mapping[str, tuple[str, ...]]) -> bool:
        return all(str(row[KEYS.index(key)]) in values for key, values in key_filter.items())

    numbers_in: set[int] = set()
    for n, row in enumerate(rows):
        passing = [key_filter for key_filter in partition_filter.key_filters if passes(row, key_filter)]
        is_excluded = any(passes(row, key_filter) for key_filter in partition_filter.excluded)
        if (passing or not partition_filter.key_filters) and not is_excluded:
            numbers_in.add(n)
    return numbers_in


@given(data=st.data(), table=tables(), of=st.integers(1, 5))
def test_rows_and_names_agree_on_what_is_in(
    db: duckdb.DuckDBPyConnection, data: st.DataObject, table: Any, of: int
) -> None:
    types, rows = table
    number, excluded = data.draw(st.integers(0, of - 1)), data.draw(choices(rows))
    partition_filter = PartitionFilter(data.draw(choices(rows)), number, of, excluded)
    assert rows_within(db, partition_filter, types, rows) == names_held(db, partition_filter, rows)


@given(data=st.data(), table=tables(), of=st.integers(1, 7))
def test_slices_are_disjoint_and_together_the_whole(
    db: duckdb.DuckDBPyConnection, data: st.DataObject, table: Any, of: int
) -> None:
    types, rows = table
    key_filters, excluded = data.draw(choices(rows)), data.draw(choices(rows))
    whole = PartitionFilter(key_filters, excluded=excluded)
    slices = [rows_within(db, PartitionFilter(key_filters, number, of, excluded), types, rows) for number in range(of)]
    assert not [left & right for left, right in combinations(slices, 2) if left & right]
    assert set().union(*slices) == rows_within(db, whole, types, rows) == expected(whole, rows)


def test_a_null_is_none_of_the_values_that_are_left_out(db: duckdb.DuckDBPyConnection) -> None:
    condition, values = PartitionFilter(excluded=({"k": ("a",)},)).condition(["k"])
    rows = db.execute(f"select k from (values ('a'), ('b'), (null)) as t(k) where {condition}", values).fetchall()
    assert rows == [("b",), (None,)]


# two filters: whether they overlap, and both as one

ROWS = [(left, right) for left in "abc" for right in "xyz"]
small_filters = st.dictionaries(
    st.sampled_from(KEYS), st.lists(st.sampled_from("abcxyz"), min_size=1, max_size=3, unique=True).map(tuple)
)
filters_of_rows = st.builds(
    lambda key_filters, excluded: PartitionFilter(tuple(key_filters), excluded=tuple(excluded)),
    st.lists(small_filters, max_size=3),
    st.lists(small_filters, max_size=3),
)


@given(left=filters_of_rows, right=filters_of_rows)
def test_filters_that_do_not_overlap_have_no_partition_in_common(left: PartitionFilter, right: PartitionFilter) -> None:
    assert left.overlaps(right) == right.overlaps(left)
    if not left.overlaps(right):
        assert expected(left, ROWS) & expected(right, ROWS) == set()


@given(left=filters_of_rows, right=filters_of_rows)
def test_the_union_of_two_filters_passes_what_one_of_them_passes(left: PartitionFilter, right: PartitionFilter) -> None:
    union = left.union(right)
    if union is not None:
        assert expected(union, ROWS) == expected(left, ROWS) | expected(right, ROWS)


A, B, AB = ({"k": ("a",)},), ({"k": ("b",)},), ({"k": ("a", "b")},)


@pytest.mark.parametrize(
    ("left", "right", "overlap", "union"),
    [
        pytest.param(PartitionFilter(), PartitionFilter(A), True, PartitionFilter(), id="all swallow one"),
        pytest.param(PartitionFilter(A), PartitionFilter(B), False, PartitionFilter((*A, *B)), id="two values"),
        pytest.param(PartitionFilter(A), PartitionFilter(A), True, PartitionFilter(A), id="one value twice"),
        pytest.param(
            PartitionFilter(A), PartitionFilter(excluded=A), False, PartitionFilter(), id="a value and all others"
        ),
        pytest.param(
            PartitionFilter(B),
            PartitionFilter(excluded=A),
            True,
            PartitionFilter(excluded=A),
            id="a value and all but another",
        ),
        pytest.param(PartitionFilter(A), PartitionFilter(excluded=AB), False, None, id="a part of what is left out"),
        pytest.param(PartitionFilter(({"j": ("x",)},)), PartitionFilter(A), True, None, id="values of two keys"),
    ],
)
def test_filters_overlap_unless_their_values_say_otherwise(
    left: PartitionFilter,
    right: PartitionFilter,
    overlap: bool,  # noqa: FBT001 - of a table
    union: PartitionFilter | None,
) -> None:
    assert left.overlaps(right) == overlap
    if union is None and left.key_filters and right.key_filters:
        union = PartitionFilter((*left.key_filters, *right.key_filters))
    assert left.union(right) == union


def test_slices_share_the_keys_about_evenly(db: duckdb.DuckDBPyConnection) -> None:
    rows = [(f"k{n}", n) for n in range(400)]
    sizes = [len(names_held(db, PartitionFilter(slice_number=number, slice_count=4), rows)) for number in range(4)]
    assert sum(sizes) == 400
    assert min(sizes) > 60


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        pytest.param("integer", 7, "7", id="an integer"),
        pytest.param("bigint", -(2**40), "-1099511627776", id="a large negative one"),
        pytest.param("date", date(2025, 1, 5), "2025-01-05", id="a date"),
        pytest.param("boolean", True, "true", id="a boolean"),
        pytest.param("varchar", "' or true --", "' or true --", id="a text that is SQL"),
        pytest.param("varchar", "Zürich", "Zürich", id="letters of other alphabets"),
        pytest.param("varchar", "50%_", "50%_", id="signs that patterns know"),
    ],
)
def test_a_value_is_chosen_by_its_text(db: duckdb.DuckDBPyConnection, kind: str, value: object, text: str) -> None:
    partition_filter = PartitionFilter(key_filters=({"k": (text,)},))
    condition, values = partition_filter.condition(["k"])
    [(passes,)] = db.execute(f"select {condition} from (select cast(? as {kind}) as k)", [*values, value]).fetchall()
    assert passes
    assert partition_filter.select(db, {"here": (text,), "there": (f"{text}x",)}, ["k"]) == {"here"}


def test_upper_and_lower_case_are_two_values(db: duckdb.DuckDBPyConnection) -> None:
    partition_filter = PartitionFilter(key_filters=({"k": ("EWR",)},))
    assert partition_filter.select(db, {"up": ("EWR",), "down": ("ewr",)}, ["k"]) == {"up"}


def test_one_of_several_choices_is_enough_and_each_wants_all_of_its_keys(db: duckdb.DuckDBPyConnection) -> None:
    partition_filter = PartitionFilter(key_filters=({"a": ("1",), "b": ("x", "y")}, {"b": ("z",)}))
    names = {"1x": ("1", "x"), "1y": ("1", "y"), "2x": ("2", "x"), "2z": ("2", "z"), "1w": ("1", "w")}
    assert partition_filter.select(db, names, ["a", "b"]) == {"1x", "1y", "2z"}


def test_a_choice_of_no_key_wants_everything(db: duckdb.DuckDBPyConnection) -> None:
    partition_filter = PartitionFilter(key_filters=({}, {"a": ("1",)}))
    assert partition_filter.select(db, {"x": ("2",)}, ["a"]) == {"x"}


def test_no_names_and_the_whole_ask_nobody(db: duckdb.DuckDBPyConnection) -> None:
    assert PartitionFilter(slice_number=1, slice_count=2).select(db, {}, ["a"]) == set()
    assert PartitionFilter().select(db, {"x": (), "y": ()}, []) == {"x", "y"}
    assert PartitionFilter().condition([]) == ("true", [])


@pytest.mark.parametrize(
    ("partition_filter", "is_whole", "text"),
    [
        (PartitionFilter(), True, ""),
        (PartitionFilter(slice_number=0, slice_count=2), False, "part 1 of 2"),
        (PartitionFilter(({"origin": ("EWR",)},)), False, "origin EWR"),
        (PartitionFilter(({"origin": ("EWR", "JFK"), "kind": ("a",)},)), False, "origin EWR/JFK, kind a"),
        (PartitionFilter(({"origin": ("EWR",)}, {"kind": ("a",)}), 2, 3), False, "origin EWR or kind a, part 3 of 3"),
        (PartitionFilter(excluded=({"origin": ("EWR",)}, {"kind": ("a",)})), False, "without origin EWR or kind a"),
        (PartitionFilter(({"origin": tuple("abcde")},)), False, "origin a/b/c/… (5 values)"),
    ],
    ids=["the whole", "a slice", "a value", "two keys", "a slice of two choices", "all others", "many"],
)
def test_it_says_what_it_is(partition_filter: PartitionFilter, is_whole: bool, text: str) -> None:  # noqa: FBT001 - of a table
    assert (partition_filter.is_whole, str(partition_filter)) == (is_whole, text)


names_of_keys = st.text(min_size=1, max_size=5)
many_filters = st.lists(
    st.dictionaries(names_of_keys, st.lists(any_text, max_size=3).map(tuple), max_size=3), max_size=3
).map(tuple)
scopes = st.builds(PartitionFilter, many_filters, st.integers(0, 63), st.integers(1, 64), many_filters)


@given(partition_filter=scopes)
def test_it_comes_back_from_json_as_it_was(partition_filter: PartitionFilter) -> None:
    assert PartitionFilter.from_json(json.loads(json.dumps(partition_filter.to_json()))) == partition_filter
