"""Whether a staged file holds the same content as the published one, at a fraction of the cost of writing it.

Content is the multiset of rows with the names and types of their columns. The order of rows and of columns is not
content, nor is the key-value metadata of the footer, which says who wrote the file and when. The cheapest proof first:

1. another name or type of a column, or another number of rows: changed, by the footers alone;
2. the same schema as stored and the same bytes before the footer: equal, whoever wrote the footer;
3. else each file's rows are hashed, and equal sums of the hashes prove equal content.

A sum, because it does not depend on the order and counts duplicates; exclusive or forgets every row that stands there
twice. It has 128 bits and cannot overflow. Unequal rows have equal sums by chance once in 2**64 comparisons, about
1 in 10**19; the hash has no key, so this is no seal against somebody who constructs such rows. Values are compared as
SQL does: 0.0 equals -0.0, and NaN equals NaN.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from reloads.sql import quote_text
from reloads.warehouse.parquet import pattern

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T", bound=Hashable)
Pair = tuple[Path, Path]
Columns = tuple[tuple[str, str], ...]

_READERS = 4
_CHUNK_BYTES = 1 << 20
_ROWS = "select file_name, num_rows from parquet_file_metadata(?)"
_SCHEMAS = """
select file_name, name, duckdb_type, num_children, type, type_length, repetition_type, converted_type, scale, precision,
    logical_type
from parquet_schema(?)
order by file_name, column_id
"""
# Hashed as they are. DuckDB's hash of others mixes up what differs: [], [NULL] and NULL, or a month and 30 days.
_PLAIN_TYPE = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB|JSON|UUID|DATE"
    r"|TIME(STAMP)?(_S|_MS|_NS| WITH TIME ZONE)?"
)


@dataclass(frozen=True)
class _Shape:
    """What a footer says: how many rows, the columns as DuckDB reads them, and the schema as it is stored."""

    rows: int
    columns: Columns
    stored: tuple[tuple[Any, ...], ...]


def find_unchanged(db: duckdb.DuckDBPyConnection, pairs: Mapping[T, Pair]) -> set[T]:
    """The keys of the pairs (published file, staged file) whose content is equal.

    A pair that cannot be compared is changed: a published file that is not there, or that cannot be read. Never raises
    for what a file holds. Reads footers, then bytes, then rows, each only where the step before left it open.
    """
    return _proven(db, {key: pair for key, pair in pairs.items() if pair[0].is_file()})


def _proven(db: duckdb.DuckDBPyConnection, pairs: Mapping[T, Pair]) -> set[T]:
    """The equal pairs; a file that cannot be read fails a whole query, so it is found by halving."""
    import duckdb

    if not pairs:
        return set()
    try:
        return _equal(db, pairs)
    except duckdb.Error:
        items, half = list(pairs.items()), len(pairs) // 2
        return _proven(db, dict(items[:half])) | _proven(db, dict(items[half:])) if half else set()


def _equal(db: duckdb.DuckDBPyConnection, pairs: Mapping[T, Pair]) -> set[T]:
    shapes = _shapes(db, {path for pair in pairs.values() for path in pair})
    alike = {key: (one, other) for key, (one, other) in pairs.items() if _alike(shapes[one], shapes[other])}
    stored_alike = {k: (one, other) for k, (one, other) in alike.items() if shapes[one].stored == shapes[other].stored}
    equal = {key for key, (one, _) in alike.items() if not shapes[one].rows} | _equal_bytes(stored_alike)
    by_columns: dict[tuple[Columns, Columns], dict[T, Pair]] = {}
    for key in alike.keys() - equal:
        one, other = alike[key]
        by_columns.setdefault((shapes[one].columns, shapes[other].columns), {})[key] = (one, other)
    return equal.union(*(_equal_rows(db, group, *columns) for columns, group in by_columns.items()))


def _alike(one: _Shape, other: _Shape) -> bool:
    return one.rows == other.rows and sorted(one.columns) == sorted(other.columns)


def _shapes(db: duckdb.DuckDBPyConnection, paths: Collection[Path]) -> dict[Path, _Shape]:
    patterns = [pattern(path) for path in paths]
    rows = dict(db.execute(_ROWS, [patterns]).fetchall())
    schemas = groupby(db.execute(_SCHEMAS, [patterns]).fetchall(), key=itemgetter(0))
    stored = {name: tuple(element[1:] for element in elements) for name, elements in schemas}
    return {Path(name): _Shape(rows[name], _columns(elements), elements[1:]) for name, elements in stored.items()}


def _columns(elements: tuple[tuple[Any, ...], ...]) -> Columns:
    """Names and types of the columns, of a schema that lists each element before its children."""
    columns, inside = [], 0
    for name, duckdb_type, children, *_ in elements[1:]:
        if not inside:
            columns.append((name, duckdb_type))
        inside = max(0, inside - 1) + (children or 0)
    return tuple(columns)


def _equal_bytes(pairs: Mapping[T, Pair]) -> set[T]:
    with ThreadPoolExecutor(_READERS) as readers:
        return {key for key, same in zip(pairs, readers.map(_same_bytes, pairs.values()), strict=True) if same}


def _same_bytes(pair: Pair) -> bool:
    """Whether all bytes before the footers are equal."""
    try:
        with pair[0].open("rb") as one, pair[1].open("rb") as other:
            left = _bytes_before_footer(one)
            if left != _bytes_before_footer(other):
                return False
            while left > 0:
                chunk = one.read(min(left, _CHUNK_BYTES))
                if not chunk or chunk != other.read(len(chunk)):
                    return False
                left -= len(chunk)
    except OSError:
        return False
    return True


def _bytes_before_footer(file: BinaryIO) -> int:
    """A Parquet file ends in its footer, the footer's length in four bytes, and PAR1. Leaves the file at its start."""
    end = file.seek(-8, os.SEEK_END)
    footer = int.from_bytes(file.read(4), "little")
    file.seek(0)
    return end - footer


def _equal_rows(db: duckdb.DuckDBPyConnection, pairs: Mapping[T, Pair], published: Columns, staged: Columns) -> set[T]:
    """The equal pairs, of published files that all have the same columns, and staged files that do."""
    before = _sums(db, {one for one, _ in pairs.values()}, published)
    after = _sums(db, {other for _, other in pairs.values()}, staged)
    return {key for key, (one, other) in pairs.items() if before[one] == after[other]}


def _sums(db: duckdb.DuckDBPyConnection, paths: Collection[Path], columns: Columns) -> dict[Path, int]:
    """Each file's sum of its rows' hashes, independent of the order of rows and columns."""
    by_name = sorted(range(len(columns)), key=columns.__getitem__)
    values = [
        f"c{i}" if _PLAIN_TYPE.fullmatch(columns[i][1]) else f"create_sort_key(c{i}, 'asc nulls last')" for i in by_name
    ]
    # Columns are named by position: theirs may be called like the one of the file names, or differ by case only.
    names = ", ".join([*(f"c{i}" for i in range(len(columns))), "file"])
    file = quote_text(max((name for name, _ in columns), key=len) + "_")
    # Hashed again, because a hash of several columns is the exclusive or of one of the others and one of the last: rows
    # that swap their last value keep the sum once in 10**8.
    query = f"""
        select file, sum(hash(hash({", ".join(values)})))
        from read_parquet(?, hive_partitioning = false, filename = {file}) as files({names})
        group by file
    """
    return {Path(name): total for name, total in db.execute(query, [[pattern(path) for path in paths]]).fetchall()}
