"""Which type of Delta Lake a column has, by the type that DuckDB has it as.

A Delta table lies over the files that DuckDB wrote, so its types are those that polars, pyarrow, pandas, Spark and
DuckDB all read from these files (tried with deltalake 1.6.6, polars 2.1, pyarrow 26).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLAIN_TYPES = {
    "boolean": "boolean",
    "tinyint": "byte",
    "smallint": "short",
    "integer": "integer",
    "bigint": "long",
    # Delta has no unsigned types; the next larger one holds all values.
    "utinyint": "short",
    "usmallint": "integer",
    "uinteger": "long",
    "float": "float",
    "double": "double",
    "varchar": "string",
    "enum": "string",
    "blob": "binary",
    "date": "date",
    "timestamp": "timestamp_ntz",
    "timestamp_s": "timestamp_ntz",
    "timestamp_ms": "timestamp_ntz",
    "timestamp with time zone": "timestamp",
}

CURES = {
    "time": "cast it to varchar, or to a number of seconds",
    "uuid": "cast it to varchar",
    "json": "cast it to varchar",
    "ubigint": "cast it to bigint or decimal(20, 0)",
    "timestamp_ns": "cast it to timestamp",
    # pyarrow cannot read a file of DuckDB in which one of them is NULL.
    "array": "cast it to a list, as integer[]",
}
"""What to do about a type that Delta has no equal of, or that one of the readers refuses."""


class NoDeltaTypeError(ValueError):
    """A column cannot stand in a Delta table; the text is the type and a cure."""


def build_schema(db: Any, columns: Mapping[str, str]) -> dict[str, Any]:
    """The schema of Delta's log of columns with these SQL types, in their order.

    ``db`` is a connection to any DuckDB. Raises ``NoDeltaTypeError`` as ``delta_type`` does.
    """
    fields = [_build_field(name, delta_type(db.dtype(sql_type))) for name, sql_type in columns.items()]
    return {"type": "struct", "fields": fields}


def delta_type(sql_type: Any) -> str | dict[str, Any]:
    """Delta's type of a type as DuckDB's Python package has it; raises ``NoDeltaTypeError`` where there is none."""
    # JSON is a VARCHAR with another name, and polars reads it from a file as a BLOB.
    name = "json" if str(sql_type) == "JSON" else sql_type.id
    if name in PLAIN_TYPES:
        return PLAIN_TYPES[name]
    if name == "decimal":
        (_, precision), (_, scale) = sql_type.children
        return f"decimal({precision},{scale})"
    if name == "list":
        return {"type": "array", "elementType": delta_type(sql_type.children[0][1]), "containsNull": True}
    if name == "struct":
        return {"type": "struct", "fields": [_build_field(*_child(child)) for child in sql_type.children]}
    if name == "map":
        (_, key), (_, value) = sql_type.children
        return {
            "type": "map",
            "keyType": delta_type(key),
            "valueType": delta_type(value),
            "valueContainsNull": True,
        }
    raise NoDeltaTypeError(f"Delta Lake cannot hold {sql_type}; {CURES.get(name, 'cast it to another type')}")


def _child(child: tuple[str, Any]) -> tuple[str, str | dict[str, Any]]:
    name, sql_type = child
    return name, delta_type(sql_type)


def _build_field(name: str, type_: str | dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": type_, "nullable": True, "metadata": {}}
