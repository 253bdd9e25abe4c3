"""DuckDB's own parser, for texts that are not run."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def open_parser() -> DuckDBPyConnection:
    """A connection to an empty database, for whoever closes it."""
    return _database().cursor()


@lru_cache(maxsize=1)
def _database() -> DuckDBPyConnection:
    import duckdb

    # Opened once, which takes thirty times as long as a cursor; without threads, which a fork would lose.
    try:
        return duckdb.connect(":memory:", config={"threads": 1, "async_threads": 0})
    except duckdb.InvalidInputException:
        # A table may ask for a DuckDB before 2.0, which has no such threads.
        return duckdb.connect(":memory:", config={"threads": 1})
