"""Following: what changed in a table becomes requests for the tables that read it.

It is decided by the log and a cursor for each downstream table, never by an event: a table that was broken, paused or
busy when its input changed is asked once it can be loaded, whoever comes next.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from reloads.days import Days
from reloads.requests.queue import Queue
from reloads.requests.record import Cause, Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import dependent_days
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.cursors import Cursor, Position
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.state import State


def begin_to_follow(settings: Settings, catalog: Catalog, table: str) -> None:
    """Give each downstream table that has none a cursor at the end of the log: it follows what comes from now on."""
    state = state_of(folder_of(settings.warehouse, catalog[table]))
    for downstream in catalog.lineage.downstream(table):
        cursor = Cursor(settings.warehouse, table, downstream)
        with cursor.held():
            if cursor.read() is None:
                cursor.write(Position(state.read_head().point))


def follow(settings: Settings, catalog: Catalog, table: str, *, now: datetime) -> list[Record]:
    """Ask the downstream tables of ``table`` for what follows from its commits; returns the new requests.

    Repeated after a crash, it asks for the same and nothing twice. A table whose folder is broken keeps its cursor.
    """
    new_records: list[Record] = []
    for downstream, window in catalog.lineage.downstream(table).items():
        new_records += _follow_one(settings, catalog[table], catalog[downstream], window, now=now)
    return new_records


def _follow_one(settings: Settings, table: Table, downstream: Table, window: int, *, now: datetime) -> list[Record]:
    state = state_of(folder_of(settings.warehouse, table))
    cursor, queue = Cursor(settings.warehouse, table.name, downstream.name), Queue(settings.landing)
    with cursor.held():
        position = cursor.read() or Position(Point())
        target = position.asking or state.read_head().point
        if target == position.followed:
            return []
        cursor.write(Position(position.followed, asking=target))
        change = _find_change(state, position.followed, target)
        record = _build_request(settings, table, downstream, window, change, target, now=now)
        is_new = record is not None and queue.add(record)
        if record is not None:
            # Also of one that was accepted before a crash.
            for parent in change.requests:
                queue.note_children(parent, [record.id])
        cursor.write(Position(target))
        return [record] if record is not None and is_new else []


def _find_change(state: State, followed: Point, target: Point) -> Cause:
    """The days that downstream tables are to follow since ``followed``, and the requests that changed them."""
    begin = followed.number if followed.log == target.log else 0
    days, requests = Days(), set[str]()
    if begin + 1 not in state.log:
        # Older than what is kept of the log, or of a log that was lost: the state knows what changed, not why.
        entries = state.read_all().entries.items()
        return Cause(table=state.table, days=Days.of(name.day for name, entry in entries if entry.changed > begin))
    for commit in state.log.after(begin):
        if commit.number > target.number:
            break
        changed_days = commit.changed_days() - commit.no_cascade_days
        days |= changed_days
        requests |= {request for request, served in commit.requests.items() if served & changed_days}
    return Cause(table=state.table, days=days, requests=tuple(sorted(requests)))


def _build_request(
    settings: Settings, table: Table, downstream: Table, window: int, change: Cause, target: Point, *, now: datetime
) -> Record | None:
    """The request for what depends on these days; None where nobody has to follow."""
    first, today = downstream.settings.first_day, settings.day_of(now)
    loadable = Days.between(first, today) if first <= today else Days()
    days = dependent_days(change.days, window) & loadable
    if not days:
        return None
    digest = sha256(f"{table.name}\0{target}\0{downstream.name}".encode()).hexdigest()[:12]
    return Record(
        id=f"cascade-{downstream.name}-{digest}",
        mode="cascade",
        table=downstream.name,
        days=days,
        accepted_at=now,
        only="stale",
        cause=change,
        reason=f"{table.name} changed",
    )
