"""Runnable requests: which accepted requests, or days of them, need not wait for others.

A request of a cascade or of the clock, and requests dropped in one file, wait for the outstanding days of their inputs.
Any other request takes its inputs as they are, unless it names other parameters than one accepted earlier that waits:
then it waits behind that one, so that the parameters of the last one stand in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reloads.days import Days
from reloads.planning.parts import Part, named_part
from reloads.requests.record import Record
from reloads.tables.lineage import Lineage


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
