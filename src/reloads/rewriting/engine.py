"""DuckDB as the engine: a connection with bounded memory and threads, and the sources that queries read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.errors import OperatorError, QueryError, one_line
from reloads.files import cannot_write
from reloads.rewriting.store_files import let_read_stores
from reloads.rewriting.time_limit import TimeLimit
from reloads.sql import quote_name
from reloads.warehouse.parquet import pattern

if TYPE_CHECKING:
    import duckdb

    from reloads.days import Days
    from reloads.settings import Settings
    from reloads.tables.definition import Table
    from reloads.tables.file_sources import FileSource
    from reloads.tables.raw_files import RawFiles
    from reloads.tables.sources import Statement


# DuckDB guesses among its system tables too: a missing view "raw" gave 'Did you mean "pragma_database_list"?'.
_TABLE_GUESS = re.compile(r'(?P<fact>(Table|View) with name .* does not exist!)\nDid you mean ".*"\?', re.DOTALL)


@dataclass(frozen=True)
class Share:
    """What one batch may use of the machine."""

    threads: int
    memory_mb: int

    @classmethod
    def of(cls, settings: Settings, *, batches: int) -> Share:
        """The share of one of ``batches`` batches of a run, on the machine whose settings these are.

        All tasks that may run at once share the memory, batches of other tables too: memory that is promised twice
        ends a process, while threads that are promised twice only take turns. Of several machines each has its part of
        the batches.
        """
        batches_here = -(-batches // settings.workers)
        batches_at_once = max(1, min(batches_here, settings.tasks_at_once))
        threads = max(1, settings.threads // batches_at_once)
        memory_mb = max(64, settings.memory_mb // settings.tasks_at_once)
        return cls(threads, memory_mb)


class Engine:
    """An open database, the sources that were created in it, and the errors of those whose files are missing."""

    def __init__(self, db: duckdb.DuckDBPyConnection, *, raw: RawFiles, folder: Path, limit: TimeLimit) -> None:
        self.db = db
        self.raw = raw
        self.limit = limit
        self.source_errors: list[str] = []
        self._folder = folder
        self._created: set[Statement] = set()

    def set_files(self, table: Table, days: Days | None = None) -> None:
        """Let the sources of the table read the raw files of these days and no others.

        Without days, they read one file of any day, which tells the columns that there are.
        """
        for name, source in table.file_sources.items():
            paths = self._sample(source) if days is None else self.raw.names_of(table, name, days)
            patterns = [pattern(path) for path in paths] or [self._stand_in(source, days)]
            self.db.execute(f"set variable {quote_name(name)} = $1::varchar[]", [patterns])

    def _sample(self, source: FileSource) -> list[str]:
        sample = self.raw.find_sample(source)
        return [sample] if sample else []

    def _stand_in(self, source: FileSource, days: Days | None) -> str:
        """What is read where there is no file: an empty one where that is allowed, else a pattern that finds none.

        Its folders are called like those of a file that is there, as some become columns.
        """
        if not source.optional:
            missing = source.files.pattern(days.ranges[0].first) if days else source.files.any_day()
            return f"{pattern(self.raw.root)}/{missing}"
        day = days.ranges[0].first if days else date(1970, 1, 1)
        name = re.sub(r"[*?]", "x", source.files.pattern(day))
        path = self._folder / "no-files" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise cannot_write(path, error) from error
        return pattern(path)

    def create_sources(self, statements: Iterable[Statement]) -> None:
        """Run those of these statements that have not run yet, one by one.

        A view over files that are not there cannot even be created: it holds up only the queries that read it. Raises
        ``QueryError`` for a statement with another fault, which may be that of a file.
        """
        import duckdb

        for statement in statements:
            if statement in self._created:
                continue
            self._created.add(statement)
            let_read_stores(self.db, statement.text)
            try:
                self.db.execute(statement.text)
            except duckdb.Error as error:
                sentence = f"tables/sources.sql: {statement.title}: {message(error)}"
                # A name may be that of a view that could not be created. If all were, it is wrong.
                is_missing = isinstance(error, duckdb.IOException) or (
                    isinstance(error, duckdb.CatalogException) and self.source_errors
                )
                if not is_missing:
                    raise QueryError(f"{sentence}; mend that statement or its files") from error
                self.source_errors.append(sentence)

    def explain(self, error: duckdb.Error) -> str:
        """The database's own words, and the missing sources that may be the cause."""
        return "; ".join([message(error), *self.source_errors])


@contextmanager
def connect(
    table: Table,
    *,
    raw: RawFiles,
    folder: Path,
    share: Share,
    days: Days | None = None,
    time_zone: str = "UTC",
    limit: TimeLimit | None = None,
) -> Iterator[Engine]:
    """Open a database with the sources that the table reads, with the files of these days or one of any day.

    What does not fit into memory goes to a folder in ``folder``. A day begins where ``time_zone`` says, in whatever
    zone the process runs. Raises ``TimeLimitError`` where the sources take longer than the ``limit``.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": share.threads,
        "memory_limit": f"{share.memory_mb}MB",
        "temp_directory": str(folder / "spill"),
        # Only order_by gives rows an order; to keep an accidental one costs memory.
        "preserve_insertion_order": bool(table.settings.order_by),
    }
    with duckdb.connect(":memory:", config=config) as db:
        # DuckDB takes a process that does not run a file for a person's, and draws its bar into the task's log. Without
        # the bar it does not say how far a query is.
        db.execute("set enable_progress_bar = true")
        db.execute("set enable_progress_bar_print = false")
        _set_time_zone(db, time_zone)
        db.execute("set variable source = $1", [raw.root])
        let_read_stores(db, raw.root)
        engine = Engine(db, raw=raw, folder=folder, limit=limit or TimeLimit.begin(table.name, None))
        engine.set_files(table, days)
        with engine.limit.bounded(db):
            engine.create_sources(table.sources)
            engine.create_sources(table.check_sources)
        yield engine


def _set_time_zone(db: duckdb.DuckDBPyConnection, time_zone: str) -> None:
    import duckdb

    try:
        db.execute("set TimeZone = $1", [time_zone])
    except duckdb.Error as error:
        reason = message(error).partition(" Candidate")[0]
        raise OperatorError(
            f"RELOADS_TIME_ZONE={time_zone!r} cannot be used: {reason}; write a zone that DuckDB knows"
        ) from error


def message(error: duckdb.Error) -> str:
    """The database's own words on one line.

    Left out are the picture of the statement, the database's own stack, and guesses at the name of a missing table.
    """
    text = str(error).partition("\n\nLINE ")[0].partition("\nStack Trace:")[0]
    return one_line(_TABLE_GUESS.sub(r"\g<fact>", text))
