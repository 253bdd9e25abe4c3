"""Upkeep of what is kept for a while: replaced partitions, and the rows that checks refused."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta

from reloads.history import History
from reloads.ledger import table_lock
from reloads.rewrite import FAILED
from reloads.settings import Settings
from reloads.table import load_table


def remove_expired(settings: Settings, table: str, *, now: datetime) -> int:
    """Remove what is older than the table's ``history_days``; returns the number of partitions removed."""
    days = load_table(settings.tables, table).settings.history_days
    if not (settings.warehouse / ".history" / table).is_dir():
        removed = 0
    else:
        with table_lock(settings.warehouse, table):
            removed = History(settings.warehouse, table).expire(now=now, days=days)
    oldest = (now - timedelta(days=max(days, 1))).timestamp()
    for folder in (settings.warehouse / FAILED / table).glob("*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed
