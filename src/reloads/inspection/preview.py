"""What a request would do, before anybody asks: every partition with its reason. Reads no data and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from reloads.days import Days
from reloads.partition_filter import KeyFilter
from reloads.planning.selection import select_record_days, split_waiting
from reloads.planning.staleness import TableState
from reloads.requests.conversion import new_record
from reloads.requests.record import Record
from reloads.requests.request import ReloadRequest
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.lineage import dependent_days
from reloads.tables.raw_files import RawFiles
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


def preview(settings: Settings, request: ReloadRequest, *, now: datetime) -> list[PlanLine]:
    """The partitions of the tables asked for, and then those of the tables that would follow if all of them change."""
    catalog = open_catalog(settings)
    records = {name: new_record(request, name, mode="command", origin="preview", now=now) for name in request.tables}
    lines: list[PlanLine] = []
    changing_days: dict[str, Days] = {}
    for table in catalog.lineage.load_order():
        table_lines: list[PlanLine] = []
        if table in records:
            table_lines, changing_days[table] = _preview_request(settings, catalog, records[table])
        elif request.cascade and table in catalog.tables:
            table_lines, changing_days[table] = _preview_cascade(settings, catalog, table, changing_days, now)
        lines += sorted(table_lines, key=lambda line: line.partition)
    return lines


def _preview_request(settings: Settings, catalog: Catalog, record: Record) -> tuple[list[PlanLine], Days]:
    """The partitions that the request names, and the days that it would rewrite."""
    state = _look_at(settings, catalog, record.table, record.days)
    selected, skipped = select_record_days(record, state)
    planned, waiting = split_waiting(selected, state)
    lines: list[PlanLine] = []
    for why, days in planned.items():
        for day in days:
            lines += _day_lines(state, day, record.keys, is_planned=True, why=why)
    for why, days in (*skipped.items(), *waiting.items()):
        for day in days:
            lines += _day_lines(state, day, record.keys, is_planned=False, why=why)
    return lines, record.days - Days.union([*skipped.values(), *waiting.values()])


def _preview_cascade(
    settings: Settings, catalog: Catalog, table: str, changing_days: dict[str, Days], now: datetime
) -> tuple[list[PlanLine], Days]:
    """The partitions of a downstream table that would be rewritten because its inputs change, and their days."""
    first, today = catalog[table].settings.first_day, settings.day_of(now)
    lines: list[PlanLine] = []
    planned_days = Days()
    for name, window in catalog[table].inputs.items():
        input_days = changing_days.get(name, Days())
        days = dependent_days(input_days, window) & Days.between(first, max(first, today))
        if not days:
            # An input that no change reaches need not even be readable.
            continue
        state = _look_at(settings, catalog, table, days)
        new_days: list[date] = []
        for day in days - planned_days:
            # As a plan does: a day that was never loaded is not stale, unless the change itself loads it.
            if day in input_days or state.has_day(day):
                new_days.append(day)
                lines += _day_lines(state, day, {}, is_planned=True, why=f"{name} changes")
        planned_days |= Days.of(new_days)
    return lines, planned_days


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
    for name in names:
        entry = state.entry(name)
        rows = entry.rows if entry and state.is_known(name) else None
        yield PlanLine(state.table.name, str(name), is_planned, why, rows, _size_of(folder.file(name)))


def _size_of(file: Path) -> int | None:
    """In bytes; None where somebody removed it."""
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return None
