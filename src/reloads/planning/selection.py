"""Selection: which days of the accepted requests one run takes on, decided when it runs.

A request may ask for missing or stale days only: the others are skipped, and its record says why for each day.

A request of a cascade or of the clock, and requests dropped in one file, wait for the outstanding days of their inputs.
Any other request takes its inputs as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from reloads.days import Days
from reloads.planning.staleness import MISSING, TableState
from reloads.requests.record import Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import Lineage

REQUESTED = "it was asked for"
PRESENT = "it is there"
FRESH = "it is up to date"
NEVER_LOADED = "it was never loaded"


@dataclass(frozen=True)
class Selection:
    """What a run takes on of one request: the days to rewrite and the days to skip, by reason."""

    record: Record
    """The request with both written down."""
    planned: Mapping[str, Days]
    skipped: Mapping[str, Days]


def select_days(records: Sequence[Record], state: TableState, *, now: datetime) -> list[Selection]:
    """Choose among the outstanding days of each record, by what is published now. Writes nothing down."""
    selections: list[Selection] = []
    for record in records:
        planned, skipped = select_record_days(record, state)
        planned_record = record.with_plan(planned=planned, skipped=skipped, now=now)
        selections.append(Selection(planned_record, planned, skipped))
    return selections


def kept_parameters(selections: Sequence[Selection], state: TableState) -> dict[date, Mapping[str, Any]]:
    """The parameters of days that only follow a change: those that each was written with."""
    if not state.table.settings.parameters:
        return {}
    parameters: dict[date, Mapping[str, Any]] = {}
    for selection in selections:
        if selection.record.is_follow_up:
            for day in selection.record.outstanding:
                parameters[day] = state.parameters(day)
    return parameters


def read_state(settings: Settings, catalog: Catalog, table: Table, records: Sequence[Record]) -> TableState:
    """The state of the days that these records choose from; a record that asks for all days chooses from none."""
    days = Days.union(record.outstanding for record in records if record.only != "all")
    inputs = catalog.all_inputs(table)
    return TableState.at(table, days, warehouse=settings.warehouse, inputs=inputs)


def select_record_days(record: Record, state: TableState) -> tuple[dict[str, Days], dict[str, Days]]:
    """The outstanding days of a record that are to be rewritten, by reason, and those that need not be, by reason."""
    if record.only == "all":
        return {REQUESTED: record.outstanding}, {}
    planned: dict[str, list[date]] = {}
    skipped: dict[str, list[date]] = {}
    for day in record.outstanding:
        why = state.why(day, record.keys or None, is_partly_enough=record.only == "stale")
        reason_to_skip = _reason_to_skip(record, day, why)
        if reason_to_skip:
            skipped.setdefault(reason_to_skip, []).append(day)
        else:
            planned.setdefault(why or REQUESTED, []).append(day)
    return _as_days(planned), _as_days(skipped)


def _as_days(by_reason: Mapping[str, Sequence[date]]) -> dict[str, Days]:
    return {reason: Days.of(days) for reason, days in by_reason.items()}


def _reason_to_skip(record: Record, day: date, why: str | None) -> str | None:
    if record.only == "missing":
        return None if why == MISSING else PRESENT
    if why == MISSING:
        # A day that was never loaded is not stale. But it follows an input's day that was loaded just now.
        is_caused = record.cause is not None and day in record.cause.days
        return None if is_caused else NEVER_LOADED
    return None if why else FRESH


def runnable_records(records: Sequence[Record], *, everything: Sequence[Record], lineage: Lineage) -> list[Record]:
    """Those of ``records`` that have runnable days, asking for these days only; ``everything`` is all outstanding."""
    runnable: list[Record] = []
    for record in records:
        waiting_days = record.outstanding & _days_after_inputs(record, everything, lineage)
        if record.outstanding - waiting_days:
            runnable.append(record.model_copy(update={"days": record.days - waiting_days}))
    return runnable


def _days_after_inputs(record: Record, outstanding_records: Sequence[Record], lineage: Lineage) -> Days:
    """The days of the record's table that depend on outstanding days of its inputs, near or far."""
    upstream_tables = lineage.upstream_days(record.table, record.outstanding)
    days = Days()
    for input_record in outstanding_records:
        if input_record.table in upstream_tables and _waits_for(record, input_record):
            downstream_days = lineage.downstream_days(input_record.table, input_record.outstanding)
            days |= downstream_days.get(record.table, Days())
    return days


def _waits_for(record: Record, input_record: Record) -> bool:
    """Whether the record is to see what the other request brings to an input."""
    # A cascade or a daily load waits so that each day is rewritten once, however many inputs change. Tables of one
    # dropped file were asked for together. Whoever asks for a table alone is there and waits for an answer.
    is_same_file = record.file is not None and record.file == input_record.file
    return is_same_file or record.mode in ("cascade", "daily")
