"""Lineage: which table reads which, and how many days of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from graphlib import TopologicalSorter
from itertools import chain
from typing import Any

from reloads.days import DateRange, Days
from reloads.errors import TableError, one_line, shorten

LONGEST_WINDOW = 366
"""Days. A reload of one day rewrites as many of every reader."""

_WINDOW = re.compile(r"([1-9][0-9]{0,2}) days?")

_READS_BY_TEXT = frozenset({"query", "query_table", "json_execute_serialized_sql"})
"""Table functions that find what they read in a text, which can be computed."""


def names_read(query: str) -> frozenset[str]:
    """The names, in lower case, of the tables and views outside the query that one SELECT reads.

    By DuckDB's own parser; nothing is opened or run, so the names need not exist. A name counts where it stands alone
    or behind the schema ``main``, in a CTE that nobody uses too. Raises ``TableError`` if the query does not tell.
    """
    try:
        return frozenset(_outside(_parsed(query), frozenset()))
    except RecursionError as error:
        raise _untold("it is nested too deep", "cut its longest expression into pieces") from error


def _parsed(query: str) -> Any:
    import duckdb

    # A cursor of the connection that DuckDB's own functions use: to open a database takes thirty times as long.
    with duckdb.default_connection().cursor() as db:
        row = db.execute("select json_serialize_sql($1)", [query]).fetchone()
    answer = json.loads(row[0] if row else "{}")
    if not answer.get("error"):
        return answer["statements"]
    if answer["error_type"] == "not implemented":
        cure = "list the values of a pivot with in (...), or write it as aggregates with filter"
        raise _untold("it is no plain SELECT", cure)
    raise _untold(one_line(answer["error_message"]), "mend the query")


def _untold(reason: str, cure: str) -> TableError:
    return TableError(f"who it reads cannot be told: {reason}; {cure}")


def _outside(node: Any, ctes: frozenset[str]) -> Iterator[str]:
    """The names below a node of the syntax tree that none of the CTEs in sight has."""
    if isinstance(node, list):
        yield from chain.from_iterable(_outside(child, ctes) for child in node)
    elif isinstance(node, dict):
        yield from _named(node, ctes)
        for cte in node.get("cte_map", {}).get("map", ()):
            yield from _outside(cte["value"], ctes)
            ctes |= {_lower(cte["key"])}  # in sight of the later ones and of the body
        for key, child in node.items():
            if key != "cte_map":
                # A recursive CTE sees itself behind its UNION only.
                itself = {_lower(node["cte_name"])} if key == "right" and "cte_name" in node else frozenset()
                yield from _outside(child, ctes | itself)


def _named(node: dict[str, Any], ctes: frozenset[str]) -> Iterator[str]:
    """The name that the node itself reads, if it is one of ours."""
    if (
        node.get("type") == "TABLE_FUNCTION"
        and (function := _lower(node["function"]["function_name"])) in _READS_BY_TEXT
    ):
        raise _untold(f"{function}() finds its tables in a text", "name them in from")
    if node.get("type") == "BASE_TABLE" and not node["catalog_name"]:
        schema, name = _lower(node["schema_name"]), _lower(node["table_name"])
        if schema == "main" or (not schema and name not in ctes):
            yield name


def _lower(name: str) -> str:
    # Of ASCII only, as DuckDB does: to str.lower() the sign of Kelvin is a k.
    return name.encode().lower().decode()


def parse_window(text: object) -> int:
    """The number of days that ``7 days`` or ``1 day`` names; ``ValueError`` with a clause for anything else."""
    found = _WINDOW.fullmatch(text) if isinstance(text, str) else None
    if not found or int(found[1]) > LONGEST_WINDOW:
        raise ValueError(f"{shorten(repr(text))} is not from 1 to {LONGEST_WINDOW} days; write it like '7 days'")
    return int(found[1])


def input_days(days: Days, window: int) -> Days:
    """The days of an input that these days of its reader are made of: each day and the ``window - 1`` before it."""
    return Days.from_ranges(DateRange(_shift(r.first, 1 - window), r.last) for r in days.ranges)


def dependent_days(days: Days, window: int) -> Days:
    """The days of a reader that these days of its input go into: each day and the ``window - 1`` after it."""
    return Days.from_ranges(DateRange(r.first, _shift(r.last, window - 1)) for r in days.ranges)


def _shift(day: date, by: int) -> date:
    """The day so many days later, or the calendar's end."""
    return date.fromordinal(min(max(day.toordinal() + by, date.min.toordinal()), date.max.toordinal()))


@dataclass(frozen=True)
class Lineage:
    """Which table reads which, and how many days of it: ``inputs["carrier_week"] == {"flights": 7}``.

    A table that only occurs as an input reads nothing.
    """

    inputs: Mapping[str, Mapping[str, int]]

    def inputs_of(self, table: str) -> dict[str, int]:
        """The tables that this one reads itself, sorted by name, and the window of each."""
        return dict(sorted(self.inputs.get(table, {}).items()))

    def downstream(self, table: str) -> dict[str, int]:
        """The tables that read this one themselves, sorted by name, and the window of each."""
        return {reader: read[table] for reader, read in sorted(self.inputs.items()) if table in read}

    def all_downstream(self, table: str) -> set[str]:
        """The tables that read this one, directly or through others."""
        return _reached(table, self.downstream).keys() - {table}

    def load_order(self) -> tuple[str, ...]:
        """All tables, inputs before their readers, else by name; ``graphlib.CycleError`` if there is a cycle."""
        return _inputs_first(self.inputs)

    def cycles(self) -> dict[str, tuple[str, ...]]:
        """Each table that reads itself, directly or not, and the shortest way round: ``("a", "b", "a")``, a reads b."""
        ways = {table: self._way_round(table) for table in sorted(self.inputs)}
        return {table: way for table, way in ways.items() if way}

    def upstream_days(self, table: str, days: Days) -> dict[str, Days]:
        """All tables that this one reads, directly or not, inputs first, and the days of each that these days need.

        Raises ``graphlib.CycleError`` if one of them is on a cycle; so does ``ahead``.
        """
        return self._spread(table, days, self.inputs_of, input_days)

    def downstream_days(self, table: str, days: Days) -> dict[str, Days]:
        """All tables that read this one, directly or not, inputs first, and the days of each that need these days."""
        return self._spread(table, days, self.downstream, dependent_days)

    def _way_round(self, table: str) -> tuple[str, ...]:
        """Breadth first, so that the shortest way is found."""
        ways: list[tuple[str, ...]] = [(table,)]
        seen: set[str] = set()
        for way in ways:
            for name in self.inputs_of(way[-1]):
                if name == table:
                    return (*way, table)
                if name not in seen:
                    seen.add(name)
                    ways.append((*way, name))
        return ()

    def _spread(
        self, start: str, days: Days, following: Callable[[str], dict[str, int]], widened: Callable[[Days, int], Days]
    ) -> dict[str, Days]:
        edges = _reached(start, following)
        days_of = {name: days if name == start else Days() for name in edges}
        for name in reversed(_inputs_first(edges)):
            for after, window in edges[name].items():
                days_of[after] |= widened(days_of[name], window)
        order = _inputs_first({name: self.inputs_of(name).keys() & edges for name in edges})
        return {name: days_of[name] for name in order if name != start}


def _reached(start: str, following: Callable[[str], dict[str, int]]) -> dict[str, dict[str, int]]:
    """The start and every table that follows it, each with those that follow it directly."""
    edges: dict[str, dict[str, int]] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in edges:
            edges[name] = following(name)
            waiting += edges[name]
    return edges


def _inputs_first(inputs: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    sorter = TopologicalSorter(inputs)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return tuple(order)
