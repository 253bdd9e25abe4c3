"""Following: what changed in a table becomes requests for the tables that read it.

It is decided by the log and a cursor for each downstream table, never by an event: a table that was broken, paused or
busy when its input changed is asked once it can be loaded, whoever comes next.
"""

from __future__ import annotations

import logging
from datetime import date, datetime
from hashlib import sha256

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.requests.batch_notes import open_runs
from reloads.requests.queue import Queue
from reloads.requests.record import Cause, Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import dependent_days
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.cursors import Cursor, Position
from reloads.warehouse.delta_table import bring_snapshot, snapshot_point
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.state import State

log = logging.getLogger(__name__)


def begin_to_follow(settings: Settings, catalog: Catalog, table: str) -> None:
    """Give each downstream table that has none a cursor at the end of what it sees: it follows what comes from now on.

    The table itself has one too, at the end of the log: it follows changes of its own columns.
    """
    folder = folder_of(settings.warehouse, catalog[table])
    for downstream in (*catalog.lineage.downstream(table), table):
        cursor = Cursor(settings.warehouse, table, downstream)
        with cursor.held():
            if cursor.read() is None:
                point = state_of(folder).read_head().point
                shown = snapshot_point(folder) if catalog[table].has_snapshots(settings.snapshots) else point
                # Where there is no snapshot of this log yet, tables read what is published.
                is_behind = downstream != table and shown.number and _is_before(shown, point)
                cursor.write(Position(shown if is_behind else point))


def follow(
    settings: Settings, catalog: Catalog, table: str, *, now: datetime, ended_run: str | None = None
) -> list[Record]:
    """Ask the downstream tables of ``table`` for what follows from its commits; returns the new requests.

    A table with snapshots is followed up to its snapshot, which is brought up to the log first, as the tables that read
    it read that. ``ended_run`` has just ended, though it has not been settled yet.

    Where its columns changed and the table lets any change in (``replace``), its partitions with other columns are
    asked for as well. Repeated after a crash, it asks for the same and nothing twice. A table whose folder is broken
    keeps its cursor.
    """
    new_records: list[Record] = []
    visible = bring_visible(settings, catalog[table], now=now, ended_run=ended_run)
    for downstream, window in catalog.lineage.downstream(table).items():
        new_records += _follow_one(settings, catalog[table], catalog[downstream], window, visible, now=now)
    return new_records + _follow_columns(settings, catalog[table], now=now)


def bring_visible(settings: Settings, table: Table, *, now: datetime, ended_run: str | None = None) -> Point:
    """Up to which commit the tables that read this one see it.

    That is the end of its log or, of a table with snapshots, that of the snapshot, which is brought up to date first;
    where that cannot be done, the log says why.
    """
    folder = folder_of(settings.warehouse, table)
    if not table.has_snapshots(settings.snapshots):
        return state_of(folder).read_head().point
    # In this order: what a run publishes that begins in between is behind that end.
    end = state_of(folder).read_head().point
    others = open_runs(settings.landing, table.name, now=now) - {ended_run}
    try:
        return bring_snapshot(folder, open_runs=others, until=end, keep_days=table.settings.history_days)
    except OperatorError as error:
        # What was published is published, and its requests are done; whoever comes next tries again.
        log.error("%s: the snapshot stays as it is, and tables that read it wait: %s", table.name, error)  # noqa: TRY400
        return snapshot_point(folder)


def _follow_one(
    settings: Settings, table: Table, downstream: Table, window: int, visible: Point, *, now: datetime
) -> list[Record]:
    state = state_of(folder_of(settings.warehouse, table))
    cursor, queue = Cursor(settings.warehouse, table.name, downstream.name), Queue(settings.landing)
    with cursor.held():
        position = cursor.read() or Position(Point())
        target = position.asking or visible
        if target == position.followed or _is_before(target, position.followed):
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


def _is_before(point: Point, other: Point) -> bool:
    """Whether a place lies before another one of the same log, as a snapshot may lie before what was followed."""
    return point.log == other.log and point.number < other.number


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


def _follow_columns(settings: Settings, table: Table, *, now: datetime) -> list[Record]:
    """Ask for the partitions that lack the columns of the table, once its columns changed."""
    state, cursor = state_of(folder_of(settings.warehouse, table)), Cursor(settings.warehouse, table.name, table.name)
    with cursor.held():
        position = cursor.read() or Position(Point())
        head = state.read_head()
        if head.point == position.followed:
            return []
        record: Record | None = None
        if table.settings.on_schema_change == "replace" and _do_columns_change(state, position.followed, head.point):
            record = _build_schema_request(settings, state, table, head.point, now=now)
        is_new = record is not None and Queue(settings.landing).add(record)
        cursor.write(Position(head.point))
        return [record] if record is not None and is_new else []


def _do_columns_change(state: State, followed: Point, target: Point) -> bool:
    """Whether a commit behind ``followed`` gave the table other columns, or a partition others than the table has."""
    begin = followed.number if followed.log == target.log else 0
    if begin + 1 not in state.log:
        return True
    earlier = state.log.read(begin)
    columns = earlier.columns if earlier else None
    for commit in state.log.after(begin):
        if columns is not None and commit.columns != columns:
            return True
        is_undo = commit.act == "undo"
        if is_undo and any(entry.version and entry.columns != commit.columns for entry in commit.after.values()):
            return True
        columns = commit.columns
    return False


def _build_schema_request(
    settings: Settings, state: State, table: Table, target: Point, *, now: datetime
) -> Record | None:
    """The request for the days of partitions with other columns than the table has; None where there are none."""
    snapshot = state.read_all()
    days: set[date] = set()
    for name in folder_of(settings.warehouse, table).published():
        entry = snapshot.entries.get(name)
        # Of a file that nobody has committed, as after a log was lost, it is not known which columns it has.
        if entry is None or dict(entry.columns) != dict(snapshot.head.columns):
            days.add(name.day)
    if not days:
        return None
    digest = sha256(f"{table.name}\0{target}".encode()).hexdigest()[:12]
    return Record(
        id=f"schema-{table.name}-{digest}",
        mode="schema",
        table=table.name,
        days=Days.of(days),
        accepted_at=now,
        reason="the columns changed",
    )
