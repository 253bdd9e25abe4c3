"""A query of a person over the views, and its answer as lines.

Where and how it may read is for ``sql_views`` to say, which opens the database; here is what the person gets to hear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reloads.errors import RequestError
from reloads.inspection.read_only_files import Refusal
from reloads.rewriting.engine import message
from reloads.sql import quote_name

if TYPE_CHECKING:
    import duckdb

RAISED = re.compile(r"Traceback [^\n]*\n(?: [^\n]*\n)*[\w.]*?(?P<kind>\w+): (?P<words>[^\n]*)")
"""What ``ReadOnlyFiles`` raised, in the database's words."""

ATTEMPTS = 5
"""So often is a query tried while records move between the folders that it reads."""

CURE = "it may read the views, and files like 'warehouse://flights/**/*.parquet' or 'landing://done/*.json'"


def query_views(db: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyRelation:
    """The answer to one SELECT, which stays as it is whatever happens to the files.

    Raises ``RequestError`` with the database's words for anything else, and for a query that fails, writes or reads
    beside the folders.
    """
    import duckdb

    try:
        kinds = [parsed.type for parsed in duckdb.extract_statements(statement)]
        if kinds != [duckdb.StatementType.SELECT] or _writes(db, statement):
            raise RequestError("the views answer exactly one SELECT; write one like: from requests")
        return _answer(db, statement)
    except duckdb.Error as error:
        raise RequestError(_describe_fault(error)) from error


def _writes(db: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Whether a part of the SELECT inserts, updates, deletes or copies, which DuckDB allows in a WITH clause.

    This is for the sentence. A COPY that is hidden better finds no file to write to, and any other part could change
    but the tables in memory, which end with the connection.
    """
    [(tree,)] = db.execute("select json_serialize_sql($1::varchar)", [statement]).fetchall()
    return re.search(r'"type":"\w+_QUERY_NODE"', tree) is not None


def _answer(db: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyRelation:
    """The answer in a table of its own, because a relation that is printed runs its query once more."""
    name = f"held.answer_{uuid4().hex}"
    look_again(lambda: db.sql(statement).create(name))
    return db.table(name)


def _describe_fault(error: duckdb.Error) -> str:
    """Why the query failed, in one sentence."""
    import duckdb

    raised = RAISED.search(str(error))
    if raised and raised["kind"] == Refusal.__name__:
        return f"the query is refused: {raised['words']}; {CURE}"
    if isinstance(error, duckdb.PermissionException):
        return f"the query is refused: it reaches for something outside; {CURE}"
    words = (raised["words"] if raised else message(error)).removesuffix("!")
    return f"the query fails: {words}; mend it, or ask again"


def as_texts(answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The answer with each value as the text that the database writes for it."""
    return answer.project(", ".join(f"cast({quote_name(name)} as varchar)" for name in answer.columns))


def json_rows(answer: duckdb.DuckDBPyRelation) -> Iterator[dict[str, Any]]:
    """The rows as JSON has them: numbers are numbers, and what it has no word for is a text."""
    values = answer.project(", ".join(f"cast(to_json({quote_name(name)}) as varchar)" for name in answer.columns))
    for row in values.iter_rows():
        yield {name: _parse_json(text) for name, text in zip(answer.columns, row, strict=True)}


def _parse_json(text: str | None) -> object:
    """The value; NaN and infinity, which DuckDB writes and JSON does not know, are null."""
    return None if text is None else json.loads(text, parse_constant=lambda _: None)


def csv_lines(answer: duckdb.DuckDBPyRelation) -> Iterator[str]:
    """The answer as CSV, as the database writes it; a line of CSV has several lines where a value has."""
    yield ",".join(map(_quote_csv, answer.columns))
    for row in as_texts(answer).iter_rows():
        yield ",".join(map(_quote_csv, row))


def _quote_csv(text: str | None) -> str:
    if text is None:
        return ""
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if text == "" or set(text) & set(',"#\r\n') else text


def look_again(look: Callable[[], object]) -> object:
    """Look, and look again where a file was gone between being listed and being read: its record may have moved on."""
    import duckdb

    for _ in range(ATTEMPTS - 1):
        try:
            return look()
        except duckdb.IOException:
            continue
        except duckdb.Error as error:
            raised = RAISED.search(str(error))
            if not raised or raised["kind"] != FileNotFoundError.__name__:
                raise
    return look()
