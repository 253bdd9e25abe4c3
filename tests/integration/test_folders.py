"""A warehouse that fills up: what is published stays whole, and the reload ends by itself when there is room."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.pipeline import Pipeline
from tests.integration.recoveries import Recoveries
from tests.integration.stack import Stack

WAREHOUSE = "/opt/reloads/warehouse"
SMALL_WAREHOUSE = """
services:
  scheduler:
    volumes:
      - {{type: volume, source: small, target: {target}}}
volumes:
  small:
    driver: local
    driver_opts: {{type: tmpfs, device: tmpfs, o: "size=8m,uid={uid}"}}
"""
ROWS = "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())"


@pytest.fixture
def _small_warehouse(stack: Stack, tmp_path: Path) -> Iterator[None]:
    """The scheduler, in which the tasks run, with a warehouse of 8 MB."""
    override = tmp_path / "small.yaml"
    override.write_text(SMALL_WAREHOUSE.format(target=WAREHOUSE, uid=stack.secrets["AIRFLOW_UID"]))
    replace = ("up", "--detach", "--wait", "--no-deps", "--no-build", "scheduler")
    try:
        stack.compose(*replace, override=override)
        yield
    finally:
        stack.compose(*replace)


def _digests(stack: Stack) -> str:
    return stack.execute("scheduler", "sh", "-c", f"sha256sum {WAREHOUSE}/room/*/*")


@pytest.mark.usefixtures("_small_warehouse")
def test_a_warehouse_that_fills_up_keeps_its_partitions_and_the_reload_ends_when_there_is_room(
    stack: Stack, pipeline: Pipeline, recoveries: Recoveries
) -> None:
    pipeline.drop("room.json", table="room", start_date="2024-07-01", end_date="2024-07-03")
    pipeline.wait_for_done("room.json")
    before = _digests(stack)
    assert len(before.splitlines()) == 3

    stack.execute("scheduler", "sh", "-c", f"cat /dev/zero > {WAREHOUSE}/filler 2> /dev/null || true")
    pipeline.drop("room-again.json", table="room", start_date="2024-07-01", end_date="2024-07-04")

    pipeline.wait_for("another try", lambda: pipeline.tries_again("rewrite_room", "rewrite"))
    assert "No space left on device" in _said(pipeline)
    assert _digests(stack) == before
    since = time.monotonic()
    stack.execute("scheduler", "rm", f"{WAREHOUSE}/filler")

    looks = {"request done": lambda: pipeline.are_done("room-again.json")}
    recoveries.add("warehouse full, then room", pipeline.wait_for_all(looks, since=since))
    query = f"select day, count(*) from '{WAREHOUSE}/room/*/*.parquet' group by all"
    assert stack.execute("scheduler", "python", "-c", ROWS, query).count(", 20000)") == 4
    assert len(_digests(stack).splitlines()) == 4
    assert "room" not in stack.execute("scheduler", "ls", f"{WAREHOUSE}/.staging")
    pipeline.wait_for_quiet("room")


def _said(pipeline: Pipeline) -> str:
    """The log of the first try of the newest rewrite."""
    run = quote(pipeline.rest.runs("rewrite_room")[-1]["dag_run_id"], safe="")
    log = pipeline.rest.get(f"/dags/rewrite_room/dagRuns/{run}/taskInstances/rewrite/logs/1", map_index=0)
    return json.dumps(log)
