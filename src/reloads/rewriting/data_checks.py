"""Checks: named questions to a batch's staged rows, asked before they are published. ``tables/<table>/checks.sql``.

create view fewer_rows as                     each statement is one check, and each of its rows a violation
select day, count(n.id) as found,             the table's day column says which day does not pass
    count(*) as expected                      found and expected, where there are any, are shown
from old as o left join new as n              new: the staged rows; old: the rows that they would replace
    using (day, id)
group by day having 2 * found < expected;

A check may read the checks before it, and the sources. Nothing is created in the database: ``new``, ``old`` and the
checks are common table expressions of each statement. A temporary view of such a name would stand before a source of
that name, in the views of sources.sql too, and would have to be dropped again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.days import Days, parse_day
from reloads.errors import QueryError, TableError, one_line, shorten
from reloads.outcome import CheckResult
from reloads.rewriting.engine import message
from reloads.sql import quote_name
from reloads.tables.definition import Table
from reloads.warehouse.parquet import relation

if TYPE_CHECKING:
    import duckdb

_HEAD = re.compile(r"create (or replace )?(temp(orary)? )?view (?P<name>\S+) as ", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ROWS = ("new", "old")
DAYS_ALONE = 50
"""So many days of a check have a result of their own; the others share one, so that a record stays small."""
TEXT_LENGTH = 100

_Found = tuple[str | None, int, dict[str, str | None]]
"""A day, how many violations it has, and found and expected of one of them."""


def check_definitions(table: Table) -> list[str]:
    """The names of the checks, in order.

    Raises ``TableError`` for a statement that is no check, a name that cannot be one, and a severity of no check.
    """
    return list(_selects(table))


def bind_checks(db: duckdb.DuckDBPyConnection, table: Table, *, columns: Mapping[str, str]) -> None:
    """Raise ``QueryError`` unless each check could run on rows of these columns (name to SQL type), as new and old."""
    views = dict.fromkeys(_ROWS, _no_rows(columns))
    for name, select in _selects(table).items():
        views[name] = select
        _bind(db, table, name, views)


def run_checks(
    db: duckdb.DuckDBPyConnection,
    table: Table,
    *,
    new: Sequence[Path],
    old: Sequence[Path],
    columns: Mapping[str, str],
) -> tuple[CheckResult, ...]:
    """What the checks found: a result for each check and day, or none where all is well.

    ``columns`` are the day column and the keys with their SQL types. A violation without a day, or on a day that no
    file is of, counts against all days of the batch. Raises ``QueryError`` where a check cannot run.
    """
    checks = _selects(table)
    days = _days_of([*new, *old], table.settings.day_column)
    if not checks or not days:
        return ()
    types, rows = _read(db, table, {"new": new, "old": old}, columns)
    results: list[CheckResult] = []
    known: dict[str, str] = {}  # none after the check: it would stand before a source of its name
    for name, select in checks.items():
        known[name] = select
        shown = _bind(db, table, name, {side: _no_rows(types[side]) for side in _ROWS} | known)
        results += _results(table, name, _violations(db, table, name, rows | known, shown), days)
    return tuple(results)


def _selects(table: Table) -> dict[str, str]:
    """The SELECT of each check by its name."""
    import duckdb

    file, found = f"tables/{table.name}/checks.sql", dict[str, str]()
    try:
        statements = duckdb.extract_statements(table.checks)
    except duckdb.Error as error:
        raise TableError(f"{file} does not parse: {message(error)}; mend that statement") from error
    for statement in statements:
        name, select = _name_and_select(statement.query, file)
        if not _NAME.fullmatch(name) or name in _ROWS or name in found:
            rule = "not new or old, and each of its own"
            raise TableError(f"{file}: '{name}': names are lower case letters, digits and _, {rule}; rename that check")
        found[name] = select
    if strangers := sorted(table.settings.checks.keys() - found.keys()):
        known = ", ".join(found) or "none"
        raise TableError(
            f"tables/{table.name}/table.toml: checks names '{strangers[0]}' but checks.sql makes {known}; mend either"
        )
    return found


def _name_and_select(statement: str, file: str) -> tuple[str, str]:
    import duckdb

    text = statement.encode()  # the tokens' places are counted in bytes
    starts = duckdb.tokenize(statement)
    ends = [*(start for start, _ in starts[1:]), len(text)]
    words = [
        (start, text[start:end].strip().decode())
        for (start, kind), end in zip(starts, ends, strict=True)
        if kind != duckdb.token_type.comment
    ]
    while words[-1][1] == ";":
        words.pop()
    head = _HEAD.match(" ".join(word for _, word in words[:8]))
    if not head:
        shown = shorten(one_line(statement))
        raise TableError(f"{file}: a check is `create view name as select ...`, not `{shown}`; write it so")
    last, word = words[-1]
    return head["name"], text[words[len(head[0].split())][0] : last + len(word.encode())].decode()


def _read(
    db: duckdb.DuckDBPyConnection, table: Table, files: Mapping[str, Sequence[Path]], columns: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The columns of new and old, and the SELECTs that read them; old has all columns of new, NULL where it had none.

    Published files that no check asks for are not opened: a reload is how a damaged one is mended.
    """
    if "old" not in f"{table.checks} {table.sources}".lower() and files["new"]:
        files = {**files, "old": ()}
    sources = {side: relation(paths, columns=columns) for side, paths in files.items() if paths}
    read = {side: _types(db, source, f"the rows of {table.name}") for side, source in sources.items()}
    new = read.get("new") or read["old"]
    have = {name.lower() for name in read.get("old", {})}
    added = {name: kind for name, kind in new.items() if name.lower() not in have}
    types = {"new": new, "old": read.get("old", {}) | added}
    rows = {side: f"select * from {source}" for side, source in sources.items()}
    if "old" in rows and added:
        rows["old"] = f"select *, {_nulls(added)} from {sources['old']}"
    return types, {side: rows.get(side, _no_rows(types[side])) for side in _ROWS}


def _types(db: duckdb.DuckDBPyConnection, source: str, what: str) -> dict[str, str]:
    import duckdb

    try:
        return {row[0]: row[1] for row in db.execute(f"describe from {source}").fetchall()}
    except duckdb.Error as error:
        raise QueryError(f"{what} cannot be checked: {message(error)}; mend or remove that file") from error


def _nulls(columns: Mapping[str, str]) -> str:
    return ", ".join(f"cast(null as {kind}) as {quote_name(name)}" for name, kind in columns.items())


def _no_rows(columns: Mapping[str, str]) -> str:
    return f"select {_nulls(columns)} where false"


def _bind(db: duckdb.DuckDBPyConnection, table: Table, name: str, views: Mapping[str, str]) -> set[str]:
    """The columns of a check; raises ``QueryError`` unless it binds and has the day column, as a DATE."""
    day = table.settings.day_column
    found = _ask(db, table, name, f"describe {_with(views)} from {quote_name(name)}")
    types = {row[0].lower(): row[1] for row in found}
    check = f"tables/{table.name}/checks.sql: the check {name}"
    if day.lower() not in types:
        raise QueryError(f"{check} has no column {day}, only {', '.join(types)}; select it")
    if types[day.lower()] != "DATE":
        raise QueryError(f"{check} has {day} as {types[day.lower()]}, not DATE; cast it to date")
    return set(types)


def _violations(
    db: duckdb.DuckDBPyConnection, table: Table, name: str, views: Mapping[str, str], shown: set[str]
) -> list[_Found]:
    texts = {word: f"cast({word} as varchar)" if word in shown else "null" for word in ("found", "expected")}
    return _ask(
        db,
        table,
        name,
        f"{_with(views)} select cast(of_day as varchar), count(*), min({{found: found, expected: expected}}) from ("
        f"select {quote_name(table.settings.day_column)} as of_day, {texts['found']} as found, "
        f"{texts['expected']} as expected from {quote_name(name)}) group by of_day order by of_day",
    )


def _with(views: Mapping[str, str]) -> str:
    # Not materialized, so that the columns and filters of a check are pushed down to the files.
    return "with " + ", ".join(f"{quote_name(name)} as not materialized (\n{sql}\n)" for name, sql in views.items())


def _ask(db: duckdb.DuckDBPyConnection, table: Table, name: str, statement: str) -> list[Any]:
    import duckdb

    try:
        return db.execute(statement).fetchall()
    except duckdb.Error as error:
        check = f"tables/{table.name}/checks.sql: the check {name}"
        raise QueryError(f"{check}: {message(error)}; mend the check") from error


def _results(table: Table, name: str, found: Sequence[_Found], days: Mapping[str, date]) -> list[CheckResult]:
    of_batch = [row for row in found if row[0] in days]
    groups = [[row] for row in of_batch[:DAYS_ALONE]] + [of_batch[DAYS_ALONE:]]
    results = [
        _result(table, name, Days.of(days[str(day)] for day, _, _ in group), group, group[0][2])
        for group in groups
        if group
    ]
    if strangers := [row for row in found if row[0] not in days]:
        named = ", ".join(day or "no day" for day, _, _ in strangers)
        texts = {"found": named, "expected": "a day of the batch"}
        results.append(_result(table, name, Days.of(days.values()), strangers, texts))
    return results


def _result(
    table: Table, name: str, days: Days, found: Sequence[_Found], texts: Mapping[str, str | None]
) -> CheckResult:
    settings = table.settings.checks.get(name)
    shown = {key: shorten(one_line(text), TEXT_LENGTH) for key, text in texts.items() if text is not None}
    return CheckResult(
        check=name,
        severity=settings.severity if settings else "error",
        days=days,
        rows=sum(rows for _, rows, _ in found),
        **shown,
    )


def _days_of(files: Sequence[Path], day_column: str) -> dict[str, date]:
    """The days of the batch by their text: a file's folder names its day."""
    prefix = f"{day_column}="
    named = [[part for part in file.parts if part.startswith(prefix)][-1:] for file in files]
    texts = {part.removeprefix(prefix) for parts in named for part in parts}
    return {text: parse_day(text) for text in texts}
