"""How ``reloads status TABLE`` shows the days of a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from reloads.days import Days
from reloads.errors import TableError
from reloads.inspection.calendar import Calendar, read_calendar
from reloads.inspection.calendar_json import calendar_values, summary_values
from reloads.inspection.overview import Overview, TableSummary
from reloads.settings import Settings
from reloads.warehouse.upgrade import open_catalog

SHOWN_RANGES = 3


def calendar_lines(settings: Settings, table: str, *, now: datetime) -> Iterator[str]:
    """The table in a line, and the days of each state and reason."""
    summary, calendar = _read(settings, table, now=now)
    span = summary.days.ranges[0] if summary.days else "no days yet"
    yield (
        f"{table}  {span}: {len(summary.published)} days published, {summary.gaps} missing between them, "
        f"{summary.rows:,} rows, {summary.bytes / 1e6:,.1f} MB"
    )
    for (state, why), days in calendar.days_by_reason().items():
        late = Days.of(day for day in days if calendar.days[day].is_late)
        reason = f"  {why}" if why and state != "missing" else ""
        count = f"{len(days)} {'day' if len(days) == 1 else 'days'}"
        yield f"{state:8}  {count:>9}  {_shorten(days)}{reason}{f'  late: {_shorten(late)}' if late else ''}"


def calendar_json(settings: Settings, table: str, *, now: datetime) -> dict[str, Any]:
    """The same with every day, as the page's API gives it."""
    summary, calendar = _read(settings, table, now=now)
    return {**calendar_values(calendar, now=now), **summary_values(summary)}


def _read(settings: Settings, table: str, *, now: datetime) -> tuple[TableSummary, Calendar]:
    catalog = open_catalog(settings)
    catalog.all_inputs(catalog[table])
    summary = Overview(settings).summarize(catalog, now=now, names=[table]).get(table)
    if summary is None:
        raise TableError(f"table '{table}' cannot be looked at; reloads check says why")
    return summary, read_calendar(settings, catalog, table, summary.days, now=now)


def _shorten(days: Days) -> str:
    texts = days.texts()
    more = len(texts) - SHOWN_RANGES
    return ", ".join(texts[:SHOWN_RANGES]) + (f", … ({more} more ranges)" if more > 0 else "")
