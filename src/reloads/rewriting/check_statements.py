"""The checks that ``tables/<table>/checks.sql`` makes: the name and the SELECT of each, as far as a parser sees it."""

from __future__ import annotations

import re

from reloads.errors import TableError, one_line, shorten
from reloads.rewriting.checked_rows import SIDES
from reloads.rewriting.engine import message
from reloads.tables.definition import Table
from reloads.tables.parser import open_parser
from reloads.tables.statements import split_words, strip_end

_HEAD = re.compile(r"create (or replace )?(temp(orary)? )?view (?P<name>\S+) as ", re.IGNORECASE)
_HEAD_WORDS = 8
"""The longest head, ``create or replace temporary view name as``, has seven words; the next one is the query's."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_GIVEN = (*SIDES, "asked")
"""What each check finds there; none may have such a name."""


def list_checks(table: Table) -> list[str]:
    """The names of the checks, in order.

    Raises ``TableError`` for a statement that is not a check, a name that a check cannot have, and a severity for a
    check that does not exist.
    """
    return list(parse_checks(table))


def parse_checks(table: Table) -> dict[str, str]:
    """The SELECT of each check by its name."""
    import duckdb

    file = f"tables/{table.name}/checks.sql"
    try:
        with open_parser() as db:
            statements = db.extract_statements(table.checks)
    except duckdb.Error as error:
        raise TableError(f"{file} does not parse: {message(error)}; mend that statement") from error
    selects: dict[str, str] = {}
    for statement in statements:
        name, select = _parse_check(statement.query, file)
        if not _NAME.fullmatch(name) or name in _GIVEN or name in selects:
            rule = "not new, old or asked, and each of its own"
            raise TableError(f"{file}: '{name}': names are lower case letters, digits and _, {rule}; rename that check")
        selects[name] = select
    for name in sorted(table.settings.checks):
        if name not in selects:
            names = ", ".join(selects) or "none"
            raise TableError(
                f"tables/{table.name}/table.toml: checks names '{name}' but checks.sql makes {names}; mend either"
            )
    return selects


def _parse_check(statement: str, file: str) -> tuple[str, str]:
    """The name and the SELECT of a statement that creates a view."""
    text = statement.encode()
    words = split_words(strip_end(statement))
    head = _HEAD.match(" ".join(word.text for word in words[:_HEAD_WORDS]))
    if not head:
        shown = shorten(one_line(statement))
        raise TableError(f"{file}: a check is `create view name as select ...`, not `{shown}`; write it so")
    body = words[len(head[0].split())]
    return head["name"], text[body.begin : words[-1].end].decode()
