"""A reader who looks at a table all the while, one partition after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tests.integration.tables import YEAR_ROWS

# Without an aggregate that trusts the statistics of the file that the query was bound to: see the README's limits.
QUERY = "select count(*), sum(number), len(list_distinct(list(rewritten_at))), sum(value) from read_parquet($1)"
# A file that is not there, holds another number of rows or other ones, or those of two rewrites: never to be seen.
RIGHT = (YEAR_ROWS, YEAR_ROWS * (YEAR_ROWS + 1) // 2, 1)


class Reader(threading.Thread):
    """Reads each of the files over and over, until it is told that it is enough."""

    def __init__(self, files: list[Path]) -> None:
        super().__init__(name="reader")
        self.looks = 0
        self.odd: list[object] = []
        self._files = files
        self._enough = threading.Event()

    def run(self) -> None:
        values: dict[Path, object] = {}
        config: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "enable_external_file_cache": False}
        with duckdb.connect(config=config) as db:
            while True:
                for file in self._files:
                    if self._enough.wait(0.005):
                        return
                    try:
                        [(*found, value)] = db.execute(QUERY, [str(file)]).fetchall()
                    except duckdb.Error as error:
                        self.odd.append(str(error))
                        continue
                    if tuple(found) != RIGHT or values.setdefault(file, value) != value:
                        self.odd.append((file, found, value))
                    self.looks += 1

    def stop(self) -> None:
        self._enough.set()
        self.join()


@contextmanager
def reading(files: list[Path]) -> Iterator[Reader]:
    reader = Reader(files)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()
