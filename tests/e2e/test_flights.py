"""The real year: one request, one run, and the totals that the data's note states."""

from __future__ import annotations

import duckdb
import polars as pl
import pyarrow.dataset

from tests.support.pipeline import Pipeline

FLIGHTS, JANUARY, CANCELLED = 336_776, 27_004, 8_255
BY_ORIGIN = {"EWR": 120_835, "JFK": 111_279, "LGA": 104_662}


def test_a_year_of_flights_is_rewritten_from_one_request_in_one_run_of_a_handful_of_tasks(pipeline: Pipeline) -> None:
    pipeline.drop("year.json", table="flights", start_date="2013-01-01", end_date="2013-12-31")

    [record] = pipeline.wait_for_done("year.json")
    assert len(pipeline.partitions("flights")) == 365
    assert record.rows == FLIGHTS
    [run] = record.runs
    assert pipeline.wait_for_run("rewrite_flights", run) == "success"
    assert len(pipeline.rest.tasks("rewrite_flights", run)) <= 10

    folder = pipeline.warehouse / "flights"
    with duckdb.connect() as db:
        files = f"read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
        assert db.sql(f"select count(*) from {files}").fetchall() == [(FLIGHTS,)]
        assert dict(db.sql(f"select origin, count(*) from {files} group by all").fetchall()) == BY_ORIGIN
        january = f"select count(*) from {files} where flight_date between '2013-01-01' and '2013-01-31'"
        assert db.sql(january).fetchall() == [(JANUARY,)]
        assert db.sql(f"select count(*) from {files} where cancelled").fetchall() == [(CANCELLED,)]

    dataset = pyarrow.dataset.dataset(folder, partitioning="hive")
    assert dataset.count_rows() == FLIGHTS
    assert dataset.count_rows(filter=pyarrow.dataset.field("cancelled")) == CANCELLED

    frame = pl.scan_parquet(folder / "*" / "*.parquet", hive_partitioning=True)
    origins = frame.group_by("origin").len().collect()
    assert dict(origins.iter_rows()) == BY_ORIGIN
