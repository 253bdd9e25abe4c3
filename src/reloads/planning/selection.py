"""Selection: which days of the accepted requests one run takes on, decided when it runs.

A request may ask for missing or stale days only: the others are skipped, and its record says why for each day.
Days whose raw files are not there wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from reloads.days import Days
from reloads.planning.parts import WrittenParameters
from reloads.planning.staleness import TableState
from reloads.planning.whole_days import GONE, MISSING
from reloads.requests.queue import PlannedDays
from reloads.requests.record import Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles

REQUESTED = "it was asked for"
PRESENT = "it is there"
FRESH = "it is up to date"
NEVER_LOADED = "it was never loaded"
UNDECIDED = "its raw files cannot be looked at"


@dataclass(frozen=True)
class Selection:
    """What a run takes on of one request: the days to rewrite, those to skip, and those that wait, by reason."""

    record: Record
    """The request with all that written down, without the days that wait."""
    planned: Mapping[str, Days]
    skipped: Mapping[str, Days]
    waiting: Mapping[str, Days]
    """Days whose raw files are not there."""

    @property
    def planned_days(self) -> PlannedDays:
        """What is written down of the request."""
        return PlannedDays(self.planned, self.skipped, self.waiting)


def select_days(records: Sequence[Record], state: TableState, *, now: datetime) -> list[Selection]:
    """Choose among the outstanding days of each record, by what is published now. Writes nothing down."""
    selections: list[Selection] = []
    for record in records:
        selected, skipped = select_record_days(record, state)
        planned, waiting = split_waiting(selected, state)
        planned_record = record.with_plan(planned=planned, skipped=skipped, waiting=waiting, now=now)
        ready = planned_record.model_copy(update={"days": planned_record.days - Days.union(waiting.values())})
        selections.append(Selection(ready, planned, skipped, waiting))
    return selections


def split_waiting(planned: Mapping[str, Days], state: TableState) -> tuple[dict[str, Days], dict[str, Days]]:
    """The days of a plan whose raw files are there, and those that wait, both by reason."""
    if not state.table.file_sources:
        return dict(planned), {}
    ready: dict[str, list[date]] = {}
    waiting: dict[str, list[date]] = {}
    for reason, days in planned.items():
        for day in days:
            why_waiting = state.raw_files.why_waiting(day)
            if why_waiting:
                waiting.setdefault(why_waiting, []).append(day)
            else:
                ready.setdefault(reason, []).append(day)
    return (
        {reason: Days.of(days) for reason, days in ready.items()},
        {why: Days.of(days) for why, days in waiting.items()},
    )


def written_parameters(selections: Sequence[Selection], state: TableState) -> dict[date, WrittenParameters]:
    """How the days were written that a request takes on which keeps their parameters."""
    if not state.table.settings.parameters:
        return {}
    keeping = [selection.record.outstanding for selection in selections if selection.record.keeps_parameters]
    return {day: state.written_parameters(day) for day in Days.union(keeping)}


def read_state(
    settings: Settings, catalog: Catalog, table: Table, records: Sequence[Record], *, raw: RawFiles
) -> TableState:
    """The state of the days that these records choose from, or whose parameters they keep."""
    has_parameters = bool(table.settings.parameters)
    looked_at = [each for each in records if each.only != "all" or (has_parameters and each.keeps_parameters)]
    days = Days.union(record.outstanding for record in looked_at)
    inputs = catalog.all_inputs(table)
    return TableState.at(table, days, warehouse=settings.warehouse, inputs=inputs, raw=raw)


def select_record_days(record: Record, state: TableState) -> tuple[dict[str, Days], dict[str, Days]]:
    """The outstanding days of a record that are to be rewritten, by reason, and those that need not be, by reason."""
    if record.only == "all":
        return {REQUESTED: record.outstanding}, {}
    planned: dict[str, Days] = {}
    skipped: dict[str, Days] = {}
    by_reason = state.sort(record.outstanding, record.keys or None, is_partly_enough=record.only == "stale")
    if record.only == "stale":
        # The files that asked for them may lie in a folder that is away now: they wait for that.
        undecided = state.raw_files.undecidable(by_reason.get(None, Days()))
        by_reason = {**by_reason, None: by_reason.get(None, Days()) - undecided, UNDECIDED: undecided}
    for why, days in by_reason.items():
        to_skip, reason_to_skip = _days_to_skip(record, days, why)
        to_plan, reason = days - to_skip, why or REQUESTED
        skipped[reason_to_skip] = skipped.get(reason_to_skip, Days()) | to_skip
        planned[reason] = planned.get(reason, Days()) | to_plan
    return _in_order(planned), _in_order(skipped)


def _in_order(by_reason: Mapping[str, Days]) -> dict[str, Days]:
    """Those that have days, by their first one."""
    return dict(sorted(((why, days) for why, days in by_reason.items() if days), key=lambda item: item[1].ranges[0]))


def _days_to_skip(record: Record, days: Days, why: str | None) -> tuple[Days, str]:
    """Those of the days with this reason that need not be rewritten, and why not."""
    if record.only == "missing":
        return (Days(), "") if why in (MISSING, GONE) else (days, PRESENT)
    if why == MISSING:
        if record.mode in ("daily", "arrival"):
            return Days(), ""
        # A day that was never loaded is not stale. But it follows an input's day that was loaded just now.
        return days - record.cause.days if record.cause else days, NEVER_LOADED
    return (Days(), "") if why else (days, FRESH)


def find_waiting(records: Sequence[Record], catalog: Catalog, *, raw: RawFiles) -> dict[str, Days]:
    """By request, the days that a plan found waiting for raw files and whose files are still not there."""
    waiting: dict[str, Days] = {}
    for record in records:
        days = record.waiting_days & record.outstanding
        table = catalog.tables.get(record.table)
        if days and table is not None:
            waiting[record.id] = Days.of(day for day in days if raw.of_day(table, day).missing)
    return waiting
