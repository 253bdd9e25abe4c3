"""Readers see the old partition or the new one, and only what was asked for changes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import quote

import duckdb
import polars as pl
import pyarrow.dataset
from deltalake import DeltaTable

from tests.support.pipeline import Pipeline
from tests.support.reader import reading
from tests.support.tables import BIG_ROWS_A_DAY, ROWS_A_DAY

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


def test_a_reader_of_the_delta_table_sees_each_run_of_several_batches_whole(pipeline: Pipeline) -> None:
    pipeline.drop("whole-1.json", table="whole", start_date="2024-04-01", end_date="2024-04-30")
    pipeline.wait_for_done("whole-1.json")
    delta = pipeline.warehouse / ".delta" / "whole"
    looks = [partial(look, delta=delta) for look in (_look_by_duckdb, _look_by_polars, _look_by_arrow)]
    with reading(*looks) as reader:
        for number in (2, 3, 4):
            beside = pipeline.source / "gates" / ".whole"
            beside.write_text(f"{number}\n")
            beside.replace(pipeline.source / "gates" / "whole.csv")
            pipeline.drop(f"whole-{number}.json", table="whole", start_date="2024-04-01", end_date="2024-04-30")
            [record] = pipeline.wait_for_done(f"whole-{number}.json")
            assert len(record.published) == DAYS

    assert reader.looks_taken > 20
    assert reader.oddities == []
    history = DeltaTable(delta).history()
    assert [len(commit["reloads.runs"]) for commit in history] == [1, 1, 1, 1]
    requests = {request for commit in history for request in commit["reloads.requests"]}
    assert len(requests) == 4


def _look_by_duckdb(connection: duckdb.DuckDBPyConnection, *, delta: Path) -> list[object]:
    query = "select round, count(*) from read_parquet($1, hive_partitioning = true) group by round"
    return _find_mixed(connection.execute(query, [_files(delta)]).fetchall())


def _look_by_polars(_connection: duckdb.DuckDBPyConnection, *, delta: Path) -> list[object]:
    return _find_mixed(pl.read_parquet(_files(delta), hive_partitioning=True).group_by("round").len().rows())


def _look_by_arrow(_connection: duckdb.DuckDBPyConnection, *, delta: Path) -> list[object]:
    table = pyarrow.dataset.dataset(_files(delta), partitioning="hive").to_table()
    rows = table.group_by("round").aggregate([("number", "count")]).to_pylist()
    return _find_mixed([(row["round"], row["number_count"]) for row in rows])


def _files(delta: Path) -> list[str]:
    """The files of the snapshot. Delta Lake encodes the folder's own path, which has a blank here, and not the rest."""
    return [uri.replace(quote(str(delta)), str(delta)) for uri in DeltaTable(delta).file_uris()]


def _find_mixed(rows: list[tuple[int, int]]) -> list[object]:
    """What is not one round of all days."""
    return [] if len(rows) == 1 and rows[0][1] == DAYS * ROWS_A_DAY else [rows]


def _look_at_table(connection: duckdb.DuckDBPyConnection, *, table: Path) -> list[object]:
    """The days whose rows are not right, as DuckDB and as one query over all files see them."""
    query = "select day, count(*), sum(number) from read_parquet($1, hive_partitioning = true) group by day"
    rows = connection.execute(query, [str(table / "*" / "*.parquet")]).fetchall()
    oddities: list[object] = [row for row in rows if row[1:] != EXPECTED_OF_EACH_DAY]
    if len(rows) != DAYS + 3:
        oddities.append(f"{len(rows)} partitions")
    return oddities
