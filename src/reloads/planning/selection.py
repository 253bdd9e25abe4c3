"""Triage: which days of a request are to be rewritten, decided when it runs and kept in its record, with the why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from reloads.days import Days
from reloads.planning.staleness import MISSING, TableState
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings
from reloads.tables.catalog import all_inputs
from reloads.tables.definition import Table
from reloads.tables.lineage import Lineage

ASKED = "it was asked for"
THERE = "it is there"
FRESH = "it is up to date"
NEVER = "it was never loaded"


def select_days(
    settings: Settings, table: Table, records: Sequence[Record], *, now: datetime
) -> tuple[list[Record], dict[date, Mapping[str, Any]]]:
    """The records with the days that need no rewriting skipped, and the parameters that days keep which only follow."""
    queue, found = Queue(settings.landing), []
    own: dict[date, Mapping[str, Any]] = {}
    look = read_state(settings, table, records)
    for record in records:
        planned, skipped = select_record_days(record, look)
        queue.plan(record.id, planned=planned, skipped=skipped, now=now)
        found.append(record.with_plan(planned=planned, skipped=skipped, now=now))
        if record.is_follow_up and table.settings.parameters:
            own |= {day: look.parameters(day) for day in found[-1].outstanding}
    return found, own


def read_state(settings: Settings, table: Table, records: Sequence[Record]) -> TableState:
    """What there is to know of the days that these records want to be chosen from."""
    days = Days.union(record.outstanding for record in records if record.only != "all")
    inputs = all_inputs(settings.tables, table)
    return TableState.at(table, days, warehouse=settings.warehouse, inputs=inputs)


def select_record_days(record: Record, look: TableState) -> tuple[dict[str, Days], dict[str, Days]]:
    """Why the outstanding days of a record are to be rewritten, and why the others need not be."""
    if record.only == "all":
        return {ASKED: record.outstanding}, {}
    planned: dict[str, list[date]] = {}
    skipped: dict[str, list[date]] = {}
    for day in record.outstanding:
        why = look.why(day, record.keys or None, is_partly_enough=record.only == "stale")
        reason = _reason_to_skip(record, day, why)
        (skipped if reason else planned).setdefault(reason or why or ASKED, []).append(day)
    return {why: Days.of(days) for why, days in planned.items()}, {why: Days.of(days) for why, days in skipped.items()}


def _reason_to_skip(record: Record, day: date, why: str | None) -> str | None:
    if record.only == "missing":
        return None if why == MISSING else THERE
    if why == MISSING:
        # What was never loaded is not stale. But the day of an input that was loaded just now is to follow.
        is_caused = record.cause is not None and day in record.cause.days
        return None if is_caused else NEVER
    return None if why else FRESH


def runnable_records(records: Sequence[Record], *, everything: Sequence[Record], lineage: Lineage) -> list[Record]:
    """Those of ``records`` that have days to be done now, asking for these days only; ``everything`` is outstanding."""
    found = []
    for record in records:
        held = _held(record, everything, lineage)
        if record.outstanding - held:
            found.append(record.model_copy(update={"days": record.days - (record.outstanding & held)}))
    return found


def _held(record: Record, everything: Sequence[Record], lineage: Lineage) -> Days:
    held = Days()
    behind = lineage.upstream_days(record.table, record.outstanding)
    for other in everything:
        if other.table in behind and _waits_for(record, other):
            held |= lineage.downstream_days(other.table, other.outstanding).get(record.table, Days())
    return held


def _waits_for(record: Record, other: Record) -> bool:
    return record.mode in ("cascade", "daily") or (record.file is not None and record.file == other.file)
