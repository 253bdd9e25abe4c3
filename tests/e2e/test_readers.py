"""Readers see the old partition or the new one, and only what was asked for changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tests.e2e.pipeline import Pipeline

DAYS = 30
ROWS = 20_000


def test_a_reader_never_sees_a_partition_missing_partial_or_unreadable_while_it_is_rewritten(
    pipeline: Pipeline,
) -> None:
    pipeline.drop("april.json", table="watched", start_date="2024-04-01", end_date="2024-04-30")
    pipeline.drop("may.json", table="watched", start_date="2024-05-01", end_date="2024-05-03")
    pipeline.wait_for_done("april.json", "may.json")
    before = pipeline.partitions("watched")
    assert len(before) == DAYS + 3

    with _reader(pipeline.warehouse / "watched") as reader:
        for name in ("april-again.json", "april-once-more.json"):
            pipeline.drop(name, table="watched", start_date="2024-04-01", end_date="2024-04-30")
            pipeline.wait_for_done(name)

    assert reader.looks > 20
    assert reader.odd == []
    after = pipeline.partitions("watched")
    changed = {day for day in after if after[day] != before.get(day)}
    assert changed == {f"2024-04-{n:02}" for n in range(1, 31)}
    assert after.keys() == before.keys()


class _Reader(threading.Thread):
    """Counts the rows of every partition over and over, as DuckDB and as a query of one file see them."""

    def __init__(self, table: Path) -> None:
        super().__init__(name="reader")
        self.looks = 0
        self.odd: list[object] = []
        self._table = table
        self._enough = threading.Event()

    def run(self) -> None:
        files = str(self._table / "*" / "*.parquet")
        query = "select day, count(*), sum(number) from read_parquet($1, hive_partitioning = true) group by day"
        right = (ROWS, ROWS * (ROWS + 1) // 2)
        with duckdb.connect(config={"threads": 1}) as db:
            while not self._enough.wait(0.005):
                try:
                    found = db.execute(query, [files]).fetchall()
                except duckdb.Error as error:
                    self.odd.append(str(error))
                else:
                    self.odd += [row for row in found if row[1:] != right]
                    self.odd += [f"{len(found)} partitions"] * (len(found) != DAYS + 3)
                self.looks += 1

    def stop(self) -> None:
        self._enough.set()
        self.join()


@contextmanager
def _reader(table: Path) -> Iterator[_Reader]:
    reader = _Reader(table)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()
