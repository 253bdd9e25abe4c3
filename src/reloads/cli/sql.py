"""``reloads sql``: one SELECT over the views and the tables, as a table, records, CSV or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reloads.cli.answer import Answer, Block, Column, Facts, Grid, Lines, Row, count
from reloads.cli.console import current_settings, current_time, is_terminal, say_csv, session

if TYPE_CHECKING:
    import duckdb

SHOWN_ROWS = 40
"""As many as a person reads in a terminal; programs get all."""

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "UTINYINT", "UBIGINT")
MORE = "select them, or add --vertical, --csv or --json"


def sql(
    statement: Annotated[str, typer.Argument(metavar="SELECT", help='one SELECT, like "from flights"')],
    *,
    csv: Annotated[bool, typer.Option("--csv", help="as CSV, whole")] = False,
    vertical: Annotated[bool, typer.Option("--vertical", help="every column of a row on a line of its own")] = False,
) -> Answer | None:
    """Ask tables and views with one SELECT.

    Each table is known by its name. The views are requests (every record), partitions (every file and its provenance)
    and calendar (every day). A table that is called like one of them is tables.NAME. Times are in UTC.
    """
    from reloads.inspection.sql_query import csv_lines, query_views
    from reloads.inspection.sql_views import open_views

    if csv and (session.as_json or vertical):
        raise typer.BadParameter("--csv goes with neither --json nor --vertical; write one of them")
    with open_views(current_settings(), query=statement, now=current_time()) as db:
        answer = query_views(db, statement)
        if csv:
            say_csv(csv_lines(answer))
            return None
        return _answer(answer, is_vertical=vertical)


def _answer(relation: duckdb.DuckDBPyRelation, *, is_vertical: bool) -> Answer:
    from reloads.inspection.sql_query import as_texts, json_rows

    names = list(relation.columns)
    if session.as_json:
        return Answer({"columns": names, "rows": list(json_rows(relation))})
    limit = SHOWN_ROWS if is_terminal() else None
    shown = as_texts(relation if limit is None else relation.limit(limit)).fetchall()
    blocks: list[Block] = []
    if is_vertical:
        blocks += [Facts(list(zip(names, row, strict=True))) for row in shown]
    else:
        is_number = [str(kind).partition("(")[0] in NUMBERS for kind in relation.types]
        columns = tuple(map(Column, names, is_number))
        blocks.append(Grid(columns, [Row(tuple(row)) for row in shown], rest=MORE))
    if limit:
        blocks.append(Lines([_describe_count(len(shown), len(relation))]))
    return Answer({}, blocks)


def _describe_count(shown: int, rows: int) -> str:
    if shown == rows:
        return count(rows, "row")
    return f"the first {shown} of {count(rows, 'row')}; --csv and --json give all"


COMMANDS = {
    sql: [
        ('sql "from flights limit 3"', "a table by its name"),
        ('sql "select partition, rows from partitions where rows < 10"', "the files"),
        ('sql "from requests" --vertical', "all columns of wide rows"),
        ('sql "from calendar" --csv >> days.csv', "for other programs"),
    ]
}
