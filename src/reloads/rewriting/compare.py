"""Whether a staged file holds the same content as the published one, at a fraction of the cost of writing it.

Content is the multiset of rows with the names and types of their columns. The order of rows and of columns is not
content, nor is the key-value metadata of the footer, which says who wrote the file and when. The cheapest proof first:

1. another name or type of a column, or another number of rows: changed, by the footers alone;
2. the same schema as stored and the same bytes before the footer: equal, whoever wrote the footer;
3. else each file's rows are hashed, and equal sums of the hashes prove equal content.

A sum, because it does not depend on the order and counts duplicates; exclusive or forgets every row that stands there
twice. It has 128 bits and cannot overflow. Unequal rows have equal sums by chance once in 2**64 comparisons, about
1 in 10**19; the hash has no key, so it does not protect against somebody who constructs such rows. Values are compared
as SQL does: 0.0 equals -0.0, and NaN equals NaN.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from reloads.halving import attempt_by_halves
from reloads.sql import quote_text
from reloads.warehouse.parquet import pattern

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T", bound=Hashable)
Pair = tuple[Path, Path]
"""A published file and the staged one that would replace it."""
Columns = tuple[tuple[str, str], ...]
"""Name and type of each column."""
Element = tuple[Any, ...]
"""A line of a stored schema: the root, a column, or a part of a nested column."""

_READER_THREADS = 4
_CHUNK_BYTES = 1 << 20
_ROW_COUNTS = "select file_name, num_rows from parquet_file_metadata(?)"
_SCHEMAS = """
select file_name, name, duckdb_type, num_children, type, type_length, repetition_type, converted_type, scale, precision,
    logical_type
from parquet_schema(?)
order by file_name, column_id
"""
# Hashed as they are. DuckDB's hash of other types mixes up what differs: [], [NULL] and NULL, or a month and 30 days.
_PLAIN_TYPE = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB|JSON|UUID|DATE"
    r"|TIME(STAMP)?(_S|_MS|_NS| WITH TIME ZONE)?"
)


@dataclass(frozen=True)
class _Footer:
    """What a footer says: how many rows, the columns as DuckDB reads them, and the schema as it is stored."""

    rows: int
    columns: Columns
    schema: tuple[Element, ...]


def find_unchanged(db: duckdb.DuckDBPyConnection, pairs: Mapping[T, Pair]) -> set[T]:
    """The keys of the pairs (published file, staged file) whose content is equal.

    A pair that cannot be compared counts as changed: a published file that is missing or cannot be read. Never raises
    for what a file holds. Reads footers, then bytes, then rows, each only where the step before left it open.
    """
    import duckdb

    present = [(key, pair) for key, pair in pairs.items() if pair[0].is_file()]
    # A file that cannot be read fails the whole query.
    equal_keys = attempt_by_halves(
        present, lambda items: _find_equal(db, items), retry_on=duckdb.Error, give_up=lambda _item, _error: set()
    )
    return set().union(*equal_keys)


def _find_equal(db: duckdb.DuckDBPyConnection, pairs: Sequence[tuple[T, Pair]]) -> set[T]:
    files: set[Path] = set()
    for _, pair in pairs:
        files.update(pair)
    footers = _read_footers(db, files)
    equal: set[T] = set()
    same_schema: dict[T, Pair] = {}
    same_columns: dict[T, Pair] = {}
    for key, (published, staged) in pairs:
        before, after = footers[published], footers[staged]
        if before.rows != after.rows or sorted(before.columns) != sorted(after.columns):
            continue
        if not before.rows:
            equal.add(key)
        elif before.schema == after.schema:
            same_schema[key] = (published, staged)
        else:
            same_columns[key] = (published, staged)
    same_bytes = _find_equal_bytes(same_schema)
    unproven = same_columns | {key: pair for key, pair in same_schema.items() if key not in same_bytes}
    return equal | same_bytes | _find_equal_rows(db, unproven, footers)


def _read_footers(db: duckdb.DuckDBPyConnection, files: Collection[Path]) -> dict[Path, _Footer]:
    patterns = [pattern(file) for file in files]
    row_counts = dict(db.execute(_ROW_COUNTS, [patterns]).fetchall())
    schemas: dict[str, list[Element]] = {}
    for file_name, *element in db.execute(_SCHEMAS, [patterns]).fetchall():
        schemas.setdefault(file_name, []).append(tuple(element))
    footers: dict[Path, _Footer] = {}
    for file_name, (_root, *elements) in schemas.items():
        footers[Path(file_name)] = _Footer(row_counts[file_name], _top_columns(elements), tuple(elements))
    return footers


def _top_columns(elements: Iterable[Element]) -> Columns:
    """Names and types of the columns, of a schema that lists each element before its children."""
    columns: list[tuple[str, str]] = []
    nested_count = 0
    for name, duckdb_type, child_count, *_ in elements:
        if nested_count:
            nested_count -= 1
        else:
            columns.append((name, duckdb_type))
        nested_count += child_count or 0
    return tuple(columns)


def _find_equal_bytes(pairs: Mapping[T, Pair]) -> set[T]:
    with ThreadPoolExecutor(_READER_THREADS) as threads:
        are_same = threads.map(_has_same_bytes, pairs.values())
        return set(compress(pairs, are_same))


def _has_same_bytes(pair: Pair) -> bool:
    """Whether all bytes before the footers are equal."""
    published_path, staged_path = pair
    try:
        with published_path.open("rb") as published, staged_path.open("rb") as staged:
            remaining = _bytes_before_footer(published)
            if remaining != _bytes_before_footer(staged):
                return False
            while remaining > 0:
                chunk = published.read(min(remaining, _CHUNK_BYTES))
                if not chunk or chunk != staged.read(len(chunk)):
                    return False
                remaining -= len(chunk)
    except OSError:
        return False
    return True


def _bytes_before_footer(file: BinaryIO) -> int:
    """A Parquet file ends in its footer, the footer's length in four bytes, and PAR1. Leaves the file at its start."""
    end = file.seek(-8, os.SEEK_END)
    footer_bytes = int.from_bytes(file.read(4), "little")
    file.seek(0)
    return end - footer_bytes


def _find_equal_rows(db: duckdb.DuckDBPyConnection, pairs: Mapping[T, Pair], footers: Mapping[Path, _Footer]) -> set[T]:
    """The pairs with equal sums of hashes; one query each for all published and all staged files of equal columns."""
    groups: dict[tuple[Columns, Columns], dict[T, Pair]] = {}
    for key, (published, staged) in pairs.items():
        columns = (footers[published].columns, footers[staged].columns)
        groups.setdefault(columns, {})[key] = (published, staged)
    equal: set[T] = set()
    for (published_columns, staged_columns), group in groups.items():
        before = _sum_hashes(db, {published for published, _ in group.values()}, published_columns)
        after = _sum_hashes(db, {staged for _, staged in group.values()}, staged_columns)
        for key, (published, staged) in group.items():
            if before[published] == after[staged]:
                equal.add(key)
    return equal


def _sum_hashes(db: duckdb.DuckDBPyConnection, files: Collection[Path], columns: Columns) -> dict[Path, int]:
    """Each file's sum of its rows' hashes, independent of the order of rows and columns."""
    # Columns are named by position: theirs may be called like the one of the file names, or differ by case only.
    aliases = [f"c{position}" for position in range(len(columns))]
    values: list[str] = []
    for (_, column_type), alias in sorted(zip(columns, aliases, strict=True), key=itemgetter(0)):
        is_plain = _PLAIN_TYPE.fullmatch(column_type)
        values.append(alias if is_plain else f"create_sort_key({alias}, 'asc nulls last')")
    file_column = quote_text(max((name for name, _ in columns), key=len) + "_")
    # Hashed again, because a hash of several columns is the exclusive or of one of the last column and one of those
    # before it: rows that swap their last value keep the sum once in 10**8.
    query = f"""
        select file, sum(hash(hash({", ".join(values)})))
        from read_parquet(?, hive_partitioning = false, filename = {file_column}) as files({", ".join(aliases)}, file)
        group by file
    """
    sums = db.execute(query, [[pattern(file) for file in files]]).fetchall()
    return {Path(file_name): total for file_name, total in sums}
