"""Files that come from a machine whose clock is two hours ahead or behind."""

from __future__ import annotations

import json
import os
import time

import pytest

from tests.integration.pipeline import Pipeline

TWO_HOURS = 7200


@pytest.mark.parametrize("seconds", [TWO_HOURS, -TWO_HOURS], ids=["ahead", "behind"])
def test_the_time_of_a_file_makes_no_difference(pipeline: Pipeline, seconds: int) -> None:
    for name, start in ((f"good{seconds}", "2024-06-13"), (f"bad{seconds}", "2024-06-31")):
        beside = pipeline.landing / f".{name}.tmp"
        beside.write_text(json.dumps({"table": "probe", "start_date": start}))
        os.utime(beside, (time.time() + seconds,) * 2)
        beside.rename(pipeline.landing / f"{name}.json")

    pipeline.wait_for_done(f"good{seconds}.json")
    assert "2024-06-31" in pipeline.rejection(f"bad{seconds}")
