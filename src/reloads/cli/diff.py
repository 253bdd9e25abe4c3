"""The command that compares two versions of a day: diff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from reloads.cli.answer import Answer, Block, Column, Facts, Grid, Lines, Row, count
from reloads.cli.console import current_settings
from reloads.cli.options import TABLE
from reloads.days import parse_day
from reloads.errors import RequestError
from reloads.inspection.day_diff import EXAMPLES, DayDiff, diff_day
from reloads.inspection.day_versions import DayVersion
from reloads.warehouse.upgrade import open_catalog

DAY = Annotated[str, typer.Argument(metavar="DAY", help="one day, YYYY-MM-DD")]
NUMBERS = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="VERSION",
        help="one or two numbers that reloads history lists; default: what the last change did",
    ),
]
BY = Annotated[
    str | None,
    typer.Option(metavar="COLUMNS", help="columns that tell the rows apart, like flight,origin; default: order_by"),
]
ROWS = Annotated[int, typer.Option(metavar="NUMBER", min=0, help="so many rows of each kind are shown")]


def diff(table: TABLE, day: DAY, versions: NUMBERS = None, *, by: BY = None, rows: ROWS = EXAMPLES) -> Answer:
    """Show what changed in a day.

    Rows added, removed and changed between two versions, and columns.
    """
    settings = current_settings()
    columns = [name.strip() for name in by.split(",")] if by else []
    definition, numbers = open_catalog(settings)[table], _parse_numbers(table, versions or ())
    difference = diff_day(settings, definition, parse_day(day), numbers, by=columns, examples=rows)
    return Answer(_values(difference), [*_blocks(difference)])


def _parse_numbers(table: str, texts: Sequence[str]) -> list[int]:
    for text in texts:
        if not text.isdecimal():
            raise RequestError(f"{text!r} is not the number of a version; reloads history {table} lists them")
    return [int(text) for text in texts]


def _blocks(difference: DayDiff) -> list[Block]:
    blocks: list[Block] = [
        Facts(
            [
                ("before", _describe(difference.before, difference.rows_before)),
                ("after", _describe(difference.after, difference.rows_after)),
                ("rows", _count_rows(difference)),
                ("columns", _describe_columns(difference)),
                ("changed in", [f"{name}: {count(n, 'row')}" for name, n in difference.changes_by_column.items()]),
            ]
        )
    ]
    for name, rows in (("added", difference.added_rows), ("removed", difference.removed_rows)):
        if rows:
            columns = (Column(name), *(Column(column) for column in rows[0]))
            blocks.append(Grid(columns, [Row((name, *row.values())) for row in rows]))
    changed: list[Row] = []
    for each in difference.changed_rows:
        changes = [f"{name}: {_text(each.before[name])} → {_text(each.after[name])}" for name in each.after]
        changed.append(Row(("changed", *each.row.values()), tuple(changes)))
    if changed:
        blocks.append(Grid((Column("changed"), *(Column(name) for name in difference.by)), changed))
    if difference.is_empty:
        blocks.append(Lines(["both versions hold the same"]))
    elif not difference.by and difference.added and difference.removed:
        blocks.append(Lines(["a changed row counts as removed and added; --by COLUMNS tells the rows apart"]))
    return blocks


def _describe(version: DayVersion, rows: int) -> str:
    name = "what is published" if version.number is None else f"version {version.number}"
    return f"{name}, {count(rows, 'row')}"


def _count_rows(difference: DayDiff) -> str:
    counts = f"{difference.added:,} added, {difference.removed:,} removed"
    return f"{counts}, {difference.changed:,} changed" if difference.by else counts


def _describe_columns(difference: DayDiff) -> list[str]:
    lines = [f"{name} {kind} added" for name, kind in difference.added_columns.items()]
    lines += [f"{name} {kind} removed" for name, kind in difference.removed_columns.items()]
    for name, (before, after) in difference.retyped_columns.items():
        lines.append(f"{name} {before} became {after}")
    return lines


def _text(value: str | None) -> str:
    return "NULL" if value is None else value


def _values(difference: DayDiff) -> dict[str, Any]:
    return {
        "table": difference.table,
        "day": difference.day,
        "before": _version_values(difference.before, difference.rows_before),
        "after": _version_values(difference.after, difference.rows_after),
        "by": list(difference.by),
        "rows": {"added": difference.added, "removed": difference.removed, "changed": _changed(difference)},
        "changes_by_column": dict(difference.changes_by_column),
        "columns": {
            "added": dict(difference.added_columns),
            "removed": dict(difference.removed_columns),
            "retyped": {name: list(kinds) for name, kinds in difference.retyped_columns.items()},
        },
        "examples": {
            "added": [dict(row) for row in difference.added_rows],
            "removed": [dict(row) for row in difference.removed_rows],
            "changed": [
                {"row": dict(each.row), "before": dict(each.before), "after": dict(each.after)}
                for each in difference.changed_rows
            ],
        },
    }


def _version_values(version: DayVersion, rows: int) -> Mapping[str, Any]:
    return {"version": version.number, "published_at": version.at, "rows": rows}


def _changed(difference: DayDiff) -> int | None:
    """None where nothing tells rows apart, so that nobody takes it for no change."""
    return difference.changed if difference.by else None


COMMANDS = {
    diff: [
        ("diff flights 2013-01-01", "what the last change did"),
        ("diff flights 2013-01-01 3 5 --by flight", "between two versions, row by row"),
    ],
}
