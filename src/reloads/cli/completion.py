"""What the shell completes: names of tables, ids of requests, keys and their values.

A shell asks at each press of a key, so names are listed and no record is read; whatever is wrong completes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

import typer

from reloads.cli.console import current_settings
from reloads.errors import ReloadsError
from reloads.requests.lookup import list_ids
from reloads.requests.queue import Queue
from reloads.tables.definition import load_table, table_names
from reloads.warehouse.partitions import folder_of

MOST = 100
"""More than that nobody chooses from."""

DAYS_LOOKED_AT = 30
"""Values of a key are those of the newest days."""


def complete_table(incomplete: str) -> list[str]:
    """The tables whose names begin so."""
    with suppress(ReloadsError, OSError):
        return [name for name in table_names(current_settings().tables) if name.startswith(incomplete)]
    return []


def complete_request(incomplete: str) -> list[str]:
    """The requests whose ids begin so, the newest last changed first."""
    with suppress(ReloadsError, OSError):
        return list_ids(Queue(current_settings().landing), incomplete)[:MOST]
    return []


def complete_request_or_table(incomplete: str) -> list[str]:
    """Tables, and then requests."""
    return complete_table(incomplete) + complete_request(incomplete)


def complete_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys of the table that was named, and behind ``=`` the values that its newest days have."""
    # The option whose value is still missing keeps the words before it from being taken as arguments.
    name = ctx.params.get("what") or next(iter(ctx.args), "")
    with suppress(ReloadsError, OSError):
        return list(islice(_complete_keys(name, incomplete), MOST))
    return []


def _complete_keys(name: str, incomplete: str) -> Iterator[str]:
    settings = current_settings()
    table = load_table(settings.tables, name)
    key, equals, text = incomplete.partition("=")
    if not equals:
        yield from (f"{column}=" for column in table.settings.keys if column.startswith(incomplete))
        return
    before, comma, start = text.rpartition(",")
    folder = folder_of(settings.warehouse, table)
    values: set[str] = set()
    for day in folder.days().newest(DAYS_LOOKED_AT):
        values.update(partition.key_values.get(key, "") for partition in folder.names_of(day))
    for value in sorted(values):
        if value.startswith(start) and value:
            yield f"{key}={before}{comma}{value}"
