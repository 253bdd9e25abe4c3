"""Checks: named questions to a batch's staged rows, asked before they are published. ``tables/<table>/checks.sql``.

create view fewer_rows as                     each statement is one check, and each of its rows a violation
select day, count(n.id) as found,             the table's day column says which day does not pass
    count(*) as expected                      found and expected are shown, if the check has these columns
from old as o left join new as n              new: the staged rows; old: the rows that they would replace
    using (day, id)
group by day having 2 * found < expected;

``asked`` has one row for each day of the batch, so a check can find days without rows. A check may read the checks
before it, and the sources. Nothing is created in the database: ``new``, ``old``, ``asked`` and the checks are common
table expressions of each statement. A temporary view of such a name would hide a source of that name, also from the
views of sources.sql, and somebody would have to drop it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.days import Days
from reloads.errors import QueryError, one_line, shorten
from reloads.outcome import CheckResult
from reloads.rewriting.check_statements import parse_checks
from reloads.rewriting.checked_rows import SIDES, asked_days, no_rows, read_rows
from reloads.rewriting.engine import message
from reloads.sql import quote_name
from reloads.tables.definition import Table

if TYPE_CHECKING:
    import duckdb

DAYS_WITH_OWN_RESULT = 50
"""The other days of a check share one result, so that a record stays small."""
MAX_TEXT_LENGTH = 100
"""Of found and expected."""


@dataclass(frozen=True)
class _Violations:
    """The violations of one check on one day, with found and expected of one of them."""

    day: str | None
    count: int
    texts: Mapping[str, str | None]


def bind_checks(db: duckdb.DuckDBPyConnection, table: Table, *, columns: Mapping[str, str]) -> None:
    """Raise ``QueryError`` unless each check could run on rows of these columns (name to SQL type), as new and old."""
    views = dict.fromkeys(SIDES, no_rows(columns).select)
    views["asked"] = asked_days(table, Days())
    for name, select in parse_checks(table).items():
        views[name] = select
        _bind(db, table, name, views)


def run_checks(
    db: duckdb.DuckDBPyConnection,
    table: Table,
    *,
    days: Days,
    new: Sequence[Path],
    old: Sequence[Path],
    columns: Mapping[str, str],
) -> tuple[CheckResult, ...]:
    """What the checks found: a result for each check and day, or none where all is well.

    ``days`` are those of the batch, ``columns`` those of the query with their SQL types. A violation without a day, or
    on another day, counts against all days of the batch. Raises ``QueryError`` where a check cannot run.
    """
    checks = parse_checks(table)
    if not checks or not days:
        return ()
    rows = read_rows(db, table, new=new, old=old, columns=columns)
    # The columns of a check are looked up on no rows, which opens no files.
    views_without_rows: dict[str, str] = {}
    views: dict[str, str] = {}
    views_without_rows["asked"] = asked_days(table, Days())
    views["asked"] = asked_days(table, days)
    for side, side_rows in rows.items():
        views_without_rows[side] = no_rows(side_rows.columns).select
        views[side] = side_rows.select
    results: list[CheckResult] = []
    for name, select in checks.items():
        # A view for each check up to this one: a later one would hide a source of its name.
        views_without_rows[name] = views[name] = select
        check_columns = _bind(db, table, name, views_without_rows)
        violations = _find_violations(db, table, name, views, check_columns)
        results += _results(table, name, violations, {str(day): day for day in days})
    return tuple(results)


def _bind(db: duckdb.DuckDBPyConnection, table: Table, name: str, views: Mapping[str, str]) -> set[str]:
    """The columns of a check in lower case; raises ``QueryError`` unless it binds and has the day column, as a DATE."""
    day_column = table.settings.day_column
    types: dict[str, str] = {}
    for column, sql_type, *_ in _query(db, table, name, f"describe {_with(views)} from {quote_name(name)}"):
        types[column.lower()] = sql_type
    check = f"tables/{table.name}/checks.sql: the check {name}"
    day_type = types.get(day_column.lower())
    if day_type is None:
        raise QueryError(f"{check} has no column {day_column}, only {', '.join(types)}; select it")
    if day_type != "DATE":
        raise QueryError(f"{check} has {day_column} as {day_type}, not DATE; cast it to date")
    return set(types)


def _find_violations(
    db: duckdb.DuckDBPyConnection, table: Table, name: str, views: Mapping[str, str], columns: set[str]
) -> list[_Violations]:
    found = "cast(found as varchar)" if "found" in columns else "null"
    expected = "cast(expected as varchar)" if "expected" in columns else "null"
    # The least pair of a day: found and expected of one violation, and of the same one each time.
    query = f"""
        {_with(views)}
        select cast(of_day as varchar), count(*), min({{found: found, expected: expected}})
        from (
            select {quote_name(table.settings.day_column)} as of_day, {found} as found, {expected} as expected
            from {quote_name(name)}
        )
        group by of_day
        order by of_day
    """
    return [_Violations(*row) for row in _query(db, table, name, query)]


def _with(views: Mapping[str, str]) -> str:
    # Not materialized, so that the columns and filters of a check are pushed down to the files.
    expressions = [f"{quote_name(name)} as not materialized (\n{select}\n)" for name, select in views.items()]
    return "with " + ", ".join(expressions)


def _query(db: duckdb.DuckDBPyConnection, table: Table, name: str, statement: str) -> list[Any]:
    import duckdb

    try:
        return db.execute(statement).fetchall()
    except duckdb.Error as error:
        check = f"tables/{table.name}/checks.sql: the check {name}"
        raise QueryError(f"{check}: {message(error)}; mend the check") from error


def _results(table: Table, name: str, violations: Iterable[_Violations], days: Mapping[str, date]) -> list[CheckResult]:
    """A result for each day; one for all days behind the first ones, and one for what is not on a day of the batch."""
    in_batch: list[_Violations] = []
    outside: list[_Violations] = []
    for of_day in violations:
        (in_batch if of_day.day in days else outside).append(of_day)
    groups = [[of_day] for of_day in in_batch[:DAYS_WITH_OWN_RESULT]]
    if len(in_batch) > DAYS_WITH_OWN_RESULT:
        groups.append(in_batch[DAYS_WITH_OWN_RESULT:])
    results: list[CheckResult] = []
    for group in groups:
        group_days = Days.of(days[str(of_day.day)] for of_day in group)
        results.append(_result(table, name, group_days, group, group[0].texts))
    if outside:
        names = ", ".join(of_day.day or "no day" for of_day in outside)
        texts = {"found": names, "expected": "a day of the batch"}
        results.append(_result(table, name, Days.of(days.values()), outside, texts))
    return results


def _result(
    table: Table, name: str, days: Days, violations: Iterable[_Violations], texts: Mapping[str, str | None]
) -> CheckResult:
    settings = table.settings.checks.get(name)
    return CheckResult(
        check=name,
        severity=settings.severity if settings else "error",
        days=days,
        rows=sum(of_day.count for of_day in violations),
        found=_shown(texts["found"]),
        expected=_shown(texts["expected"]),
    )


def _shown(text: str | None) -> str | None:
    return None if text is None else shorten(one_line(text), MAX_TEXT_LENGTH)
