"""DuckDB as the engine: a connection with bounded memory and threads, and the sources that queries read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.errors import QueryError, one_line

if TYPE_CHECKING:
    import duckdb

    from reloads.settings import Settings
    from reloads.tables.definition import Table


@dataclass(frozen=True)
class Share:
    """What one batch may use of the machine."""

    threads: int
    memory_mb: int

    @classmethod
    def of(cls, settings: Settings, *, batches: int) -> Share:
        """The share of one of ``batches`` batches of a run.

        Memory is shared by as many tasks as may run at once, batches of other tables too, because memory that is
        promised twice ends a process; threads that are promised twice only take turns.
        """
        sharing = max(1, min(batches, settings.tasks_at_once))
        return cls(
            threads=max(1, settings.threads // sharing), memory_mb=max(64, settings.memory_mb // settings.tasks_at_once)
        )


@dataclass(frozen=True)
class Engine:
    """An open database, and the sources that are not there: a query that does not read them is not held up."""

    db: duckdb.DuckDBPyConnection
    missing_sources: tuple[str, ...]

    def because(self, error: duckdb.Error) -> str:
        """The database's own words, and the source that may be why."""
        return "; ".join([message(error), *(f"tables/sources.sql: {text}" for text in self.missing_sources)])


@contextmanager
def connect(table: Table, *, source: Path, spill: Path, share: Share) -> Iterator[Engine]:
    """A database that knows the sources; what does not fit into memory goes to the folder ``spill``."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": share.threads,
        "memory_limit": f"{share.memory_mb}MB",
        "temp_directory": str(spill),
        # The order of rows is given by order_by or by nobody; keeping an accidental one costs memory.
        "preserve_insertion_order": bool(table.settings.order_by),
    }
    with duckdb.connect(":memory:", config=config) as db:
        # DuckDB takes a process that runs no file for a person's and shows it a bar, into the log of a task too.
        db.execute("set enable_progress_bar = false")
        db.execute("set variable source = $1", [str(source)])
        yield Engine(db, _create_sources(db, table.sources))


def _create_sources(db: duckdb.DuckDBPyConnection, sources: str) -> tuple[str, ...]:
    """Run the statements one by one, because a view over files that are not there cannot even be created."""
    import duckdb

    missing: list[str] = []
    try:
        for statement in duckdb.extract_statements(sources):
            try:
                db.execute(statement)
            except (duckdb.IOException, duckdb.CatalogException) as error:
                if isinstance(error, duckdb.CatalogException) and not missing:
                    raise
                missing.append(message(error))
    except duckdb.Error as error:
        raise QueryError(f"tables/sources.sql: {message(error)}; mend that statement") from error
    return tuple(missing)


def message(error: duckdb.Error) -> str:
    """The database's own words on one line, without the picture of the statement or of its own stack."""
    return one_line(str(error).partition("\n\nLINE ")[0].partition("\nStack Trace:")[0])
