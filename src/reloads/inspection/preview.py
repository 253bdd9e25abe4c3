"""What a request would do, before anybody asks: every partition with its reason. Reads no data and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from reloads.days import Days
from reloads.planning.selection import select_record_days
from reloads.planning.staleness import TableState
from reloads.requests.record import Record, new_record
from reloads.requests.request import ReloadRequest
from reloads.settings import Settings
from reloads.tables.catalog import Catalog, all_inputs
from reloads.tables.lineage import dependent_days
from reloads.warehouse.fingerprint import identity


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
    catalog = Catalog.load(settings.tables)
    records = {name: new_record(request, name, mode="command", origin="preview", now=now) for name in request.tables}
    lines: list[PlanLine] = []
    changing: dict[str, Days] = {}
    for table in catalog.lineage.load_order():
        if table in records:
            mine, changing[table] = _asked(settings, catalog, records[table])
        elif request.cascade and table in catalog.tables:
            mine, changing[table] = _following(settings, catalog, table, changing, now)
        else:
            mine = []
        lines += mine
    return lines


def _asked(settings: Settings, catalog: Catalog, record: Record) -> tuple[list[PlanLine], Days]:
    look = _look(settings, catalog, record.table, record.days)
    planned, skipped = select_record_days(record, look)
    lines = [
        line
        for is_planned, whys in ((True, planned), (False, skipped))
        for why, days in whys.items()
        for day in days
        for line in _lines(look, day, record, is_planned=is_planned, why=why)
    ]
    return sorted(lines, key=lambda line: line.partition), record.days - Days.union(skipped.values())


def _following(
    settings: Settings, catalog: Catalog, table: str, changing: dict[str, Days], now: datetime
) -> tuple[list[PlanLine], Days]:
    """The days of a reader that would be rewritten because its inputs change."""
    first, today = catalog[table].settings.first_day, settings.day_of(now)
    lines, taken = [], Days()
    for name, window in catalog[table].inputs.items():
        days = dependent_days(changing.get(name, Days()), window) & Days.between(first, max(first, today))
        if not days:
            # One that nothing reaches need not even be readable.
            continue
        look = _look(settings, catalog, table, days)
        new = Days.of(day for day in days - taken if day in changing[name] or look.folder.has_day(day))
        taken |= new
        lines += [line for day in new for line in _lines(look, day, None, is_planned=True, why=f"{name} changes")]
    return sorted(lines, key=lambda line: line.partition), taken


def _look(settings: Settings, catalog: Catalog, table: str, days: Days) -> TableState:
    definition = catalog[table]
    inputs = all_inputs(settings.tables, definition)
    return TableState.at(definition, days, warehouse=settings.warehouse, inputs=inputs)


def _lines(look: TableState, day: date, record: Record | None, *, is_planned: bool, why: str) -> Iterator[PlanLine]:
    folder = look.folder
    names = [name for name in folder.names_of(day) if record is None or look.is_chosen(name, record.keys)]
    for name in names or [folder.day_name(day)]:
        rows, size = None, None
        if names:
            entry, file = look.ledger.entries.get(name), folder.file(name)
            size = file.stat().st_size
            rows = entry.rows if entry and entry.file == identity(file) else None
        yield PlanLine(look.table.name, name, is_planned, why, rows, size)
