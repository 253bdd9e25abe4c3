"""``reloads tables``: all tables at one look, one of them, or which reads which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from reloads.cli.answer import Answer, Block, Branch, Branches, Column, Facts, Grid, Lines, Row, count, megabytes
from reloads.cli.calendar import summarize_table
from reloads.cli.completion import complete_table
from reloads.cli.console import current_settings, current_time
from reloads.inspection.calendar_json import summary_values
from reloads.inspection.overview import Overview, TableSummary
from reloads.rewriting.check_statements import list_checks
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, TableSettings
from reloads.tables.lineage import Lineage
from reloads.tables.table_text import read_text, summarize
from reloads.warehouse.upgrade import open_catalog

COLUMNS = (
    Column("table"),
    Column("days", is_number=True),
    Column("gaps", is_number=True),
    Column("stale", is_number=True),
    Column("rows", is_number=True),
    Column("size", is_number=True),
    Column("open", is_number=True),
    Column("newest day"),
    Column("last change"),
)


def tables(
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="one table, whole", autocompletion=complete_table)
    ] = None,
    *,
    lineage: Annotated[bool, typer.Option("--lineage", help="which table reads which, as a tree")] = False,
) -> Answer:
    """List the tables, or show one, or which reads which.

    days and gaps are those published and those missing between them.
    """
    settings = current_settings()
    catalog = open_catalog(settings)
    if lineage:
        return _answer_lineage(catalog, table)
    return _answer_list(settings, catalog) if table is None else _answer_one(settings, catalog, table)


def _answer_list(settings: Settings, catalog: Catalog) -> Answer:
    summaries = Overview(settings).summarize(catalog, now=current_time())
    rows: list[Row] = []
    values: list[dict[str, Any]] = []
    for name in (name for name in catalog.lineage.load_order() if name in catalog.tables):
        summary = summaries.get(name)
        rows.append(_row(summary) if summary else Row((name, *[None] * 8), ("a table that it reads is broken",)))
        values.append(_short_values(settings, catalog[name]) | (summary_values(summary) if summary else {}))
    broken = {name: str(error) for name, error in catalog.broken.items()}
    blocks: list[Block] = [Grid(COLUMNS, rows, rest="--json shows all")]
    blocks.append(Lines([f"broken: {error}" for error in broken.values()]))
    if not rows and not broken:
        blocks.append(Lines([f"no tables yet; a table is a folder in {settings.tables}"]))
    return Answer({"tables": values, "broken": [{"name": name, "sentence": broken[name]} for name in broken]}, blocks)


def _row(summary: TableSummary) -> Row:
    newest = summary.published.ranges[-1].last if summary.published else None
    return Row(
        (
            summary.table.name,
            len(summary.published),
            summary.gaps,
            summary.counts["stale"],
            summary.rows,
            megabytes(summary.bytes),
            summary.open_requests,
            newest,
            summary.last_change,
        )
    )


def _short_values(settings: Settings, table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "text": summarize(read_text(settings.tables, table.name)),
        "keys": list(table.settings.keys),
        "day_column": table.settings.day_column,
        "first_day": table.settings.first_day,
        "daily": table.settings.daily,
        "inputs": dict(table.inputs),
        "sources": sorted(table.file_sources),
    }


def _answer_one(settings: Settings, catalog: Catalog, name: str) -> Answer:
    table = catalog[name]
    summary = summarize_table(settings, catalog, name, now=current_time())
    downstream = catalog.lineage.downstream(name)
    checks = list_checks(table)
    chosen = _chosen_settings(table)
    text = read_text(settings.tables, name)
    counts = [f"{count(number, 'day')} {state}" for state, number in summary.counts.items() if number]
    facts = Facts(
        [
            ("table", name),
            ("text", summarize(text) or None),
            ("days", counts),
            ("published", summary.published.texts()),
            ("gaps", summary.gaps),
            ("rows", summary.rows),
            ("size", megabytes(summary.bytes)),
            ("last change", summary.last_change),
            ("open requests", summary.open_requests),
            ("reads", list(_describe_windows(dict(table.inputs)))),
            ("read by", list(_describe_windows(downstream))),
            (
                "raw files",
                [f"{source}: {table.file_sources[source].files.text}" for source in sorted(table.file_sources)],
            ),
            ("keys", ", ".join(table.settings.keys) or None),
            ("checks", checks),
            *((key, _format_setting(value)) for key, value in chosen.items()),
            ("folder", str(settings.tables / name)),
        ]
    )
    value = _short_values(settings, table) | summary_values(summary)
    value |= {"text": text, "downstream": downstream, "checks": checks, "query": table.query}
    value |= {"settings": table.settings.model_dump(mode="json"), "published": summary.published}
    return Answer(value, [facts])


def _chosen_settings(table: Table) -> dict[str, object]:
    """What the table's settings say that is not the default, and that stands nowhere else."""
    values = table.settings.model_dump(mode="json")
    chosen: dict[str, object] = {}
    for name, field in TableSettings.model_fields.items():
        is_default = not field.is_required() and getattr(table.settings, name) == field.get_default()
        if not is_default and name not in ("keys", "reads", "checks"):
            chosen[name] = values[name]
    return chosen


def _format_setting(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _describe_windows(windows: dict[str, int]) -> Iterator[str]:
    for name, days in windows.items():
        yield name if days == 1 else f"{name} ({count(days, 'day')})"


def _answer_lineage(catalog: Catalog, table: str | None) -> Answer:
    lineage = catalog.lineage
    if table is not None:
        catalog.definition(table)
    roots = [name for name in lineage.load_order() if not lineage.inputs_of(name)] if table is None else [table]
    values: list[dict[str, Any]] = []
    for name in [*lineage.load_order()] if table is None else [table]:
        values.append({"name": name, "inputs": lineage.inputs_of(name), "downstream": lineage.downstream(name)})
    return Answer({"tables": values}, [Branches([_branch(lineage, name, 1) for name in roots])])


def _branch(lineage: Lineage, name: str, days: int) -> Branch:
    label = name if days == 1 else f"{name} (reads {count(days, 'day')})"
    below = lineage.downstream(name).items()
    return Branch(label, tuple(_branch(lineage, each, window) for each, window in below))


COMMANDS = {
    tables: [
        ("tables", "all of them"),
        ("tables flights", "one, whole"),
        ("tables --lineage", "which reads which"),
    ]
}
