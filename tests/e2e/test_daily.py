"""The daily load: the days that were missed, and never behind a long reload."""

from __future__ import annotations

from datetime import timedelta

from reloads.days import Days
from tests.e2e.gate import closed_gate, wait_for_held_task
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY


def test_a_daily_load_is_published_by_the_run_after_the_one_that_a_long_reload_keeps_busy(pipeline: Pipeline) -> None:
    pipeline.wait_for("the load made up for at the start", lambda: pipeline.records_of_table("done", "behind"))
    pipeline.wait_for_quiet("behind")
    earlier = {record.id for record in pipeline.records("done")}
    with closed_gate(pipeline, "behind") as gate:
        pipeline.drop("long.json", table="behind", start_date="2024-09-01", end_date="2024-10-30")
        wait_for_held_task(pipeline, gate)
        run = pipeline.rest.trigger("request_partitions", mode="daily")
        pipeline.drop("beside.json", table="behind", start_date="2024-12-24")
        assert pipeline.wait_for_run("request_partitions", run) == "success"
        pipeline.wait_for_records("accepted", "beside.json")
    [long, beside] = sorted(pipeline.wait_for_done("long.json", "beside.json"), key=lambda record: -len(record.days))

    [daily] = [
        record
        for record in pipeline.records_of_table("done", "behind")
        if record.mode == "daily" and record.id not in earlier
    ]
    yesterday = daily.accepted_at.date() - timedelta(days=1)
    assert daily.days == Days.between(yesterday - timedelta(days=2), yesterday), "the days missed, at most three"
    assert len(long.runs) >= 3
    assert daily.runs == long.runs[1:2]
    assert len(beside.runs) == 1
    assert len(pipeline.rows("behind")) == 60 + 1 + 3 + 1
    assert set(pipeline.rows("behind").values()) == {ROWS_A_DAY}
    assert set(pipeline.times_published("behind").values()) == {1}
