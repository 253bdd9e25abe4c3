"""Sources: the statements of ``tables/sources.sql``, and which of them a query needs.

A statement that creates one view, table or macro concerns only the queries that read it, directly or through others.
What any other statement does (a setting, a variable, a type, an insert) concerns every query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from reloads.errors import TableError, shorten
from reloads.tables.references import References, find_references, lower_ascii
from reloads.tables.statements import normalize, split_statements, split_words

Kind = Literal["view", "table", "macro"]

_KINDS: dict[str, Kind] = {"view": "view", "table": "table", "macro": "macro", "function": "macro"}
_MODIFIERS = {"or", "replace", "temp", "temporary", "recursive"}


@dataclass(frozen=True)
class Statement:
    """One statement: what it creates, and what it refers to, where parsing can tell."""

    text: str
    kind: Kind | None = None
    name: str = ""
    """Of what it creates, in lower case; empty where that cannot be told."""
    references: References | None = None

    @classmethod
    def parse(cls, text: str) -> Statement:
        """Read the head of the statement, and the SELECT that a view or a table is made of."""
        words = split_words(text)
        texts = [lower_ascii(word.text) for word in words]
        position = 1
        while texts[position : position + 1] and texts[position] in _MODIFIERS:
            position += 1
        kind = _KINDS.get(texts[position]) if texts[0] == "create" and position < len(texts) else None
        position += 1
        if texts[position : position + 3] == ["if", "not", "exists"]:
            position += 3
        # A name behind a schema is not found by itself, so it is as good as none.
        if kind is None or position >= len(texts) or texts[position + 1 : position + 2] == ["."]:
            return cls(text)
        name = _unquote(texts[position])
        body = _find_body(texts, position + 1)
        if kind == "macro" or body is None:
            return cls(text, kind, name)
        return cls(text, kind, name, _find_references(text.encode()[words[body].begin :].decode()))

    @property
    def normalized(self) -> str:
        """Its words alone: what counts for a table's version."""
        return normalize(self.text)

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        return f"the {self.kind} {self.name}" if self.kind else f"`{shorten(self.normalized)}`"

    def refers_to(self, other: Statement) -> bool:
        """Whether it needs what ``other`` creates; where parsing cannot tell, whether it holds the name at all."""
        if not other.name:
            return False
        if self.references is None:
            name = re.escape(other.name.replace('"', '""'))
            return re.search(rf"(?<!\w){name}(?!\w)", lower_ascii(self.text)) is not None
        return other.name in (self.references.functions if other.kind == "macro" else self.references.relations)


def _unquote(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _find_body(texts: Sequence[str], position: int) -> int | None:
    """The place of the word behind the ``as`` of a head, which may have columns in brackets."""
    depth = 0
    for place, text in enumerate(texts[position:], position):
        depth += (text == "(") - (text == ")")
        if text == "as" and not depth:
            return place + 1 if place + 1 < len(texts) else None
    return None


def _find_references(select: str) -> References | None:
    try:
        return find_references(select)
    except TableError:
        return None


@lru_cache(maxsize=16)
def parse_sources(text: str) -> tuple[Statement, ...]:
    """The statements of a text, in order; one that does not parse stays, for whoever needs it."""
    return tuple(Statement.parse(statement) for statement in split_statements(text))


def needed_statements(sources: Sequence[Statement], readers: Iterable[Statement]) -> tuple[Statement, ...]:
    """The statements that these readers need, in the order of the file: what they read, and what that reads.

    Those that cannot be told apart are always among them, with what they refer to.
    """
    waiting = [*readers, *(statement for statement in sources if not statement.name)]
    needed = {statement for statement in sources if not statement.name}
    while waiting:
        reader = waiting.pop()
        for statement in sources:
            if statement not in needed and reader.refers_to(statement):
                needed.add(statement)
                waiting.append(statement)
    return tuple(statement for statement in sources if statement in needed)


def set_variables(sources: Iterable[Statement]) -> frozenset[str]:
    """The variables that these statements set, in lower case."""
    names: set[str] = set()
    for statement in sources:
        words = [lower_ascii(word.text) for word in split_words(statement.text)]
        if words[:2] == ["set", "variable"] and words[2:]:
            names.add(_unquote(words[2]))
    return frozenset(names)
