"""Asking for days of a table: what that would do, and the file that asks for it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from reloads.airflow.page.context import Context, ContextDep
from reloads.airflow.page.rights import Rights, RightsDep
from reloads.days import Days
from reloads.errors import RequestError
from reloads.inspection.plan_summary import PlanPart, TablePlan, summarize
from reloads.inspection.preview import preview
from reloads.requests.dropping import drop_request, format_request
from reloads.requests.judgement import read_requests
from reloads.requests.request import ReloadRequest, check_request, parse_request
from reloads.tables.definition import TABLE_NAME

router = APIRouter(tags=["asking"])
LABEL = "page-"
_FILE = re.compile(rf"{LABEL}({TABLE_NAME.pattern})-[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}-[0-9a-f]{{6}}\.json")


class Ask(BaseModel):
    """Days of a table to rewrite; what it says is judged like a dropped file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    table: str
    days: list[str] = Field(description="days and ranges, in any order", examples=[["2013-01-01..2013-01-05"]])
    only: str = Field("all", description="all, missing or stale: which of the days are rewritten")
    keys: dict[str, list[Any]] = Field({}, description="for a table with keys: the values to rewrite; empty: all")
    parameters: dict[str, Any] = Field({}, description="values for the parameters that the table declares")
    cascade: bool = Field(True, description="whether downstream tables follow")
    reason: str | None = Field(None, description="kept with the request and shown everywhere")


class Part(BaseModel):
    """Partitions of a table that share a reason."""

    days: list[str]
    is_planned: bool = Field(description="whether they would be rewritten")
    why: str
    partitions: int
    rows: int = Field(description="published now; they would be replaced")
    bytes: int

    @classmethod
    def of(cls, part: PlanPart) -> Part:
        """The part as it is sent."""
        return cls(
            days=part.days.texts(),
            is_planned=part.is_planned,
            why=part.why,
            partitions=part.partitions,
            rows=part.rows,
            bytes=part.bytes,
        )


class PlannedTable(BaseModel):
    """What would be done to one table."""

    table: str
    is_downstream: bool = Field(description="whether it would only follow")
    planned_days: int
    partitions: int
    rows: int = Field(description="published now; they would be replaced")
    bytes: int
    parts: list[Part]

    @classmethod
    def of(cls, plan: TablePlan, *, asked: str) -> PlannedTable:
        """The plan as it is sent; the sums are those of what would be rewritten."""
        return cls(
            table=plan.table,
            is_downstream=plan.table != asked,
            planned_days=len(plan.planned_days),
            partitions=sum(part.partitions for part in plan.planned),
            rows=sum(part.rows for part in plan.planned),
            bytes=sum(part.bytes for part in plan.planned),
            parts=[Part.of(part) for part in plan.parts],
        )


class Plan(BaseModel):
    """What a request would do, table by table in the order of loading."""

    tables: list[PlannedTable]


class Dropped(BaseModel):
    """The file that asks."""

    file: str


@router.post("/plan")
def plan(ask: Ask, context: ContextDep, rights: RightsDep) -> Plan:
    """Say what a request for these days would do. Nothing is written, and no data is read."""
    rights.require_read(ask.table, _known_tables(context))
    request = _make_request(ask, context, rights)
    plans = summarize(preview(context.settings, request, now=context.now))
    seen = rights.readable([each.table for each in plans])
    return Plan(tables=[PlannedTable.of(each, asked=ask.table) for each in plans if each.table in seen])


@router.post("/requests", status_code=HTTPStatus.ACCEPTED)
def ask_for_days(ask: Ask, context: ContextDep, rights: RightsDep) -> Dropped:
    """Ask for these days: put a file into the drop folder, as a person does."""
    rights.require_read(ask.table, _known_tables(context))
    rights.require_steer(ask.table)
    request = _make_request(ask, context, rights)
    # The door decides on the text of the file, and so is that what is looked at here.
    today = context.settings.day_of(context.now)
    read_requests(format_request(request).encode(), catalog=context.catalog, today=today)
    label = f"{LABEL}{ask.table}-{request.start_date}"
    return Dropped(file=drop_request(context.settings.landing, request, label=label))


def table_of_file(name: str) -> str | None:
    """The table that a file asks for by its name, if it is named as those of the page are."""
    match = _FILE.fullmatch(name)
    return match[1] if match else None


def _known_tables(context: Context) -> set[str]:
    return {*context.catalog.tables, *context.catalog.broken}


def _make_request(ask: Ask, context: Context, rights: Rights) -> ReloadRequest:
    """The request for the picked days, checked: their range, without the days between that were not picked."""
    if not ask.days:
        raise RequestError("days is empty; pick one day at least")
    days = Days.parse(ask.days)
    first, last = days.ranges[0].first, days.ranges[-1].last
    fields = {
        "table": ask.table,
        "start_date": str(first),
        "end_date": str(last),
        "only": ask.only,
        "keys": ask.keys,
        "parameters": ask.parameters,
        "cascade": ask.cascade,
        "reason": ask.reason or None,
        "requested_by": rights.name,
    }
    # The whole range first: it is refused before the days between are written out, which may be a million.
    today = context.settings.day_of(context.now)
    check_request(parse_request(fields), catalog=context.catalog, today=today)
    excluded = [str(day) for day in Days.between(first, last) - days]
    return parse_request(fields | {"exclude_dates": excluded})
