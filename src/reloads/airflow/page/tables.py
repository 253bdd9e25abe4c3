"""The tables: all at one look, the days of one, and one day with all that is known of it."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Query, Response

from reloads.airflow.page.context import ContextDep
from reloads.airflow.page.day_answers import DayDetail, describe_day
from reloads.airflow.page.kept_overview import PATIENCE_SECONDS
from reloads.airflow.page.paused_dags import PausedDep
from reloads.airflow.page.refusals import bad_request
from reloads.airflow.page.rights import RightsDep
from reloads.airflow.page.table_answers import (
    BrokenTable,
    DaysOfTable,
    TableList,
    TableRow,
    describe_days,
    describe_table,
)
from reloads.days import Days, parse_day
from reloads.errors import TableError, one_line
from reloads.inspection.calendar import read_calendar
from reloads.inspection.day_detail import read_day
from reloads.tables.catalog import Catalog

router = APIRouter(tags=["tables"])
MOST_DAYS = 4000
KeysFlag = Annotated[bool, Query(description="whether the rows of the values of keys are wanted, too")]
DayText = Annotated[str, Query(description="YYYY-MM-DD", examples=["2013-01-31"])]


@router.get("/tables")
def list_tables(context: ContextDep, rights: RightsDep, paused: PausedDep) -> TableList:
    """All tables that you may see."""
    catalog = context.catalog
    seen = rights.readable([*catalog.tables, *catalog.broken])
    steerable = rights.steerable(seen)
    summaries = context.overview.summarize(catalog, now=context.now, patience=PATIENCE_SECONDS)
    tables: list[TableRow] = []
    for name in catalog.lineage.load_order():
        if name in seen and name in summaries:
            may_ask, is_paused = name in steerable, name in paused
            summary = summaries[name]
            row = describe_table(catalog[name], summary, context, seen=seen, may_ask=may_ask, is_paused=is_paused)
            tables.append(row)
    broken = {name: error for name, error in catalog.broken.items() if name in seen}
    broken |= {name: _find_broken_input(catalog, name) for name in (seen & catalog.tables.keys()) - summaries.keys()}
    return TableList(
        today=context.settings.day_of(context.now),
        time_zone=context.settings.time_zone,
        may_see_requests=rights.may_see_files(),
        tables=tables,
        broken=[
            BrokenTable(name=name, dag=context.settings.names.rewrite_dag(name), sentence=one_line(error))
            for name, error in sorted(broken.items())
        ],
    )


def _find_broken_input(catalog: Catalog, name: str) -> TableError:
    """Why a good table cannot be loaded: a table that it reads is broken."""
    try:
        catalog.all_inputs(catalog[name])
    except TableError as error:
        return TableError(f"it reads a table that is broken ({one_line(error)})")
    return TableError("what it reads was mended just now; look again")


@router.get("/tables/{table}/days", response_model=DaysOfTable)
def list_days(
    table: str, first: DayText, last: DayText, context: ContextDep, rights: RightsDep, *, keys: KeysFlag = True
) -> Response:
    """Every day from the first to the last, each with its state; in a table with keys also each value of the keys."""
    rights.require_read(table, {*context.catalog.tables, *context.catalog.broken})
    days = Days.between(parse_day(first, field="first"), parse_day(last, field="last"))
    if len(days) > MOST_DAYS:
        raise bad_request(f"{days} are {len(days)} days; ask for {MOST_DAYS} at most")
    calendar = read_calendar(
        context.settings, context.catalog, table, days, now=context.now, records=context.overview.records
    )
    return describe_days(calendar, now=context.now, with_keys=keys)


@router.get("/tables/{table}/days/{day}")
def show_day(table: str, day: str, context: ContextDep, rights: RightsDep, session: SessionDep) -> DayDetail:
    """One day: its partitions, what they were made from and when, their versions, and who asks for it."""
    rights.require_read(table, {*context.catalog.tables, *context.catalog.broken})
    records = context.overview.records
    detail = read_day(context.settings, context.catalog, table, parse_day(day), now=context.now, records=records)
    return describe_day(detail, table, rights, session)
