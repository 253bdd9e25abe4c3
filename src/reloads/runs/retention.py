"""Retention: what is kept for a while, and what processes left that were killed while they wrote."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from reloads.requests.queue import STATES
from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.history import History
from reloads.warehouse.layout import failed_folder, hidden_folders
from reloads.warehouse.ledger import table_lock

UNFINISHED = re.compile(r"\.([0-9a-f]{32}|[a-z][a-z0-9_]*-[0-9a-f]{12})\.tmp")
"""As ``files.write_atomically`` and ``staging_folder`` name what they have not finished."""


def remove_expired(settings: Settings, table: Table, *, now: datetime) -> int:
    """Remove what is older than the table's ``history_days``; returns the number of partitions removed."""
    days = table.settings.history_days
    history = History(settings.warehouse, table.name)
    removed = 0
    if history.folder.is_dir():
        with table_lock(settings.warehouse, table.name):
            removed = history.expire(now=now, days=days)
    oldest = (now - timedelta(days=max(days, 1))).timestamp()
    for folder in failed_folder(settings.warehouse, table.name).glob("*/"):
        with suppress(FileNotFoundError):  # a batch puts newer rows there
            if all(path.stat().st_mtime < oldest for path in (folder, *folder.rglob("*"))):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed


def remove_unfinished(settings: Settings, *, now: datetime) -> int:
    """Remove the hidden files of killed processes, a day after they were written; returns their number.

    Only in folders that nobody but this software writes to.
    """
    oldest = (now - timedelta(days=1)).timestamp()
    folders = [path for path in hidden_folders(settings.warehouse) if path != settings.environments]
    folders += [settings.landing / state for state in STATES]
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
