"""Readers see the old partition or the new one, and only what was asked for changes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import duckdb

from tests.support.pipeline import Pipeline
from tests.support.reader import reading
from tests.support.tables import BIG_ROWS_A_DAY

DAYS = 30
EXPECTED_OF_EACH_DAY = (BIG_ROWS_A_DAY, BIG_ROWS_A_DAY * (BIG_ROWS_A_DAY + 1) // 2)


def test_a_reader_never_sees_a_partition_missing_partial_or_unreadable_while_it_is_rewritten(
    pipeline: Pipeline,
) -> None:
    pipeline.drop("april.json", table="watched", start_date="2024-04-01", end_date="2024-04-30")
    pipeline.drop("may.json", table="watched", start_date="2024-05-01", end_date="2024-05-03")
    pipeline.wait_for_done("april.json", "may.json")
    before = pipeline.partitions("watched")
    assert len(before) == DAYS + 3

    with reading(partial(_look_at_table, table=pipeline.warehouse / "watched")) as reader:
        for name in ("april-again.json", "april-once-more.json"):
            pipeline.drop(name, table="watched", start_date="2024-04-01", end_date="2024-04-30")
            pipeline.wait_for_done(name)

    assert reader.looks_taken > 20
    assert reader.oddities == []
    after = pipeline.partitions("watched")
    changed = {day for day in after if after[day] != before.get(day)}
    assert changed == {f"2024-04-{n:02}" for n in range(1, 31)}
    assert after.keys() == before.keys()


def _look_at_table(connection: duckdb.DuckDBPyConnection, *, table: Path) -> list[object]:
    """The days whose rows are not right, as DuckDB and as one query over all files see them."""
    query = "select day, count(*), sum(number) from read_parquet($1, hive_partitioning = true) group by day"
    rows = connection.execute(query, [str(table / "*" / "*.parquet")]).fetchall()
    oddities: list[object] = [row for row in rows if row[1:] != EXPECTED_OF_EACH_DAY]
    if len(rows) != DAYS + 3:
        oddities.append(f"{len(rows)} partitions")
    return oddities
