"""Processes that are down, or killed at the worst moment: what was asked for is done all the same, and once."""

from __future__ import annotations

from tests.e2e.gate import closed_gate, wait_for_held_task
from tests.e2e.native_stack import NativeStackUnderTest
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY


def test_files_dropped_while_the_triggerer_is_down_are_taken_when_it_is_back(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    stack.stop("triggerer")
    pipeline.drop("down-1.json", table="triggerer_down", start_date="2024-03-01")
    pipeline.drop("down-2.json", table="triggerer_down", start_date="2024-03-02")
    stack.start("triggerer")

    pipeline.wait_for_done("down-1.json", "down-2.json")
    assert pipeline.rows("triggerer_down") == {"2024-03-01": ROWS_A_DAY, "2024-03-02": ROWS_A_DAY}


def test_a_file_dropped_right_before_the_triggerer_is_killed_is_done(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    pipeline.drop("killed.json", table="triggerer_down", start_date="2024-03-31")
    stack.kill("triggerer")

    pipeline.wait_for_done("killed.json")
    assert pipeline.rows("triggerer_down")["2024-03-31"] == ROWS_A_DAY


def test_a_reload_survives_the_scheduler_being_killed_in_the_middle_of_it(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    with closed_gate(pipeline, "scheduler_killed") as gate:
        pipeline.drop("during.json", table="scheduler_killed", start_date="2024-03-01", end_date="2024-03-05")
        wait_for_held_task(pipeline, gate)
        stack.kill("scheduler")
        pipeline.drop("meanwhile.json", table="scheduler_killed", start_date="2024-03-05", end_date="2024-03-06")

    pipeline.wait_for_done("during.json", "meanwhile.json")
    assert pipeline.rows("scheduler_killed") == {f"2024-03-0{n}": ROWS_A_DAY for n in range(1, 7)}
    assert set(pipeline.partitions("scheduler_killed")) == {f"2024-03-0{n}" for n in range(1, 7)}


def test_a_reload_survives_the_scheduler_and_all_tasks_being_killed_at_once(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    with closed_gate(pipeline, "all_killed") as gate:
        pipeline.drop("all.json", table="all_killed", start_date="2024-03-01", end_date="2024-03-05")
        wait_for_held_task(pipeline, gate)
        stack.kill("scheduler", children=True)

    [record] = pipeline.wait_for_done("all.json")
    assert record.rows == 5 * ROWS_A_DAY
    assert pipeline.rows("all_killed") == {f"2024-03-0{n}": ROWS_A_DAY for n in range(1, 6)}


def test_a_reload_survives_its_task_being_killed_in_the_middle_of_a_rewrite(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    pipeline.drop("old.json", table="task_killed", start_date="2024-03-01", end_date="2024-03-03")
    pipeline.wait_for_done("old.json")
    before = pipeline.partitions("task_killed")

    with closed_gate(pipeline, "task_killed") as gate:
        pipeline.drop("new.json", table="task_killed", start_date="2024-03-02", end_date="2024-03-05")
        wait_for_held_task(pipeline, gate)
        [killed_staging] = {name.removesuffix(".lock") for name in pipeline.staged("task_killed")}
        stack.kill_rewriter("task_killed")
        assert pipeline.partitions("task_killed") == before

    [record] = pipeline.wait_for_done("new.json")
    assert len(record.runs) == 1
    after = pipeline.partitions("task_killed")
    assert pipeline.rows("task_killed") == {f"2024-03-0{n}": ROWS_A_DAY for n in range(1, 6)}
    assert after["2024-03-01"] == before["2024-03-01"]
    assert pipeline.times_published("task_killed")["2024-03-02"] == 2

    # The next run of any table clears away what the killed one left.
    pipeline.drop("next.json", table="task_killed", start_date="2024-03-09")
    pipeline.wait_for_done("next.json")
    assert killed_staging not in pipeline.staged("task_killed")
    pipeline.wait_for("an empty staging folder", lambda: not pipeline.staged("task_killed"))
