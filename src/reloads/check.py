"""Checking all table folders at once, for a person or for the page of import errors."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from reloads.catalog import Catalog
from reloads.engine import Share, connect
from reloads.errors import OperatorError, QueryError, TableError
from reloads.rewrite import check_day_column
from reloads.settings import Settings
from reloads.table import Table

SMALL = Share(threads=1, memory_mb=512)


def check_tables(settings: Settings) -> list[str]:
    """The names of all tables, if every one is good; raises ``TableError`` with a line for each that is not.

    Queries are bound to their sources, so that an unknown column is found before somebody asks for a reload.
    """
    catalog = Catalog.load(settings.tables)
    problems = {name: str(error) for name, error in catalog.broken.items()}
    with TemporaryDirectory(prefix="reloads-") as spill:
        for name, table in catalog.tables.items():
            try:
                _bind(table, settings, Path(spill))
            except QueryError as error:
                problems[name] = str(error)
    if problems:
        raise TableError("\n".join(problems[name] for name in sorted(problems)))
    return sorted(catalog.tables)


def _bind(table: Table, settings: Settings, spill: Path) -> None:
    # Sources come and go: those that are missing are no reason to call a table broken.
    with connect(table, source=settings.source, spill=spill, share=SMALL) as engine, suppress(OperatorError):
        check_day_column(engine, table)
