"""Many requests at once, and a consumer that is busy or paused: events may get lost, requests may not."""

from __future__ import annotations

import time
from datetime import date, timedelta

from tests.e2e.gate import closed_gate, wait_for_held_task
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY

FIRST = date(2024, 1, 1)


def test_forty_requests_during_a_rewrite_are_all_done_and_each_shared_day_is_rewritten_once(pipeline: Pipeline) -> None:
    names = [f"burst-{number:02}.json" for number in range(40)]
    with closed_gate(pipeline, "burst") as gate:
        pipeline.drop("before.json", table="burst", start_date="2024-12-31")
        wait_for_held_task(pipeline, gate)
        start = time.monotonic()
        for number, name in enumerate(names):
            first = FIRST + timedelta(days=number)
            pipeline.drop(name, table="burst", start_date=str(first), end_date=str(first + timedelta(days=2)))
            time.sleep(0.2)  # not one wake-up for all of them
        assert time.monotonic() - start < 30
        pipeline.wait_for_announced("burst", *names)
    pipeline.wait_for_done("before.json", *names)

    days = [*(str(FIRST + timedelta(days=number)) for number in range(42)), "2024-12-31"]
    assert pipeline.rows("burst") == dict.fromkeys(days, ROWS_A_DAY)
    assert set(pipeline.partitions("burst")) == set(days)
    assert pipeline.times_published("burst") == dict.fromkeys(days, 1)


def test_requests_dropped_while_the_consumer_is_paused_are_done_after_it_without_another_event(
    pipeline: Pipeline,
) -> None:
    names = [f"paused-{number}.json" for number in range(5)]
    pipeline.rest.pause("rewrite_paused")
    for number, name in enumerate(names, start=1):
        pipeline.drop(name, table="paused", start_date=f"2024-02-0{number}")
    pipeline.wait_for_announced("paused", *names)
    assert pipeline.rest.runs("rewrite_paused") == []

    pipeline.rest.unpause("rewrite_paused")

    pipeline.wait_for_done(*names)
    assert pipeline.rows("paused") == {f"2024-02-0{number}": ROWS_A_DAY for number in range(1, 6)}
