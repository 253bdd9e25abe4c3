"""Follow-ups: the requests that a publication causes.

A cascade asks the downstream tables of a changed one to follow, on the days that depend on it. A schema backfill asks
for all partitions of a table whose columns changed, where the table lets any change in (``replace``).
"""

from __future__ import annotations

from collections.abc import Sequence
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


def request_follow_ups(settings: Settings, catalog: Catalog, table: str, *, now: datetime) -> None:
    """Ask for all that follows from what was published of ``table``.

    The first and the last step of a run do it: what a crash kept one run from asking for, the next one asks for.
    """
    cascade_changes(settings, catalog, table, now=now)
    request_schema_backfill(settings, catalog.definition(table), now=now)


def cascade_changes(settings: Settings, catalog: Catalog, table: str, *, now: datetime) -> list[Record]:
    """Ask the downstream tables of ``table`` to follow the changes noticed; returns the requests made.

    Repeated after a crash it asks for the same once more at most, and a plan finds that nothing is left to do.
    """
    queue = Queue(settings.landing)
    notices = read_notices(settings.warehouse, table)
    records = downstream_requests(settings, catalog, table, notices, now=now)
    new_records = [record for record in records if queue.add(record)]
    # All of them, also those that were accepted before a crash.
    link_children(queue, notices, records)
    remove_notices(notices)
    return new_records


def downstream_requests(
    settings: Settings, catalog: Catalog, table: str, notices: Sequence[Notice], *, now: datetime
) -> list[Record]:
    """One request for each downstream table of ``table`` that these notices concern."""
    if not notices:
        return []
    changed_days = Days.union(notice.days for notice in notices)
    cause = Cause(table=table, days=changed_days, requests=tuple(_causing_requests(notices)))
    origin = "\0".join(notice.id for notice in notices)
    records: list[Record] = []
    for downstream, window in catalog.lineage.downstream(table).items():
        loadable = _loadable_days(catalog[downstream], settings, now)
        if days := dependent_days(changed_days, window) & loadable:
            records.append(_downstream_request(downstream, days, cause, origin, now))
    return records


def link_children(queue: Queue, notices: Sequence[Notice], children: Sequence[Record]) -> None:
    """Write into the requests that caused the change which requests follow from them."""
    for parent in _causing_requests(notices):
        queue.note_children(parent, [child.id for child in children])


def remove_notices(notices: Sequence[Notice]) -> None:
    """Forget these changes, because whoever has to follow them was asked."""
    for notice in notices:
        notice.path.unlink(missing_ok=True)


def request_schema_backfill(settings: Settings, table: Table, *, now: datetime) -> Record | None:
    """Ask for all published days of ``table`` if its ledger says that its columns changed; None if nothing is new.

    Nothing records which files have the new columns already; those come out unchanged.
    """
    backfill = read_ledger(settings.warehouse, table.name).schema_backfill
    if not backfill:
        return None
    record = Record(
        id=f"schema-{table.name}-{_short_digest(backfill)}",
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


def _causing_requests(notices: Sequence[Notice]) -> list[str]:
    requests: set[str] = set()
    for notice in notices:
        requests |= notice.requests.keys()
    return sorted(requests)


def _loadable_days(table: Table, settings: Settings, now: datetime) -> Days:
    first, today = table.settings.first_day, settings.day_of(now)
    return Days.between(first, today) if first <= today else Days()


def _downstream_request(table: str, days: Days, cause: Cause, origin: str, now: datetime) -> Record:
    return Record(
        id=f"cascade-{table}-{_short_digest(f'{origin}/{table}')}",
        mode="cascade",
        table=table,
        days=days,
        accepted_at=now,
        only="stale",
        cause=cause,
        reason=f"{cause.table} changed",
    )


def _short_digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
