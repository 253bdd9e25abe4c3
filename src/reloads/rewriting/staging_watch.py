"""A look into the staging folder once a second while a query fills it: which files are whole, with how many rows.

DuckDB says meanwhile how much of the query it has read. It ends the files of most partitions at the end of the query.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from reloads.days import Days
from reloads.rewriting.meter import Meter
from reloads.warehouse.parquet import pattern
from reloads.warehouse.partition_name import PartitionName

if TYPE_CHECKING:
    import duckdb

LOOK_EVERY_SECONDS = 1.0
LOOK_SHARE = 20
"""A look that takes long is followed by a pause so many times as long."""

PARQUET = b"PAR1"
"""A Parquet file ends with it once it is whole; it begins with it, too."""


@contextmanager
def watch_staging(db: duckdb.DuckDBPyConnection, folder: Path, meter: Meter) -> Iterator[StagingWatch]:
    """Tell the meter what lies in the folder, until the block is left."""
    watch, ended = StagingWatch(db, folder, meter), Event()
    thread = Thread(target=watch.run, args=(ended,), name="staging-watch", daemon=True)
    meter.show("reading", 0)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
        watch.close()


class StagingWatch:
    """What was seen so far; each file is opened until it is whole, and its folder is not listed any more then."""

    def __init__(self, db: duckdb.DuckDBPyConnection, folder: Path, meter: Meter) -> None:
        self.is_last_query = False
        """Whether no other query will bring files; of several, each may have rows of any day."""
        self._db = db
        # A connection of its own, as the other one is busy; made before it is.
        self._cursor = db.cursor()
        self._folder = folder
        self._meter = meter
        self._rows: dict[PartitionName, int] = {}

    def run(self, ended: Event) -> None:
        """Look until it ended. What goes wrong costs a look, not the batch."""
        import duckdb

        pause = LOOK_EVERY_SECONDS
        while not ended.wait(pause):
            begun = time.monotonic()
            with suppress(OSError, duckdb.Error):
                self._look()
            pause = max(LOOK_EVERY_SECONDS, LOOK_SHARE * (time.monotonic() - begun))

    def close(self) -> None:
        """Give up the connection."""
        self._cursor.close()

    def _look(self) -> None:
        unfinished: list[date] = []
        whole: dict[str, PartitionName] = {}
        for name, path in self._new_files(self._folder, ""):
            if _is_whole(path):
                whole[str(path)] = name
            else:
                unfinished.append(name.day)
        if whole:
            query = "select file_name, num_rows from parquet_file_metadata($1)"
            patterns = [pattern(Path(path)) for path in whole]
            for path, rows in self._cursor.execute(query, [patterns]).fetchall():
                self._rows[whole[path]] = rows
        seen = Days.of(name.day for name in self._rows)
        self._meter.count(self._rows, complete=seen - Days.of(unfinished) if self.is_last_query else Days())
        if self._rows:
            self._meter.show("writing")
        else:
            self._meter.show("reading", self._read_percent())

    def _new_files(self, folder: Path, partition: str) -> Iterator[tuple[PartitionName, Path]]:
        """The files below the folder of which the rows are not known, with the names of their partitions."""
        with os.scandir(folder) as entries:
            for entry in entries:
                text = f"{partition}/{entry.name}".lstrip("/")
                if entry.is_dir():
                    if _parse_name(text) not in self._rows:
                        yield from self._new_files(Path(entry.path), text)
                elif name := _parse_name(partition):
                    yield name, Path(entry.path)

    def _read_percent(self) -> int | None:
        """How much of the query is read; None where DuckDB does not know."""
        percent = self._db.query_progress()
        return int(percent) if percent >= 0 else None


def _parse_name(text: str) -> PartitionName | None:
    """The partition of that folder; None for one that no partition has, as of rows without a day."""
    with suppress(ValueError):
        return PartitionName.parse(text)
    return None


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) <= len(PARQUET):
            return False
        file.seek(-len(PARQUET), os.SEEK_END)
        return file.read() == PARQUET
