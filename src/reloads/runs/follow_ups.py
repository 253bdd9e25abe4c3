"""Carrying a change on: the tables that read a changed one are asked to follow, on the days that depend on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from reloads.days import Days
from reloads.requests.queue import Queue
from reloads.requests.record import Cause, Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import dependent_days
from reloads.warehouse.change_notices import Notice, read_notices
from reloads.warehouse.ledger import read_ledger, table_lock, write_ledger
from reloads.warehouse.partitions import folder_of


def cascade_changes(settings: Settings, table: str, *, now: datetime) -> list[Record]:
    """Ask the readers of ``table`` to follow the changes noticed; returns the requests made.

    Repeated after a crash it asks for the same once more at most, and a plan finds that nothing is left to do.
    """
    notices = read_notices(settings.warehouse, table)
    catalog, queue = Catalog.load(settings.tables), Queue(settings.landing)
    found = downstream_requests(settings, catalog, table, notices, now=now)
    children = [record for record in found if queue.add(record)]
    # Those too that were accepted before a crash.
    link_children(queue, notices, found)
    for notice in notices:
        notice.path.unlink(missing_ok=True)
    return children


def downstream_requests(
    settings: Settings, catalog: Catalog, table: str, notices: list[Notice], *, now: datetime
) -> list[Record]:
    """One request for each reader of ``table`` that these notices concern."""
    if not notices:
        return []
    changed = Days.union(notice.days for notice in notices)
    cause = Cause(table=table, days=changed, requests=tuple(sorted({name for n in notices for name in n.requests})))
    origin = "\0".join(notice.id for notice in notices)
    found = []
    for reader, window in catalog.lineage.downstream(table).items():
        if days := _within(dependent_days(changed, window), catalog[reader], settings, now):
            found.append(_downstream_request(reader, days, cause, origin, now))
    return found


def link_children(queue: Queue, notices: list[Notice], children: list[Record]) -> None:
    """Write into the requests that caused the change which requests follow from them."""
    for parent in sorted({name for notice in notices for name in notice.requests}):
        queue.note_children(parent, [child.id for child in children])


def _within(days: Days, table: Table, settings: Settings, now: datetime) -> Days:
    first, today = table.settings.first_day, settings.day_of(now)
    return days & Days.between(first, today) if first <= today else Days()


def _downstream_request(reader: str, days: Days, cause: Cause, origin: str, now: datetime) -> Record:
    return Record(
        id=f"cascade-{reader}-{sha256(f'{origin}/{reader}'.encode()).hexdigest()[:12]}",
        mode="cascade",
        table=reader,
        days=days,
        accepted_at=now,
        only="stale",
        cause=cause,
        reason=f"{cause.table} changed",
    )


def request_schema_backfill(settings: Settings, table: Table, *, now: datetime) -> Record | None:
    """Ask for the partitions of ``table`` that have the old columns, if its ledger says that they need the new."""
    backfill = read_ledger(settings.warehouse, table.name).schema_backfill
    if not backfill:
        return None
    record = Record(
        id=f"schema-{table.name}-{sha256(backfill.encode()).hexdigest()[:12]}",
        mode="schema",
        table=table.name,
        days=folder_of(settings.warehouse, table).days(),
        accepted_at=now,
        reason="the columns changed",
    )
    is_new = Queue(settings.landing).add(record)
    with table_lock(settings.warehouse, table.name):
        ledger = read_ledger(settings.warehouse, table.name)
        if ledger.schema_backfill == backfill:
            write_ledger(settings.warehouse, table.name, replace(ledger, schema_backfill=""))
    return record if is_new else None
