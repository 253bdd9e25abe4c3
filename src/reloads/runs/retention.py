"""Upkeep: what is kept for a while, and what processes left that were killed while they wrote."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from reloads.requests.queue import STATES
from reloads.settings import Settings
from reloads.tables.definition import load_table
from reloads.warehouse.history import History
from reloads.warehouse.layout import failed_folder, hidden_folders, history_folder
from reloads.warehouse.ledger import table_lock

UNFINISHED = re.compile(r"\.([0-9a-f]{32}|[a-z][a-z0-9_]*-[0-9a-f]{12})\.tmp")
"""As ``files.write_atomically`` and ``staging_folder`` name what they have not finished."""


def remove_expired(settings: Settings, table: str, *, now: datetime) -> int:
    """Remove what is older than the table's ``history_days``; returns the number of partitions removed."""
    days = load_table(settings.tables, table).settings.history_days
    if not history_folder(settings.warehouse, table).is_dir():
        removed = 0
    else:
        with table_lock(settings.warehouse, table):
            removed = History(settings.warehouse, table).expire(now=now, days=days)
    oldest = (now - timedelta(days=max(days, 1))).timestamp()
    for folder in failed_folder(settings.warehouse, table).glob("*/"):
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
    folders += [settings.landing / name for name in STATES]
    removed = 0
    # A walk that passes over what vanishes meanwhile.
    names = ((top, name) for folder in folders for top, _, names in os.walk(folder) for name in names)
    for path in (Path(top, name) for top, name in names if UNFINISHED.fullmatch(name)):
        with suppress(FileNotFoundError):  # its owner lives, and has just finished it
            if path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
    return removed
