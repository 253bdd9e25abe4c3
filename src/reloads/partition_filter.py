"""Which partitions of a day a batch rewrites: all of them, those of certain key values, or a slice of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reloads.sql import quote_name

if TYPE_CHECKING:
    import duckdb

KeyFilter = Mapping[str, tuple[str, ...]]
"""The values to take of some keys; a key that is not named may have any value."""


@dataclass(frozen=True)
class PartitionFilter:
    """A part of the keys of a table. Slices of the same key filters are disjoint and together the whole."""

    key_filters: tuple[KeyFilter, ...] = ()
    """A partition passes if one of them lets it in; without any, every partition passes."""
    slice_number: int = 0
    slice_count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether it takes every partition of a day."""
        return not self.key_filters and self.slice_count == 1

    def condition(self, keys: Sequence[str]) -> tuple[str, list[Any]]:
        """The filter as an SQL condition on the key columns, and the values bound in it."""
        conditions = ["true"]
        values: list[Any] = []
        if self.key_filters:
            conditions = [f"({' or '.join(map(_key_condition, self.key_filters))})"]
            for key_filter in self.key_filters:
                for texts in key_filter.values():
                    values += texts
        if self.slice_count > 1:
            # The database's own hash, the same for rows and for names of folders, spreads values of any kind.
            texts_of_keys = ", ".join(f"cast({quote_name(key)} as varchar)" for key in keys)
            conditions.append(f"hash({texts_of_keys}) % {self.slice_count} = {self.slice_number}")
        return " and ".join(conditions), values

    def select(
        self, db: duckdb.DuckDBPyConnection, key_values: Mapping[str, tuple[str, ...]], keys: Sequence[str]
    ) -> set[str]:
        """The names of the partitions that pass, of those given by name with their key values."""
        if self.is_whole or not key_values:
            return set(key_values)
        condition, values = self.condition(keys)
        columns = ", ".join(["name", *map(quote_name, keys)])
        # As lists, because a row of parameters for each of 30,000 names takes the parser seconds.
        lists = ", ".join("unnest(?)" for _ in ("name", *keys))
        names_and_values = [list(key_values), *map(list, zip(*key_values.values(), strict=True))]
        query = f"select name from (select {lists}) as t({columns}) where {condition}"
        rows = db.execute(query, [*names_and_values, *values]).fetchall()
        return {name for (name,) in rows}

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom."""
        key_filters: list[dict[str, list[str]]] = []
        for key_filter in self.key_filters:
            key_filters.append({key: list(texts) for key, texts in key_filter.items()})
        return {"key_filters": key_filters, "slice_number": self.slice_number, "slice_count": self.slice_count}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PartitionFilter:
        """The inverse of ``to_json``."""
        key_filters: list[KeyFilter] = []
        for key_filter in value["key_filters"]:
            key_filters.append({key: tuple(texts) for key, texts in key_filter.items()})
        return cls(tuple(key_filters), value["slice_number"], value["slice_count"])

    def __str__(self) -> str:
        parts: list[str] = []
        if self.key_filters:
            parts.append(" or ".join(map(_describe, self.key_filters)))
        if self.slice_count > 1:
            parts.append(f"part {self.slice_number + 1} of {self.slice_count}")
        return ", ".join(parts)


def _key_condition(key_filter: KeyFilter) -> str:
    conditions: list[str] = []
    for key, texts in key_filter.items():
        placeholders = ", ".join("?" * len(texts))
        conditions.append(f"cast({quote_name(key)} as varchar) in ({placeholders})")
    return f"({' and '.join(conditions) or 'true'})"


def _describe(key_filter: KeyFilter) -> str:
    return ", ".join(f"{key} {'/'.join(texts)}" for key, texts in key_filter.items())
