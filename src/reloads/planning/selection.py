"""Selection: which days of the accepted requests one run takes on, decided when it runs.

A request may ask for missing or stale days only: the others are skipped, and its record says why for each day.

A request of a cascade or of the clock, and requests dropped in one file, wait for the outstanding days of their inputs.
Any other request takes its inputs as they are, unless it names other parameters than one accepted earlier that waits:
then it waits behind that one, so that the parameters of the last one stand in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from reloads.days import Days
from reloads.planning.parts import Part, WrittenParameters, named_part
from reloads.planning.staleness import TableState
from reloads.planning.whole_days import GONE, MISSING
from reloads.requests.queue import PlannedDays
from reloads.requests.record import Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import Lineage
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
            why_waiting = state.why_waiting(day)
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
        undecided = state.undecidable(by_reason.get(None, Days()))
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


def runnable_records(
    records: Sequence[Record],
    *,
    everything: Sequence[Record],
    lineage: Lineage,
    waiting_for_files: Mapping[str, Days] | None = None,
) -> list[Record]:
    """Those of ``records`` that have runnable days, asking for these days only.

    ``everything`` is all outstanding; of the tables in ``records``, these are all. Both are in order of acceptance.
    ``waiting_for_files`` are the days of requests whose raw files are not there. A cascade does not wait for such days
    of its inputs: it follows again once they came.
    """
    runnable: list[Record] = []
    for hold in Holds(everything, lineage, waiting_for_files or {}).find(records):
        if hold.record.outstanding - hold.days:
            runnable.append(hold.record.model_copy(update={"days": hold.record.days - hold.days}))
    return runnable


def leave_out_waiting(accepted: Sequence[Record], lineage: Lineage) -> list[Record]:
    """Those to announce of the requests that one look accepted: no daily load of which every day waits for others.

    The run that ends those announces it, so that it has one run and not another one before, which finds nothing to do.
    Any other request is announced though it waits: whoever asked looks for its run.
    """
    outstanding = _Outstanding(accepted, {})
    announced: list[Record] = []
    for record in accepted:
        after_inputs = _days_after_inputs(record, outstanding, lineage) if record.mode == "daily" else Days()
        if record.outstanding - after_inputs or not record.outstanding:
            announced.append(record)
    return announced


@dataclass(frozen=True)
class Hold:
    """The outstanding days of a record that are not rewritten now, by what they wait for."""

    record: Record
    after_inputs: Days
    """They wait for requests for the tables that its table reads."""
    behind: Days
    """They wait behind a request for the same table that waits and sets other parameters."""
    behind_request: str
    """The id of that request, the first of them."""
    for_files: Days

    @property
    def days(self) -> Days:
        """All days that wait."""
        return self.after_inputs | self.behind | self.for_files


class Holds:
    """Says of requests which of their days wait for other requests or for files."""

    def __init__(self, everything: Sequence[Record], lineage: Lineage, waiting_for_files: Mapping[str, Days]) -> None:
        self._outstanding = _Outstanding(everything, waiting_for_files)
        self._lineage = lineage
        self._waiting_for_files = waiting_for_files

    def find(self, records: Sequence[Record]) -> list[Hold]:
        """One for each record, as ``runnable_records`` takes them."""
        waiting = _Waiting()
        holds: list[Hold] = []
        for record in records:
            after_inputs = _days_after_inputs(record, self._outstanding, self._lineage)
            behind, behind_request = waiting.days_contradicted_by(record)
            for_files = self._waiting_for_files.get(record.id, Days())
            hold = Hold(record, after_inputs, behind, behind_request, for_files)
            waiting.add(record, hold.days)
            holds.append(hold)
        return holds

    def find_awaited(self, record: Record) -> Record | None:
        """The first request for an input that the record waits for."""
        for table, days in self._lineage.upstream_days(record.table, record.outstanding).items():
            for input_record in self._outstanding.awaited_by(record, table):
                if self._outstanding.days_awaited_by(record, input_record) & days:
                    return input_record
        return None


class _Outstanding:
    """The outstanding requests by table and by drop, because twenty thousand cannot each be held against each."""

    def __init__(self, records: Sequence[Record], waiting_for_files: Mapping[str, Days]) -> None:
        self._waiting_for_files = waiting_for_files
        self._days = {record.id: record.outstanding for record in records}
        self._awaited_days: dict[tuple[str, str, str | None], Days] = {}
        self._by_table: dict[str, list[Record]] = {}
        self._by_drop: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            self._by_table.setdefault(record.table, []).append(record)
            drop = _drop_of(record)
            if drop is not None:
                self._by_drop.setdefault((record.table, drop), []).append(record)

    def days_awaited_by(self, record: Record, awaited: Record) -> Days:
        """The days of a request for an input of which the record is to see the result."""
        # A file may never come, and what came of the other days must not wait for it. A daily load without it is empty.
        if record.mode == "cascade":
            return self._days[awaited.id] - self._waiting_for_files.get(awaited.id, Days())
        return self._days[awaited.id]

    def all_days_awaited_by(self, record: Record, table: str) -> Days:
        """Those of all requests for an input of which the record is to see the result."""
        # Once for all records that wait alike: of thousands of cascades each waits for the same thousands of requests.
        key = (table, record.mode, None if record.mode in ("cascade", "daily") else _drop_of(record))
        if key not in self._awaited_days:
            awaited = self.awaited_by(record, table)
            self._awaited_days[key] = Days.union(self.days_awaited_by(record, each) for each in awaited)
        return self._awaited_days[key]

    def awaited_by(self, record: Record, table: str) -> Sequence[Record]:
        """The requests for an input of which the record is to see the result."""
        # A cascade or a daily load waits so that each day is rewritten once, however many inputs change. Tables of one
        # dropped file were asked for together. Whoever asks for a table alone is there and waits for an answer.
        if record.mode in ("cascade", "daily"):
            return self._by_table.get(table, ())
        drop = _drop_of(record)
        return () if drop is None else self._by_drop.get((table, drop), ())


def _drop_of(record: Record) -> str | None:
    # A record that an earlier version accepted has the file's name alone.
    return record.drop or record.file


class _Waiting:
    """What waits so far, by table and part. What keeps its parameters contradicts nobody, whenever it is rewritten."""

    def __init__(self) -> None:
        self._days: dict[str, dict[str, tuple[Part, Days, str]]] = {}

    def add(self, record: Record, days: Days) -> None:
        """These days of the record wait."""
        if days and not record.keeps_parameters:
            part = named_part(record.keys, record.parameters)
            parts = self._days.setdefault(record.table, {})
            _, earlier_days, first = parts.get(part.text, (part, Days(), record.id))
            parts[part.text] = part, earlier_days | days, first

    def days_contradicted_by(self, record: Record) -> tuple[Days, str]:
        """The outstanding days of the record of which something waits that is to get other parameters before.

        With the id of the first request that waits.
        """
        parts = self._days.get(record.table)
        if not parts or record.keeps_parameters:
            return Days(), ""
        asked = named_part(record.keys, record.parameters)
        free_days, request = record.outstanding, ""
        for part, days, first in parts.values():
            # Most often the first one says it of all days: thousands may wait behind it.
            if not free_days:
                break
            if days & free_days and asked.contradicts(part):
                free_days -= days
                request = request or first
        return record.outstanding - free_days, request


def _days_after_inputs(record: Record, outstanding: _Outstanding, lineage: Lineage) -> Days:
    """The outstanding days of the record that depend on outstanding days of its table's inputs, near or far."""
    if not lineage.inputs_of(record.table):
        return Days()
    sets: list[Days] = []
    for table, days in lineage.upstream_days(record.table, record.outstanding).items():
        # Those that the record's days depend on, so that what else is awaited costs nothing.
        awaited_days = outstanding.all_days_awaited_by(record, table) & days
        if awaited_days:
            sets.append(lineage.downstream_days(table, awaited_days).get(record.table, Days()))
    return record.outstanding & Days.union(sets)
