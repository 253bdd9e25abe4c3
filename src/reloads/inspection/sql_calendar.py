"""The SQL view ``calendar``: one row a table and day, with its state and why it is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reloads.errors import TableError
from reloads.inspection.calendar import find_shown_days, look_at_days, show_days
from reloads.inspection.claims import RequestLook
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

if TYPE_CHECKING:
    import duckdb

CALENDAR = """
create table held.calendar as select unnest(cast(cast($1 as json) as struct(
    "table" varchar, day date, state varchar, why varchar, is_late boolean, "rows" bigint, bytes bigint,
    changed_at timestamptz, request varchar
)[]), recursive := true)
"""


def create_calendar(db: duckdb.DuckDBPyConnection, settings: Settings, catalog: Catalog, *, now: datetime) -> None:
    """Make the view of all days of the tables that can be loaded, as they are now."""
    rows: list[dict[str, Any]] = []
    requests = RequestLook.read(settings.landing, now=now)
    for name in catalog.tables:
        with suppress(TableError):  # what it reads is broken
            rows += _list_days(settings, catalog, name, requests, now=now)
    db.execute(CALENDAR, [json.dumps(rows)])
    db.execute("create view calendar as from held.calendar")


def _list_days(
    settings: Settings, catalog: Catalog, name: str, requests: RequestLook, *, now: datetime
) -> Iterator[dict[str, Any]]:
    days = find_shown_days(settings, catalog[name], now=now, asked=requests.asked_days(name))
    state = look_at_days(settings, catalog, name, days)
    for each in show_days(settings, state, requests.claims(name, days), now=now).days.values():
        published = each.cell.published
        yield {
            "table": name,
            "day": str(each.day),
            "state": each.cell.state,
            "why": each.cell.why,
            "is_late": each.is_late,
            "rows": published.rows,
            "bytes": published.bytes,
            "changed_at": published.changed_at.isoformat() if published.changed_at else None,
            "request": each.cell.request,
        }
