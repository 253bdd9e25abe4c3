"""DuckDB as the engine: a connection with bounded memory and threads, and the sources that queries read."""

from __future__ import annotations

import re
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


# DuckDB guesses among its system tables too: a missing view "raw" gave 'Did you mean "pragma_database_list"?'.
_TABLE_GUESS = re.compile(r'(?P<fact>(Table|View) with name .* does not exist!)\nDid you mean ".*"\?', re.DOTALL)


@dataclass(frozen=True)
class Share:
    """What one batch may use of the machine."""

    threads: int
    memory_mb: int

    @classmethod
    def of(cls, settings: Settings, *, batches: int) -> Share:
        """The share of one of ``batches`` batches of a run.

        All tasks that may run at once share the memory, batches of other tables too: memory that is promised twice
        ends a process, while threads that are promised twice only take turns.
        """
        batches_at_once = max(1, min(batches, settings.tasks_at_once))
        threads = max(1, settings.threads // batches_at_once)
        memory_mb = max(64, settings.memory_mb // settings.tasks_at_once)
        return cls(threads, memory_mb)


@dataclass(frozen=True)
class Engine:
    """An open database, and the errors of the sources whose files are missing.

    A missing source only holds up the queries that read it.
    """

    db: duckdb.DuckDBPyConnection
    source_errors: tuple[str, ...]

    def explain(self, error: duckdb.Error) -> str:
        """The database's own words, and the missing sources that may be the cause."""
        sentences = [message(error)]
        for source_error in self.source_errors:
            sentences.append(f"tables/sources.sql: {source_error}")
        return "; ".join(sentences)


@contextmanager
def connect(table: Table, *, source: Path, spill: Path, share: Share) -> Iterator[Engine]:
    """Open a database that knows the sources; what does not fit into memory goes to the folder ``spill``."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": share.threads,
        "memory_limit": f"{share.memory_mb}MB",
        "temp_directory": str(spill),
        # Only order_by gives rows an order; to keep an accidental one costs memory.
        "preserve_insertion_order": bool(table.settings.order_by),
    }
    with duckdb.connect(":memory:", config=config) as db:
        # DuckDB takes a process that does not run a file for a person's, and draws its bar into the task's log.
        db.execute("set enable_progress_bar = false")
        db.execute("set variable source = $1", [str(source)])
        yield Engine(db, _create_sources(db, table.sources))


def _create_sources(db: duckdb.DuckDBPyConnection, sources: str) -> tuple[str, ...]:
    """Run the statements one by one, because a view over files that are not there cannot even be created."""
    import duckdb

    source_errors: list[str] = []
    try:
        for statement in duckdb.extract_statements(sources):
            try:
                db.execute(statement)
            except duckdb.IOException as error:
                source_errors.append(message(error))
            except duckdb.CatalogException as error:
                # It may read a view that could not be created. If all views before it were, its own name is wrong.
                if not source_errors:
                    raise
                source_errors.append(message(error))
    except duckdb.Error as error:
        raise QueryError(f"tables/sources.sql: {message(error)}; mend that statement") from error
    return tuple(source_errors)


def message(error: duckdb.Error) -> str:
    """The database's own words on one line.

    Left out are the picture of the statement, the database's own stack, and guesses at the name of a missing table.
    """
    text = str(error).partition("\n\nLINE ")[0].partition("\nStack Trace:")[0]
    return one_line(_TABLE_GUESS.sub(r"\g<fact>", text))
