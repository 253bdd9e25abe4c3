"""What a request would do, before anybody asks: every partition with its reason. Reads no data and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import overload

from reloads.days import Days
from reloads.partition_filter import KeyFilter
from reloads.planning.selection import select_record_days, split_waiting
from reloads.planning.staleness import Sizes, TableState
from reloads.requests.conversion import new_record
from reloads.requests.record import Record
from reloads.requests.request import ReloadRequest
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.lineage import dependent_days
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.found_files import FileLook
from reloads.warehouse.upgrade import open_catalog


@dataclass(frozen=True)
class PlanLine:
    """One partition: whether it would be rewritten, why, and what that replaces.

    ``rows`` and ``bytes`` are those published now; None where nothing is, or where the rows are not known.
    """

    table: str
    partition: str
    is_planned: bool
    why: str
    rows: int | None
    bytes: int | None


@dataclass(frozen=True)
class PreviewPart:
    """Days of one table that share a reason: to be rewritten, or to be left alone."""

    is_planned: bool
    why: str
    days: Days
    keys: KeyFilter
    state: TableState

    def lines(self) -> Iterator[PlanLine]:
        """A line for each partition."""
        for day in self.days:
            yield from _day_lines(self.state, day, self.keys, is_planned=self.is_planned, why=self.why)

    def sizes(self) -> Sizes:
        """How many partitions there are, and what is published of them."""
        if not self.state.folder.keys:
            return self.state.sizes(self.days)
        lines = list(self.lines())
        return Sizes(len(lines), sum(line.rows or 0 for line in lines), sum(line.bytes or 0 for line in lines))


@dataclass(frozen=True)
class TablePreview:
    """What a request would do at one table."""

    table: str
    parts: Sequence[PreviewPart]

    def lines(self) -> list[PlanLine]:
        """A line for each partition, in their order."""
        lines: list[PlanLine] = []
        for part in self.parts:
            lines += part.lines()
        return sorted(lines, key=lambda line: line.partition)


@dataclass(frozen=True)
class Preview(Sequence[PlanLine]):
    """What a request would do: the lines of its partitions, which are made once somebody asks for them."""

    tables: Sequence[TablePreview]

    @cached_property
    def _lines(self) -> list[PlanLine]:
        lines: list[PlanLine] = []
        for table in self.tables:
            lines += table.lines()
        return lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> PlanLine: ...

    @overload
    def __getitem__(self, place: slice) -> list[PlanLine]: ...

    def __getitem__(self, place: int | slice) -> PlanLine | list[PlanLine]:
        return self._lines[place]


def preview(settings: Settings, request: ReloadRequest, *, now: datetime) -> Preview:
    """The partitions of the tables asked for, and then those of the tables that would follow if all of them change."""
    catalog = open_catalog(settings)
    records = {name: new_record(request, name, mode="command", origin="preview", now=now) for name in request.tables}
    tables: list[TablePreview] = []
    changing_days: dict[str, Days] = {}
    for table in catalog.lineage.load_order():
        parts: list[PreviewPart] = []
        if table in records:
            parts = _preview_request(settings, catalog, records[table])
        elif request.cascade and table in catalog.tables:
            parts = list(_preview_cascade(settings, catalog, table, changing_days, now))
        changing_days[table] = Days.union(part.days for part in parts if part.is_planned)
        tables.append(TablePreview(table, [part for part in parts if part.days]))
    return Preview([table for table in tables if table.parts])


def _preview_request(settings: Settings, catalog: Catalog, record: Record) -> list[PreviewPart]:
    """What the request would do at the table that it names."""
    state = _look_at(settings, catalog, record.table, record.days)
    selected, skipped = select_record_days(record, state)
    planned, waiting = split_waiting(selected, state)
    parts: list[PreviewPart] = []
    for is_planned, by_reason in ((True, planned), (False, skipped), (False, waiting)):
        for why, days in by_reason.items():
            parts.append(PreviewPart(is_planned, why, days, record.keys, state))
    return parts


def _preview_cascade(
    settings: Settings, catalog: Catalog, table: str, changing_days: dict[str, Days], now: datetime
) -> Iterator[PreviewPart]:
    """The days of a downstream table that would be rewritten because its inputs change."""
    first, today = catalog[table].settings.first_day, settings.day_of(now)
    planned_days = Days()
    for name, window in catalog[table].inputs.items():
        input_days = changing_days.get(name, Days())
        days = dependent_days(input_days, window) & Days.between(first, max(first, today))
        if not days:
            # An input that no change reaches need not even be readable.
            continue
        state = _look_at(settings, catalog, table, days)
        # As a plan does: a day that was never loaded is not stale, unless the change itself loads it.
        loaded = Days.of(day for day in days - planned_days if day in input_days or state.has_day(day))
        yield PreviewPart(is_planned=True, why=f"{name} changes", days=loaded, keys={}, state=state)
        planned_days |= loaded


def _look_at(settings: Settings, catalog: Catalog, table: str, days: Days) -> TableState:
    definition = catalog[table]
    inputs = catalog.all_inputs(definition)
    raw = RawFiles.look(settings)
    return TableState.at(definition, days, warehouse=settings.warehouse, inputs=inputs, raw=raw)


def _day_lines(
    state: TableState, day: date, key_filter: KeyFilter, *, is_planned: bool, why: str
) -> Iterator[PlanLine]:
    """A line for each published partition of the day that passes, or one for the day."""
    folder = state.folder
    names = [name for name in state.names_of(day) if state.is_selected(name, key_filter)]
    if not names:
        yield PlanLine(state.table.name, str(folder.day_name(day)), is_planned, why, rows=None, bytes=None)
    look = FileLook(folder)
    for name in names:
        entry = state.entry(name)
        size, _ = look.look(str(name), entry.version if entry else 0, entry.bytes if entry else 0, 0)
        rows = entry.rows if entry and state.is_known(name) else None
        yield PlanLine(state.table.name, str(name), is_planned, why, rows, size)
