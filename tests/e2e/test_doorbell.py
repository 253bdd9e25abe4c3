"""The trigger that watches the drop folder: nothing that it sees ends it, and it is back when something else does."""

from __future__ import annotations

import json
import os

from tests.e2e.native_stack import NativeStackUnderTest
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY

NOT_TEXT, NOT_TEXT_AND_BAD = os.fsdecode(b"\xff.json"), os.fsdecode(b"\xfe.json")


def test_a_file_whose_name_is_not_text_is_taken_and_the_triggerer_goes_on(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    pipeline.wait_for_end_of_work()  # a quiet folder: the file rings alone
    processes, log = stack.processes("triggerer"), stack.log("triggerer")
    length = log.stat().st_size

    pipeline.drop(NOT_TEXT, table="oddly_named", start_date="2024-03-01")
    pipeline.wait_for_done(r"\xff.json")

    pipeline.drop(NOT_TEXT_AND_BAD, table="oddly_named", start_date="1024-03-01")
    assert pipeline.rejection(NOT_TEXT_AND_BAD.removesuffix(".json")) == (
        r"\xfe.json: start_date 1024-03-01 is before the first day of 'oddly_named'; begin at 2024-01-01"
    )

    pipeline.drop("after.json", table="oddly_named", start_date="2024-03-02")
    pipeline.wait_for_done("after.json")
    assert pipeline.rows("oddly_named") == {"2024-03-01": ROWS_A_DAY, "2024-03-02": ROWS_A_DAY}
    assert stack.processes("triggerer") == processes
    said = log.read_text(errors="replace").encode()[length:].decode(errors="replace")
    assert r"\\xff.json" in said
    assert "Traceback" not in said


def test_a_file_whose_name_is_not_text_among_the_accepted_requests_is_said_and_the_triggerer_goes_on(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    processes, log = stack.processes("triggerer"), stack.log("triggerer")
    foreign = pipeline.landing / "accepted" / NOT_TEXT
    foreign.write_text(json.dumps({"table": "oddly_named"}))
    try:
        sentence = r"accepted/\xff.json is not a record"
        pipeline.wait_for("the sentence", lambda: sentence in log.read_text(errors="replace"))
        pipeline.drop("beside.json", table="oddly_named", start_date="2024-03-03")
        pipeline.wait_for_done("beside.json")
    finally:
        foreign.unlink()
    assert stack.processes("triggerer") == processes
    assert "Traceback" not in log.read_text(errors="replace").partition(sentence)[2]


def test_a_file_dropped_after_the_process_of_the_triggers_was_killed_is_taken(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    stack.kill_children("triggerer")
    pipeline.drop("orphaned.json", table="oddly_named", start_date="2024-03-04")
    pipeline.wait_for_done("orphaned.json")
