"""What a change of columns owes: where a table lets it in as ``replace``, its other partitions are asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from reloads.inputs import folder_of
from reloads.ledger import read_ledger, table_lock, write_ledger
from reloads.queue import Queue
from reloads.record import Record
from reloads.settings import Settings
from reloads.table import Table


def ask_for_rest(settings: Settings, table: Table, *, now: datetime) -> Record | None:
    """Ask for the partitions of ``table`` that have the old columns, if its ledger says that they are owed the new."""
    owed = read_ledger(settings.warehouse, table.name).owed
    if not owed:
        return None
    record = Record(
        id=f"schema-{table.name}-{sha256(owed.encode()).hexdigest()[:12]}",
        mode="schema",
        table=table.name,
        days=folder_of(settings.warehouse, table).days(),
        accepted_at=now,
        reason="the columns changed",
    )
    is_new = Queue(settings.landing).add(record)
    with table_lock(settings.warehouse, table.name):
        ledger = read_ledger(settings.warehouse, table.name)
        if ledger.owed == owed:
            write_ledger(settings.warehouse, table.name, replace(ledger, owed=""))
    return record if is_new else None
