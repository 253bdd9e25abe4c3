"""What a table's query gives, computed by plain DuckDB over plain values: no code of the product takes part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

import duckdb

from tests.unit.whole.definitions import BASE, DEFINITIONS, LIMIT, Definition

Raw = tuple[tuple[str, Any], ...]
"""The rows that a day has in the source: key and value."""


class Content(NamedTuple):
    """The rows of one partition, sorted, and its columns."""

    columns: tuple[str, ...]
    """Name and type of each, like ``v INTEGER``, by name."""
    rows: tuple[tuple[Any, ...], ...]

    def position(self, name: str) -> int:
        """Where the column of that name stands in each row."""
        return [column.split()[0] for column in self.columns].index(name)


class Recipe(NamedTuple):
    """What a partition is made from besides its inputs: the variant of its query, its parameter, its source."""

    variant: int
    value: int
    raw: Raw | None = None


Partitions = Mapping[tuple[date, str], Content]
"""The partitions of a table that are there, by day and key."""


class Refusal(str):
    """Why a day does not come out; a text."""

    __slots__ = ()


def make_content(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Content:
    """The content with its columns in the order of their names, and its rows sorted."""
    names = list(columns)
    order = sorted(range(len(names)), key=names.__getitem__)
    ordered = (tuple(tuple(row)[position] for position in order) for row in rows)
    return Content(tuple(sorted(names)), tuple(sorted(ordered, key=repr)))


def base_content(raw: Raw) -> Content | Refusal:
    """What the first table makes of a day of the source."""
    if any(value == "x" for _, value in raw):
        return Refusal("a value is not a number")
    return make_content(["k VARCHAR", "v INTEGER"], raw)


class Recomputation:
    """A connection that computes tables anew."""

    def __init__(self) -> None:
        self._db = duckdb.connect(":memory:")

    def close(self) -> None:
        self._db.close()

    def results(self, table: str, recipe: Recipe, inputs: Mapping[str, Partitions]) -> dict[tuple[date, str], Content]:
        """The partitions of a table that reads other tables, as its query gives them; without days without rows."""
        definition = DEFINITIONS[table]
        for name in definition.inputs:
            self._create(DEFINITIONS[name], inputs[name])
        if definition.parameter:
            self._db.execute(f"set variable {definition.parameter} = {recipe.value}")
        result = self._db.execute(definition.queries[recipe.variant])
        description = result.description or []
        names = [str(column[0]) for column in description]
        rows = result.fetchall()
        hidden = ("day", "k") if definition.has_keys else ("day",)
        shown = [position for position, name in enumerate(names) if name not in hidden]
        found: dict[tuple[date, str], list[tuple[Any, ...]]] = {}
        for row in rows:
            key = row[names.index("k")] if definition.has_keys else ""
            found.setdefault((row[names.index("day")], key), []).append(tuple(row[at] for at in shown))
        columns = [f"{names[at]} {description[at][1]}" for at in shown]
        self.columns = columns
        return {cell: make_content(columns, some) for cell, some in found.items()}

    def _create(self, definition: Definition, partitions: Partitions) -> None:
        key = {"k": "varchar"} if definition.has_keys else {}
        types = {"day": "date", **key, **definition.columns}
        described = ", ".join(f"{name} {kind}" for name, kind in types.items())
        self._db.execute(f"create or replace table {definition.name} ({described})")
        lines: list[str] = []
        for (day, value), content in partitions.items():
            positions = [content.position(name) for name in definition.columns]
            first = [f"date '{day}'", f"'{value}'"] if definition.has_keys else [f"date '{day}'"]
            lines += [f"({', '.join([*first, *(_literal(row[at]) for at in positions)])})" for row in content.rows]
        if lines:
            self._db.execute(f"insert into {definition.name} values {', '.join(lines)}")


def _literal(value: object) -> str:
    if value is None:
        return "null"
    return f"'{value}'" if isinstance(value, str) else str(value)


def is_refused_by_check(table: str, content: Content | None) -> bool:
    """Whether the check of ``keyed`` refuses a day because of this partition."""
    if table != "keyed" or content is None:
        return False
    at = content.position("total")
    return any(row[at] is not None and row[at] > LIMIT for row in content.rows)


def empty_content(columns: Iterable[str]) -> Content:
    """A partition without rows."""
    return make_content(columns, [])


assert BASE.columns.keys() == {"k", "v"}
