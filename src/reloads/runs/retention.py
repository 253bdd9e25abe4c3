"""Retention: what is kept for a while, and what processes left that were killed while they wrote."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from reloads.requests.batch_notes import FOLDER as BATCH_NOTES
from reloads.requests.outbox import OUTBOX
from reloads.requests.queue import STATES
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.commit import Point
from reloads.warehouse.cursors import Cursor, Position, followers
from reloads.warehouse.delta_table import expire_snapshots, snapshot_point
from reloads.warehouse.expiry import expire
from reloads.warehouse.layout import failed_folder, hidden_folders, log_folder
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.stored_faults import remove_orphans

UNFINISHED = re.compile(r"\.([0-9a-f]{32}|[a-z][a-z0-9_]*-[0-9a-f]{12})\.tmp")
"""As ``files.write_atomically`` and ``staging_folder`` name what they have not finished."""


def remove_expired(settings: Settings, catalog: Catalog, table: Table, *, now: datetime) -> int:
    """Remove what is older than the table's ``history_days``; returns the number of partitions removed."""
    days = table.settings.history_days
    removed = 0
    # Of a warehouse in an object store this machine may have read nothing yet.
    if mirror_of(settings.warehouse) or log_folder(settings.warehouse, table.name).is_dir():
        points = [cursor.followed for cursor in _positions(settings, catalog, table)]
        place, shown = folder_of(settings.warehouse, table), None
        if table.has_snapshots(settings.snapshots):
            shown = snapshot_point(place)
            # The commit that it goes up to says which columns it has.
            points.append(Point(shown.log, max(shown.number - 1, 0)))
        removed = expire(place, now=now, days=days, followed=points, shown=shown)
    oldest = (now - timedelta(days=max(days, 1))).timestamp()
    for folder in failed_folder(settings.warehouse, table.name).glob("*/"):
        with suppress(FileNotFoundError):  # a batch puts newer rows there
            if all(path.stat().st_mtime < oldest for path in (folder, *folder.rglob("*"))):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed


def _positions(settings: Settings, catalog: Catalog, table: Table) -> Iterator[Position]:
    """How far those that follow the table have come; a table that was removed follows nobody."""
    name = table.name
    # One that is broken now, and followed this one before, is mended some time.
    broken = catalog.broken.keys() & followers(settings.warehouse, name)
    for follower in {*catalog.lineage.downstream(name), *broken, name}:
        yield Cursor(settings.warehouse, name, follower).read() or Position(Point())


def remove_old_snapshots(settings: Settings, table: Table) -> int:
    """Remove what only snapshots older than the table's ``history_days`` show; returns the number of files."""
    if not table.has_snapshots(settings.snapshots):
        return 0
    return expire_snapshots(folder_of(settings.warehouse, table), days=table.settings.history_days)


def remove_left_uploads(settings: Settings, table: Table, *, now: datetime) -> int:
    """Remove what uploads to an object store left that ended early, a day later; returns the number of files.

    It lists all that the store has of the table.
    """
    return remove_orphans(folder_of(settings.warehouse, table), now=now)


def remove_unfinished(settings: Settings, *, now: datetime) -> int:
    """Remove the hidden files of killed processes, a day after they were written; returns their number.

    Only in folders that nobody but this software writes to.
    """
    oldest = (now - timedelta(days=1)).timestamp()
    folders = [path for path in hidden_folders(settings.warehouse) if path != settings.environments]
    folders += [settings.landing / state for state in (*STATES, ".ended", OUTBOX, BATCH_NOTES)]
    removed = 0
    for folder in folders:
        for path in _unfinished_files(folder):
            with suppress(FileNotFoundError):  # its owner lives, and has just finished it
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    removed += 1
    return removed


def _unfinished_files(folder: Path) -> Iterator[Path]:
    # os.walk passes over what vanishes meanwhile; rglob raises.
    for parent, _, names in os.walk(folder):
        for name in names:
            if UNFINISHED.fullmatch(name):
                yield Path(parent, name)
