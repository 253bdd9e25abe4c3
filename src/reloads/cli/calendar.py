"""How ``reloads status TABLE`` shows the days of a table."""

from __future__ import annotations

from datetime import datetime

from reloads.cli.answer import Answer, Block, Column, Grid, Lines, Picture, Row, count, megabytes
from reloads.cli.plan import shorten_days
from reloads.days import Days
from reloads.errors import TableError
from reloads.inspection.calendar import Calendar, DayState, read_calendar
from reloads.inspection.calendar_json import calendar_values, summary_values
from reloads.inspection.overview import Overview, TableSummary
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog

SIGNS: dict[DayState, str] = {
    "running": ">",
    "open": "+",
    "waiting": "w",
    "refused": "!",
    "failed": "x",
    "missing": "·",
    "stale": "s",
    "empty": "0",
    "fresh": "■",
}
"""A day in a terminal; those that a person has to do something about are letters, as on the Warehouse page."""

SHOWN_MONTHS = 24
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
    blocks: list[Block] = [Lines([describe_summary(summary, calendar)]), draw_months(calendar), Grid(COLUMNS, rows)]
    return Answer(value, blocks)


def draw_months(calendar: Calendar) -> Picture:
    """A sign a day and a line a month, the last months of the table."""
    months: dict[str, dict[int, DayState]] = {}
    for day, each in calendar.days.items():
        months.setdefault(f"{day:%Y-%m}", {})[day.day] = each.cell.state
    shown = sorted(months)[-SHOWN_MONTHS:]
    rows: list[tuple[str, list[tuple[str, str]]]] = []
    seen: set[DayState] = set()
    for month in shown:
        states = months[month]
        seen |= set(states.values())
        rows.append((month, [_sign(states.get(number)) for number in range(1, max(states) + 1)]))
    legend = [(sign, state) for state, sign in SIGNS.items() if state in seen]
    before = len(months) - len(shown)
    return Picture(rows, legend, f"{count(before, 'month')} before; --json shows all" if before else "")


def _sign(state: DayState | None) -> tuple[str, str]:
    """The sign of a day; blank for one that is not looked at."""
    return (SIGNS[state], state) if state else (" ", "")


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
