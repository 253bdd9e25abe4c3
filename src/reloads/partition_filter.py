"""Which partitions of a day a batch rewrites: all of them, those of certain key values, all others, or a slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reloads.sql import quote_name

if TYPE_CHECKING:
    import duckdb

KeyFilter = Mapping[str, tuple[str, ...]]
"""The values to take of some keys; a key that is not named may have any value."""

ANY_VALUE: KeyFilter = {}

SHOWN_VALUES = 3


@dataclass(frozen=True)
class PartitionFilter:
    """A part of the keys of a table. Slices of the same key filters are disjoint and together the whole."""

    key_filters: tuple[KeyFilter, ...] = ()
    """A partition passes if one of them lets it in; without any, every partition passes."""
    slice_number: int = 0
    slice_count: int = 1
    excluded: tuple[KeyFilter, ...] = ()
    """A partition that one of them lets in does not pass, whatever ``key_filters`` say."""

    @property
    def is_whole(self) -> bool:
        """Whether it takes every partition of a day."""
        return not self.key_filters and not self.excluded and self.slice_count == 1

    def overlaps(self, other: PartitionFilter) -> bool:
        """Whether a partition may pass both, slices left aside; False only where no key value can."""
        excluded = (*self.excluded, *other.excluded)
        for left in self.key_filters or (ANY_VALUE,):
            for right in other.key_filters or (ANY_VALUE,):
                common = _intersect(left, right)
                if common is not None and not any(_covers(key_filter, common) for key_filter in excluded):
                    return True
        return False

    def union(self, other: PartitionFilter) -> PartitionFilter | None:
        """The partitions that pass one of both, slices left aside; None where no single filter says so."""
        excluded: list[KeyFilter] = []
        for mine, others in ((self, other), (other, self)):
            for key_filter in mine.excluded:
                if key_filter in others.excluded or not others.overlaps(PartitionFilter((key_filter,))):
                    excluded.append(key_filter)
                elif not others.passes_all(key_filter):
                    return None
        key_filters: tuple[KeyFilter, ...] = ()
        if self.key_filters and other.key_filters:
            key_filters = _add_missing(self.key_filters, other.key_filters)
        return PartitionFilter(key_filters, excluded=_add_missing((), excluded))

    def passes_all(self, key_filter: KeyFilter) -> bool:
        """Whether everything that ``key_filter`` lets in passes; True only where that is certain."""
        is_selected = any(_covers(selected, key_filter) for selected in self.key_filters or (ANY_VALUE,))
        return is_selected and all(_intersect(excluded, key_filter) is None for excluded in self.excluded)

    def condition(self, keys: Sequence[str]) -> tuple[str, list[Any]]:
        """The filter as an SQL condition on the key columns, and the values bound in it."""
        conditions = ["true"]
        values: list[Any] = []
        if self.key_filters:
            conditions = [f"({' or '.join(map(_key_condition, self.key_filters))})"]
            for key_filter in self.key_filters:
                for texts in key_filter.values():
                    values += texts
        if self.excluded:
            # A NULL key is none of the values, so it belongs to the others: there it is found and refused.
            conditions.append(f"not coalesce({' or '.join(map(_key_condition, self.excluded))}, false)")
            for key_filter in self.excluded:
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
        return {
            "key_filters": _to_json(self.key_filters),
            "slice_number": self.slice_number,
            "slice_count": self.slice_count,
            "excluded": _to_json(self.excluded),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PartitionFilter:
        """The inverse of ``to_json``."""
        return cls(
            _from_json(value["key_filters"]),
            value["slice_number"],
            value["slice_count"],
            _from_json(value.get("excluded", ())),  # an earlier version, which planned the batch, knew none
        )

    def __str__(self) -> str:
        parts: list[str] = []
        if self.key_filters:
            parts.append(" or ".join(map(_describe, self.key_filters)))
        if self.excluded:
            parts.append(f"without {' or '.join(map(_describe, self.excluded))}")
        if self.slice_count > 1:
            parts.append(f"part {self.slice_number + 1} of {self.slice_count}")
        return ", ".join(parts)


def _key_condition(key_filter: KeyFilter) -> str:
    conditions: list[str] = []
    for key, texts in key_filter.items():
        placeholders = ", ".join("?" * len(texts))
        conditions.append(f"cast({quote_name(key)} as varchar) in ({placeholders})")
    return f"({' and '.join(conditions) or 'true'})"


def _intersect(left: KeyFilter, right: KeyFilter) -> KeyFilter | None:
    """What both let in; None if that is nothing, because a key has no value in common."""
    common = {**left, **right}
    for key in left.keys() & right.keys():
        allowed = set(left[key])
        common[key] = tuple(value for value in right[key] if value in allowed)
        if not common[key]:
            return None
    return common


def _covers(outer: KeyFilter, inner: KeyFilter) -> bool:
    """Whether ``outer`` lets in all that ``inner`` does."""
    return all(key in inner and set(values).issuperset(inner[key]) for key, values in outer.items())


def _add_missing(key_filters: tuple[KeyFilter, ...], others: Iterable[KeyFilter]) -> tuple[KeyFilter, ...]:
    """The filters, and those of the others that are not among them."""
    united = list(key_filters)
    for key_filter in others:
        if key_filter not in united:
            united.append(key_filter)
    return tuple(united)


def _to_json(key_filters: Iterable[KeyFilter]) -> list[dict[str, list[str]]]:
    as_json: list[dict[str, list[str]]] = []
    for key_filter in key_filters:
        as_json.append({key: list(texts) for key, texts in key_filter.items()})
    return as_json


def _from_json(value: Iterable[Mapping[str, Sequence[str]]]) -> tuple[KeyFilter, ...]:
    key_filters: list[KeyFilter] = []
    for key_filter in value:
        key_filters.append({key: tuple(texts) for key, texts in key_filter.items()})
    return tuple(key_filters)


def _describe(key_filter: KeyFilter) -> str:
    return ", ".join(f"{key} {_describe_values(texts)}" for key, texts in key_filter.items())


def _describe_values(texts: Sequence[str]) -> str:
    shown = "/".join(texts[:SHOWN_VALUES])
    return f"{shown}/… ({len(texts)} values)" if len(texts) > SHOWN_VALUES else shown
