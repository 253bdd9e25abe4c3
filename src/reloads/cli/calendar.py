"""How ``reloads status TABLE`` shows the days of a table."""

from __future__ import annotations

from datetime import datetime

from reloads.cli.answer import Answer, Column, Grid, Lines, Row, count, megabytes
from reloads.cli.plan import shorten_days
from reloads.days import Days
from reloads.errors import TableError
from reloads.inspection.calendar import Calendar, read_calendar
from reloads.inspection.calendar_json import calendar_values, summary_values
from reloads.inspection.overview import Overview, TableSummary
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog

COLUMNS = (Column("state"), Column("days", is_number=True), Column("which"))


def answer_calendar(settings: Settings, table: str, *, now: datetime) -> Answer:
    """The table in a line, and the days of each state and reason; as JSON every day, as the page's API gives it."""
    catalog = open_catalog(settings)
    summary = summarize_table(settings, catalog, table, now=now)
    calendar = read_calendar(settings, catalog, table, summary.days, now=now)
    rows: list[Row] = []
    for (state, why), days in calendar.days_by_reason().items():
        late = Days.of(day for day in days if calendar.days[day].is_late)
        notes = [why] if why and state != "missing" else []
        notes += [f"late: {shorten_days(late)}"] if late else []
        rows.append(Row((state, len(days), shorten_days(days)), tuple(notes)))
    value = {**calendar_values(calendar, now=now), **summary_values(summary)}
    return Answer(value, [Lines([describe_summary(summary, calendar)]), Grid(COLUMNS, rows)])


def summarize_table(settings: Settings, catalog: Catalog, table: str, *, now: datetime) -> TableSummary:
    """The sums of one table, as the Warehouse page has them; raises ``TableError`` if it cannot be looked at."""
    catalog.all_inputs(catalog[table])
    summary = Overview(settings).summarize(catalog, now=now, names=[table]).get(table)
    if summary is None:
        raise TableError(f"table '{table}' cannot be looked at; reloads check says why")
    return summary


def describe_summary(summary: TableSummary, calendar: Calendar) -> str:
    """The table in a line."""
    span = f"{summary.days.ranges[0].first}..{summary.days.ranges[-1].last}" if summary.days else "no days yet"
    return (
        f"{calendar.table.name}, {span}: {count(len(summary.published), 'day')} published, "
        f"{summary.gaps} missing between them, {count(summary.rows, 'row')}, {megabytes(summary.bytes)}"
    )
