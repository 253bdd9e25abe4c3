"""References: which tables, functions and variables one SELECT names, by DuckDB's own parser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reloads.errors import TableError, one_line
from reloads.tables.parser import open_parser

_READS_BY_TEXT = frozenset({"query", "query_table", "json_execute_serialized_sql"})
"""Table functions that find what they read in a text, which can be computed."""


@dataclass(frozen=True)
class References:
    """The names that one SELECT refers to, in lower case."""

    tables: frozenset[str] = frozenset()
    """Tables and views outside the query that stand alone or behind the schema ``main``."""
    relations: frozenset[str] = frozenset()
    """The last part of the name of every table and view, in whatever schema, CTEs included."""
    functions: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    """Variables that ``getvariable`` reads by a plain text; a computed name cannot be known."""


# A process that loads all tables again and again, as the API server does, parses a query once.
@lru_cache(maxsize=2048)
def find_references(query: str) -> References:
    """What one SELECT refers to.

    Nothing is opened or run, so the names need not exist. A name counts even in a CTE that is never used. Raises
    ``TableError`` for a query whose inputs cannot be found by parsing.
    """
    try:
        tree = _parse_query(query)
        relations: set[str] = set()
        functions: set[str] = set()
        variables: set[str] = set()
        for node in _walk_nodes(tree):
            if node.get("type") == "BASE_TABLE":
                relations.add(lower_ascii(node["table_name"]))
            elif isinstance(node.get("function_name"), str):
                functions.add(lower_ascii(node["function_name"]))
                variables.update(_variables_of(node))
        tables = frozenset(_walk_tables(tree, frozenset()))
        return References(tables, frozenset(relations), frozenset(functions), frozenset(variables))
    except RecursionError as error:
        raise _unclear_inputs("it is nested too deep", "cut its longest expression into pieces") from error


def lower_ascii(name: str) -> str:
    """The name in lower case as DuckDB compares names: str.lower() makes a k of the Kelvin sign, another name."""
    return name.encode().lower().decode()


def _parse_query(query: str) -> Any:
    with open_parser() as db:
        row = db.execute("select json_serialize_sql($1)", [query]).fetchone()
    answer = json.loads(row[0] if row else "{}")
    if not answer.get("error"):
        return answer["statements"]
    if answer["error_type"] == "not implemented":
        cure = "list the values of a pivot with in (...), or write it as aggregates with filter"
        raise _unclear_inputs("it is not a plain SELECT", cure)
    raise _unclear_inputs(one_line(answer["error_message"]), "mend the query")


def _unclear_inputs(reason: str, cure: str) -> TableError:
    return TableError(f"the tables that it reads cannot be found: {reason}; {cure}")


def _walk_nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for child in node:
            yield from _walk_nodes(child)
    elif isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _walk_nodes(child)


def _variables_of(function: dict[str, Any]) -> Iterator[str]:
    """The variable that a call of ``getvariable`` reads, where its name is a plain text."""
    if lower_ascii(function["function_name"]) == "getvariable":
        for argument in function.get("arguments", ()):
            literal = argument["expression"].get("literal", {})
            if literal.get("kind") == "STRING":
                yield lower_ascii(literal["text"])


def _walk_tables(node: Any, ctes: frozenset[str]) -> Iterator[str]:
    """The names of tables below a node of the syntax tree that none of the CTEs in sight has."""
    if isinstance(node, list):
        for child in node:
            yield from _walk_tables(child, ctes)
    elif isinstance(node, dict):
        yield from _read_tables(node, ctes)
        for cte in node.get("cte_map", {}).get("map", ()):
            yield from _walk_tables(cte["value"], ctes)
            ctes |= {lower_ascii(cte["key"])}  # in sight of the later ones and of the body
        for key, child in node.items():
            if key == "cte_map":
                continue
            if key == "right" and "cte_name" in node:
                # A recursive CTE is in sight of itself behind its UNION only.
                yield from _walk_tables(child, ctes | {lower_ascii(node["cte_name"])})
            else:
                yield from _walk_tables(child, ctes)


def _read_tables(node: dict[str, Any], ctes: frozenset[str]) -> Iterator[str]:
    """The table that the node itself reads, unless it is a CTE or in another schema."""
    kind = node.get("type")
    if kind == "TABLE_FUNCTION":
        function = lower_ascii(node["function"]["function_name"])
        if function in _READS_BY_TEXT:
            raise _unclear_inputs(f"{function}() finds its tables in a text", "name them in from")
    elif kind == "BASE_TABLE" and not node["catalog_name"]:
        schema, name = lower_ascii(node["schema_name"]), lower_ascii(node["table_name"])
        if schema == "main" or (not schema and name not in ctes):
            yield name
