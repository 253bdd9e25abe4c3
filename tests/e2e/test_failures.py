"""Queries that fail, and folders that cannot be written: old partitions stay, the run is red, the record says why."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from tests.e2e.tables import FAILING_DAY, MENDED
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY, write_query


def test_a_day_whose_query_fails_holds_up_no_other_day_and_is_finished_after_the_query_is_mended(
    pipeline: Pipeline,
) -> None:
    pipeline.drop("may.json", table="failing", start_date="2024-05-01", end_date="2024-05-05")

    [failed] = pipeline.wait_for_records("failed", "may.json")
    [failure] = failed.failed
    assert failure.days.texts() == [FAILING_DAY]
    assert "Could not convert string 'twelve' to INT32" in failure.error
    assert failed.published.texts() == ["2024-05-01..2024-05-02", "2024-05-04..2024-05-05"]
    before = pipeline.partitions("failing")
    assert set(before) == {"2024-05-01", "2024-05-02", "2024-05-04", "2024-05-05"}
    assert pipeline.wait_for_run("rewrite_failing", failed.runs[0]) == "failed"

    write_query(pipeline.tables, "failing", MENDED)
    file = pipeline.retry(failed)

    [retried] = pipeline.wait_for_done(file)
    assert retried.days.texts() == [FAILING_DAY]
    after = pipeline.partitions("failing")
    assert {day for day in after if after[day] != before.get(day)} == {FAILING_DAY}
    assert pipeline.rows("failing") == {f"2024-05-0{n}": ROWS_A_DAY for n in range(1, 6)}
    assert pipeline.wait_for_run("rewrite_failing", retried.runs[0]) == "success"


def test_a_partition_that_cannot_be_written_fails_with_its_path_and_the_old_ones_stay(pipeline: Pipeline) -> None:
    pipeline.drop("june.json", table="blocked", start_date="2024-06-01", end_date="2024-06-03")
    pipeline.wait_for_done("june.json")
    before = pipeline.partitions("blocked")
    obstacle = pipeline.warehouse / "blocked" / "day=2024-06-04"
    obstacle.write_text("a file where the folder of the partition should be")

    pipeline.drop("june-again.json", table="blocked", start_date="2024-06-03", end_date="2024-06-05")

    [record] = pipeline.wait_for_records("failed", "june-again.json")
    [failure] = [failure for failure in record.failed if date(2024, 6, 4) in failure.days]
    assert str(obstacle) in failure.error
    assert failure.error.endswith("make room or grant access")
    assert pipeline.wait_for_run("rewrite_blocked", record.runs[0]) == "failed"

    obstacle.unlink()
    after = pipeline.partitions("blocked")
    assert {day for day in ("2024-06-01", "2024-06-02") if after[day] != before[day]} == set()
    assert set(pipeline.rows("blocked").values()) == {ROWS_A_DAY}
    pipeline.wait_for_done(pipeline.retry(record))
    assert pipeline.rows("blocked") == {f"2024-06-0{n}": ROWS_A_DAY for n in range(1, 6)}


def test_a_staging_folder_without_room_fails_the_run_and_the_old_partitions_stay(pipeline: Pipeline) -> None:
    pipeline.drop("july.json", table="no_room", start_date="2024-07-01", end_date="2024-07-03")
    pipeline.wait_for_done("july.json")
    pipeline.wait_for_quiet("no_room")
    before = pipeline.partitions("no_room")

    with _no_room(pipeline.warehouse / ".staging") as reason:
        pipeline.drop("july-again.json", table="no_room", start_date="2024-07-01", end_date="2024-07-04")
        [record] = pipeline.wait_for_records("failed", "july-again.json")
        [failure] = record.failed
        assert failure.days.texts() == ["2024-07-01..2024-07-04"]
        assert reason in failure.error
        assert pipeline.partitions("no_room") == before
        assert pipeline.wait_for_run("rewrite_no_room", record.runs[0]) == "failed"

    pipeline.wait_for_done(pipeline.retry(record))
    after = pipeline.partitions("no_room")
    assert len(after) == 4
    assert {day for day in before if after[day] == before[day]} == set()


def test_a_batch_that_takes_too_long_fails_with_a_sentence_and_is_not_tried_again(pipeline: Pipeline) -> None:
    pipeline.drop("august.json", table="endless", start_date="2024-08-01", end_date="2024-08-03")

    [record] = pipeline.wait_for_records("failed", "august.json")
    [failure] = record.failed
    assert failure.days.texts() == ["2024-08-01..2024-08-03"]
    assert failure.error.startswith("the batch took longer than 0.05 minutes; ask for fewer days at once")
    [run] = record.runs
    assert pipeline.wait_for_run("rewrite_endless", run) == "failed"
    tries = {
        task["task_id"]: (task["state"], task["try_number"]) for task in pipeline.rest.tasks("rewrite_endless", run)
    }
    assert tries == {"plan": ("success", 1), "rewrite": ("failed", 1), "settle": ("success", 1)}
    assert pipeline.staged("endless") == []


def test_a_table_with_a_queue_is_rewritten_by_the_task_that_has_that_queue(pipeline: Pipeline) -> None:
    pipeline.drop("september.json", table="elsewhere", start_date="2024-09-01")

    [record] = pipeline.wait_for_done("september.json")
    [run] = record.runs
    # The LocalExecutor of this stack takes tasks of any queue.
    assert pipeline.wait_for_run("rewrite_elsewhere", run) == "success"
    tasks = {task["task_id"]: (task["state"], task["queue"]) for task in pipeline.rest.tasks("rewrite_elsewhere", run)}
    assert tasks == {
        "plan": ("success", "default"),
        "rewrite": ("success", "other-workers"),
        "settle": ("success", "default"),
    }
    assert pipeline.rows("elsewhere") == {"2024-09-01": ROWS_A_DAY}


@contextmanager
def _no_room(staging: Path) -> Iterator[str]:
    """Let nothing large be written there; yields what the message says. A full disk where this user may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(staging)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        try:
            yield "No space left on device"
        finally:
            subprocess.run(["umount", "--lazy", str(staging)], check=True)
        return
    if os.geteuid() == 0:
        # Root may write any folder, but nothing into a file that stands in its place.
        aside = staging.with_name(".staging-aside")
        staging.rename(aside)
        staging.write_text("")
        try:
            yield str(staging)
        finally:
            staging.unlink()
            aside.rename(staging)
        return
    staging.chmod(0o500)
    try:
        yield "Permission denied"
    finally:
        staging.chmod(0o755)
