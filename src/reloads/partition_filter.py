"""Which partitions of a day a batch rewrites: all of them, those of certain key values, or a slice of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reloads.sql import quoted

if TYPE_CHECKING:
    import duckdb

Choice = Mapping[str, tuple[str, ...]]
"""The values wanted of some keys; a key that is not named may have any."""


@dataclass(frozen=True)
class Scope:
    """A part of the keys of a table. Slices of the same choices are disjoint and together the whole."""

    choices: tuple[Choice, ...] = ()
    """What one of them lets in is in; none of them at all: everything."""
    slice: int = 0
    of: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether it takes every partition of a day."""
        return not self.choices and self.of == 1

    def condition(self, keys: Sequence[str]) -> tuple[str, list[Any]]:
        """The scope as an SQL condition on the key columns, and the values bound in it."""
        parts, values = ["true"], []
        if self.choices:
            parts = [f"({' or '.join(_choice(choice) for choice in self.choices)})"]
            values = [text for choice in self.choices for texts in choice.values() for text in texts]
        if self.of > 1:
            # The database's own hash, the same for rows and for names of folders, spreads values of any kind.
            texts = ", ".join(f"cast({quoted(key)} as varchar)" for key in keys)
            parts.append(f"hash({texts}) % {self.of} = {self.slice}")
        return " and ".join(parts), values

    def holds(
        self, db: duckdb.DuckDBPyConnection, names: Mapping[str, tuple[str, ...]], keys: Sequence[str]
    ) -> set[str]:
        """Those of the partitions, given by name with their key values, that are in the scope."""
        if self.is_whole or not names:
            return set(names)
        condition, values = self.condition(keys)
        columns = ", ".join(["name", *map(quoted, keys)])
        # As lists, because a row of parameters for each of 30,000 names takes the parser seconds.
        lists = ", ".join("unnest(?)" for _ in ("name", *keys))
        texts = [list(names), *map(list, zip(*names.values(), strict=True))]
        query = f"select name from (select {lists}) as t({columns}) where {condition}"
        return {name for (name,) in db.execute(query, [*texts, *values]).fetchall()}

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom."""
        choices = [{key: list(values) for key, values in choice.items()} for choice in self.choices]
        return {"choices": choices, "slice": self.slice, "of": self.of}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scope:
        """The inverse of ``to_json``."""
        choices = tuple({key: tuple(texts) for key, texts in choice.items()} for choice in value["choices"])
        return cls(choices, value["slice"], value["of"])

    def __str__(self) -> str:
        wanted = " or ".join(", ".join(f"{key} {'/'.join(texts)}" for key, texts in c.items()) for c in self.choices)
        part = f"part {self.slice + 1} of {self.of}" if self.of > 1 else ""
        return ", ".join(text for text in (wanted, part) if text)


def _choice(choice: Choice) -> str:
    tests = (f"cast({quoted(key)} as varchar) in ({', '.join('?' * len(texts))})" for key, texts in choice.items())
    return f"({' and '.join(tests) or 'true'})"
