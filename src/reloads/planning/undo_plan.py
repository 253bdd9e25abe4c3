"""Whether a request can be undone: it must have ended, and something that it replaced must be kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reloads.errors import RequestError
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.tables.definition import Table
from reloads.warehouse.staging import is_in_use
from reloads.warehouse.take_back import Asked, TakeBack


def refuse_running(warehouse: Path, records: Iterable[Record]) -> None:
    """Raise ``RequestError`` if one of the requests may still publish."""
    records = list(records)
    for record in records:
        if record.outstanding:
            raise RequestError(f"{record.id} is still under way; cancel it first, or wait")
    for record in records:
        if record.cancelled and is_in_use(warehouse, record.table):
            raise RequestError(f"a batch of {record.table} that was begun is still running; undo once it has ended")


def find_asked(queue: Queue, request: str) -> Asked | None:
    """What the record of the request says of it; None where the record was cleared away."""
    record = queue.get(request)
    return Asked(record.days, record.accepted_at) if record else None


def why_nothing(take_back: TakeBack, table: Table, request: str) -> str:
    """Why nothing of what the request replaced can be put back; empty where something can."""
    if take_back.back:
        return ""
    if take_back.later:
        name = min(take_back.later, key=str)
        later_request = take_back.later[name]
        rest = f" and {len(take_back.later) - 1} more" if len(take_back.later) > 1 else ""
        return f"{name}{rest} was rewritten later, by {later_request}; undo that first, or write --force"
    if take_back.undone_by:
        return f"what '{request}' replaced in {table.name} is back already; ask for a reload to replace it"
    days = table.settings.history_days
    return (
        f"nothing of {table.name} that '{request}' replaced is kept: it changed nothing, or more than {days} days ago; "
        "ask for a reload instead"
    )
