"""The fingerprint of a Parquet file's content: files with equal fingerprints hold the same, whoever wrote them.

Content is the multiset of rows, with the names and types of the columns. The order of columns, row groups, compression
and the key-value metadata are not content; of the order of rows only what ``order_by`` determines is. A fingerprint
depends on nothing else, so it can be kept with the file, which then need not be read again.

Each row is hashed to 64 bits and the hashes are added up. A sum does not depend on the order and counts duplicates;
exclusive or forgets every row that stands there twice. The sum has 128 bits and cannot overflow. So unequal contents
have equal fingerprints about once in 2**64 comparisons. The hash has no key: it does not protect against somebody who
constructs such files.

Values are equal if no reader can tell them apart. DuckDB's ``hash`` cannot tell 0.0 from -0.0, a month from 30 days,
[] and [NULL] from NULL, and many 128-bit values (0.00 from -0.01, UUIDs with swapped halves). So it is given only what
it takes whole, which are values of at most 64 bits and texts:

==========================  ========================================================================================
integers, dates, times      as they are
decimals above 18 digits,   their sort key, which holds every bit
UUIDs, intervals
floats                      the number, and whether it is -0.0. All NaNs are one value
texts, blobs, geometries    their bytes; JSON is the text that was written
structs                     whether it is NULL, and each field. The order of the fields belongs to the type
lists, maps                 the sort key of the hashes of their elements; it tells NULL, [] and [NULL] apart. The
                            order of a map's entries counts
variants                    their bytes in Parquet
==========================  ========================================================================================

A NULL is hashed like one of the 2**64 numbers. What Parquet stores as another type is compared as that, because readers
get no other: HUGEINT as DOUBLE, enums, BIT and BIGNUM as VARCHAR, arrays as lists, unions as structs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.halving import attempt_by_halves
from reloads.sql import quote_text
from reloads.warehouse.parquet import pattern

if TYPE_CHECKING:
    import duckdb

Columns = tuple[tuple[str, str], ...]
"""Name of each column, and its type as it is stored, as JSON."""

_SCHEME = 1
"""Counts up with every change of what is hashed, and how."""
_SCHEMAS = """
select file_name, name, num_children, duckdb_type, type, type_length, converted_type, scale, precision, logical_type
from parquet_schema(?)
order by file_name, column_id
"""
_SYSTEM = "system.main."
"""Stands before each function, because the sources of a table may define macros that are called like it."""
_FLOATS = {"float", "double"}
_WHOLE = {"boolean", "date", "time", "time_ns", "time with time zone", "varchar", "blob", "geometry", "null"}
_WHOLE |= {"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"}
_WHOLE |= {"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone", "timestamptz_ns"}
"""The types whose values ``hash`` takes whole, as DuckDB calls them. JSON and VARCHAR are both ``varchar`` to it."""
_LONG_DECIMAL = 19
"""Digits from which a decimal has 128 bits."""


def take_fingerprints(
    db: duckdb.DuckDBPyConnection, files: Collection[Path], *, order_by: Sequence[str] = ()
) -> dict[Path, str]:
    """The fingerprint of each file's content, a short text; a file that is missing or cannot be read is left out.

    With ``order_by`` the sequence of the values in these columns counts; rows that are equal in them may stand in
    either order. Columns that a file lacks, like those that only the partition's name holds, have no order.
    """
    import duckdb

    present = [file for file in files if file.is_file()]
    # A file that cannot be read fails the whole query.
    results = attempt_by_halves(
        present, lambda some: _take(db, some, order_by), retry_on=duckdb.Error, give_up=lambda _file, _error: {}
    )
    fingerprints: dict[Path, str] = {}
    for result in results:
        fingerprints |= result
    return fingerprints


def are_comparable(one: str, other: str) -> bool:
    """Whether two fingerprints were taken in the same way, so that they differ only if contents do.

    False if one is empty, or of another version of this module or of DuckDB, or of another ``order_by``.
    """
    return one.rpartition(":")[0] == other.rpartition(":")[0] != ""


def _take(db: duckdb.DuckDBPyConnection, files: Sequence[Path], order_by: Sequence[str]) -> dict[Path, str]:
    """One query for all files of the same columns; raises ``duckdb.Error`` if a file cannot be read."""
    groups: dict[Columns, list[Path]] = {}
    for file, columns in _read_columns(db, files).items():
        groups.setdefault(columns, []).append(file)
    way = _describe_way(order_by)
    fingerprints: dict[Path, str] = {}
    for columns, group in groups.items():
        sums = _sum_hashes(db, group, columns, order_by)
        for file in group:
            # A file without rows has no sums.
            fingerprints[file] = f"{way}:{_digest([sorted(columns), sums.get(file)])}"
    return fingerprints


def _describe_way(order_by: Sequence[str]) -> str:
    """What the fingerprint depends on besides content."""
    import duckdb

    # What hash() gives may change from one version of DuckDB to the next.
    parts = [str(_SCHEME), duckdb.__version__]
    if order_by:
        parts.append(_digest(sorted(order_by))[:8])
    return "-".join(parts)


def _digest(value: Any) -> str:
    return sha256(json.dumps(value).encode()).hexdigest()[:32]


def _read_columns(db: duckdb.DuckDBPyConnection, files: Collection[Path]) -> dict[Path, Columns]:
    elements_by_file: dict[str, list[tuple[Any, ...]]] = {}
    for file_name, *element in db.execute(_SCHEMAS, [[pattern(file) for file in files]]).fetchall():
        elements_by_file.setdefault(file_name, []).append(tuple(element))
    return {Path(file_name): _columns_of(tuple(elements)) for file_name, elements in elements_by_file.items()}


@lru_cache(maxsize=16)  # the files of one query have the same schema
def _columns_of(schema: tuple[tuple[Any, ...], ...]) -> Columns:
    _root, _, columns = _read_element(iter(schema))
    return tuple((name, json.dumps(stored)) for name, *stored in columns)


def _read_element(elements: Iterator[tuple[Any, ...]]) -> tuple[str, list[Any], list[Any]]:
    """Name, type and parts of the next element of a schema, which lists each element before its parts.

    Whether an element may be NULL is not read: DuckDB writes that according to the rows that there are.
    """
    name, part_count, *stored = next(elements)
    parts = [_read_element(elements) for _ in range(part_count or 0)]
    # How a variant is laid out depends on the values, and readers do not see it.
    return name, stored, [] if "VARIANT" in stored else parts


def _sum_hashes(
    db: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Columns, order_by: Collection[str]
) -> dict[Path, list[int]]:
    """By file with rows: how many, the sum of their hashes and, if they are ordered, a sum that tells the order."""
    options = "hive_partitioning = false"
    described = db.execute(f"from read_parquet(?, {options}) limit 0", [pattern(files[0])]).description or []
    # Columns are named by position: theirs may be called like the one of the file names or like DuckDB's
    # file_row_number, or differ by case only.
    aliases = [f"c{position}" for position in range(len(columns))]
    row: list[str] = []
    place_in_order = ["file_row_number"]
    for (name, _), alias, (_, kind, *_) in sorted(zip(columns, aliases, described, strict=True), key=itemgetter(0)):
        row += _encode(alias, kind)
        if name in order_by:
            place_in_order.append(_order_key(alias, kind))
    sums = [_sum_of_hashes(row)]
    if len(place_in_order) > 1:
        sums.append(_sum_of_hashes(place_in_order))
    file_column = quote_text(max((name for name, _ in columns), key=len) + "_")
    query = f"""
        select file, count(*), {", ".join(sums)}
        from read_parquet(?, {options}, filename = {file_column}) as files({", ".join(aliases)}, file)
        group by file
    """
    results = db.execute(query, [[pattern(file) for file in files]]).fetchall()
    return {Path(file_name): numbers for file_name, *numbers in results}


def _sum_of_hashes(values: Iterable[str]) -> str:
    # Hashed again, because a hash of several columns is the exclusive or of one of the last column and one of those
    # before it: rows that swap their last value keep the sum once in 10**8. And once more, because hashes that differ
    # in bits 63 and 31 only, or 62 and 30, are given hashes whose difference is one of a few.
    hashed = f"{_SYSTEM}hash({', '.join(values)})"
    return f"{_SYSTEM}sum({_SYSTEM}hash({_SYSTEM}hash({hashed})))"


def _encode(value: str, kind: Any) -> list[str]:
    """Expressions that ``hash`` takes whole, and that together differ for any two values of the type."""
    if _is_whole(kind):
        expressions = [value]
    elif kind.id in _FLOATS:
        expressions = [value, f"({value} = 0 and {_SYSTEM}signbit({value}))"]
    elif kind.id == "struct":
        expressions = [f"{value} is null"]
        for position, (_, field_kind) in enumerate(kind.children, start=1):
            expressions += _encode(f"{_SYSTEM}struct_extract_at({value}, {position})", field_kind)
    elif kind.id == "list":
        [(_, element_kind)] = kind.children
        expressions = [_encode_list(value, element_kind)]
    elif kind.id == "map":
        (_, key_kind), (_, value_kind) = kind.children
        expressions = [
            _encode_list(f"{_SYSTEM}map_keys({value})", key_kind),
            _encode_list(f"{_SYSTEM}map_values({value})", value_kind),
        ]
    elif kind.id == "variant":
        # A null in a variant is read as NULL.
        expressions = [_sort_key(f"{_SYSTEM}variant_to_parquet_variant({value})")]
    else:
        expressions = [_sort_key(value)]
    return expressions


def _encode_list(value: str, element_kind: Any) -> str:
    """An expression of the hashes of a list's elements."""
    hashed = f"{_SYSTEM}hash({', '.join(_encode('element', element_kind))})"
    return _sort_key(f"{_SYSTEM}list_transform({value}, lambda element: {hashed})")


def _order_key(value: str, kind: Any) -> str:
    """An expression that ``hash`` takes whole, and that is equal for the values that ``order by`` takes for equal."""
    # 0.0 and -0.0 have the same hash, and order by may put either first.
    return value if kind.id in _FLOATS or _is_whole(kind) else _sort_key(value)


def _is_whole(kind: Any) -> bool:
    if kind.id != "decimal":
        return kind.id in _WHOLE
    (_, digits), _scale = kind.children
    return int(digits) < _LONG_DECIMAL


def _sort_key(value: str) -> str:
    return f"{_SYSTEM}create_sort_key({value}, 'asc nulls last')"
