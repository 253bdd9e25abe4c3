"""Tables and their days as the page shows them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from reloads.airflow.page.context import Context
from reloads.inspection.calendar import Calendar, DayState
from reloads.inspection.calendar_json import calendar_values, summary_values
from reloads.inspection.overview import TableSummary
from reloads.tables.definition import Table
from reloads.tables.table_text import read_text, summarize


class TableRow(BaseModel):
    """One table at one look."""

    name: str
    dag: str = Field(description="the DAG that rewrites it")
    text: str = Field(description="one line from the table's README.md, or empty")
    keys: list[str]
    day_column: str
    first_day: date
    daily: bool
    may_ask: bool = Field(description="whether you may ask for its days, and steer its requests")
    is_paused: bool
    inputs: dict[str, int] = Field(description="the tables that it reads, and how many days of each")
    sources: list[str] = Field(description="the sources whose raw files it reads")
    counts: dict[DayState, int] | None = Field(
        description="days from the first to the last, by state; null, as all below, until it was looked at once"
    )
    last_day: date | None = Field(description="null where nothing is published or asked for yet")
    published_days: int | None
    gaps: int | None = Field(description="days between the first and the last published one that are not published")
    rows: int | None
    bytes: int | None
    last_change: datetime | None
    first_published: date | None
    last_published: date | None
    open_requests: int | None
    failed_requests: int | None


SUMS = list(TableRow.model_fields)[list(TableRow.model_fields).index("counts") :]
"""The fields that are not known until the table was looked at."""


class BrokenTable(BaseModel):
    """A folder that defines no table."""

    name: str
    dag: str
    sentence: str


class TableList(BaseModel):
    """All tables that you may see, in the order of loading."""

    today: date
    time_zone: str
    may_see_requests: bool = Field(description="whether you may see files that wait or were rejected")
    tables: list[TableRow]
    broken: list[BrokenTable]


class CellOfDay(BaseModel):
    """What is published of one value of the keys on one day."""

    state: DayState
    why: str | None
    rows: int | None
    bytes: int | None
    changed_at: datetime | None
    request: str | None = Field(description="the request that says so, where one does")


class DayRow(CellOfDay):
    """One day of a table."""

    day: date
    is_late: bool
    partitions: int


class KeyRow(BaseModel):
    """The days of one value of the keys, aligned with the days of the table; null where it has no partition."""

    keys: dict[str, str]
    days: list[CellOfDay | None]


class DaysOfTable(BaseModel):
    """Every day of a range."""

    table: str
    first: date
    last: date
    keys: list[str]
    as_of: datetime
    days: list[DayRow]
    key_rows: list[KeyRow]


def describe_table(
    table: Table,
    summary: TableSummary | None,
    context: Context,
    *,
    seen: Collection[str],
    may_ask: bool,
    is_paused: bool,
) -> TableRow:
    """The summary as it is sent; inputs that the user may not see are left out."""
    settings = table.settings
    sums = summary_values(summary) if summary else dict.fromkeys(SUMS)
    return TableRow.model_validate(
        {
            "name": table.name,
            "dag": context.settings.names.rewrite_dag(table.name),
            "text": summarize(read_text(context.settings.tables, table.name)),
            "keys": settings.keys,
            "day_column": settings.day_column,
            "first_day": settings.first_day,
            "daily": settings.daily,
            "may_ask": may_ask,
            "is_paused": is_paused,
            "inputs": {name: window for name, window in table.inputs.items() if name in seen},
            "sources": sorted(table.file_sources),
            **sums,
        }
    )


def describe_days(calendar: Calendar, *, now: datetime, with_keys: bool) -> JSONResponse:
    """The calendar as it is sent. A year of twenty keys has 7,300 cells, so it is not made of models first."""
    return JSONResponse(calendar_values(calendar, now=now, with_keys=with_keys))
