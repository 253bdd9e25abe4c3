"""Whether a table can be moved: nobody asks for days of it, nothing is written to it, and no table reads it."""

from __future__ import annotations

from reloads.errors import RequestError
from reloads.requests.queue import Queue
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import TABLE_NAME
from reloads.warehouse.staging import is_in_use


def refuse_bad_name(name: str, cure: str) -> None:
    """Raise ``RequestError`` if no table can have that name, before it becomes part of a path."""
    if not TABLE_NAME.fullmatch(name):
        raise RequestError(f"{name[:80]!r} is not a table's name: lower case letters, digits and _; {cure}")


def refuse_busy(settings: Settings, table: str) -> None:
    """Raise ``RequestError`` if a request of the table is open, or a batch that was begun may still publish."""
    records = Queue(settings.landing).accepted(table)
    if records:
        others = f", one of {len(records)} for {table}," if len(records) > 1 else f" for {table}"
        raise RequestError(f"request {records[0].id}{others} is open; wait for it, or cancel it with reloads cancel")
    if is_in_use(settings.warehouse, table):
        raise RequestError(f"a batch of {table} that was begun is still running; ask again once it has ended")


def refuse_read(catalog: Catalog, table: str, cure: str) -> None:
    """Raise ``RequestError`` if another table reads it."""
    downstream = sorted(set(catalog.lineage.downstream(table)) - {table})
    if downstream:
        verb = "reads" if len(downstream) == 1 else "read"
        raise RequestError(f"{', '.join(downstream)} {verb} {table}; {cure}")
