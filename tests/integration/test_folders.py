"""A warehouse that fills up, and a drop folder that cannot be written: nothing is lost, and all is done afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.container_stack import ContainerStack
from tests.support.pipeline import Pipeline
from tests.support.recoveries import Recoveries
from tests.support.tables import ROWS_A_DAY

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
def _small_warehouse(stack: ContainerStack, tmp_path: Path) -> Iterator[None]:
    """The scheduler, in which the tasks run, with a warehouse of 8 MB."""
    override = tmp_path / "small.yaml"
    override.write_text(SMALL_WAREHOUSE.format(target=WAREHOUSE, uid=stack.secrets["AIRFLOW_UID"]))
    replace = ("up", "--detach", "--wait", "--no-deps", "--no-build", "scheduler")
    try:
        stack.compose(*replace, override=override)
        yield
    finally:
        stack.compose(*replace)


def _digests(stack: ContainerStack) -> str:
    return stack.execute("scheduler", "sh", "-c", f"sha256sum {WAREHOUSE}/room/*/*")


@pytest.mark.usefixtures("_small_warehouse")
def test_a_warehouse_that_fills_up_keeps_its_partitions_and_the_reload_ends_when_there_is_room(
    stack: ContainerStack, pipeline: Pipeline, recoveries: Recoveries
) -> None:
    pipeline.drop("room.json", table="room", start_date="2024-07-01", end_date="2024-07-03")
    pipeline.wait_for_done("room.json")
    before = _digests(stack)
    assert len(before.splitlines()) == 3

    stack.execute("scheduler", "sh", "-c", f"cat /dev/zero > {WAREHOUSE}/filler 2> /dev/null || true")
    pipeline.drop("room-again.json", table="room", start_date="2024-07-01", end_date="2024-07-04")

    pipeline.wait_for("another try", lambda: pipeline.is_waiting_for_retry("rewrite_room", "rewrite"))
    assert "No space left on device" in _log_of_newest_rewrite(pipeline)
    assert _digests(stack) == before
    since = time.monotonic()
    stack.execute("scheduler", "rm", f"{WAREHOUSE}/filler")

    conditions = {"request done": lambda: pipeline.are_done("room-again.json")}
    recoveries.add("warehouse full, then room", pipeline.wait_for_all(conditions, since=since))
    query = f"select day, count(*) from '{WAREHOUSE}/room/*/*.parquet' group by all"
    assert stack.execute("scheduler", "python", "-c", ROWS, query).count(", 20000)") == 4
    assert len(_digests(stack).splitlines()) == 4
    assert "room" not in stack.execute("scheduler", "ls", f"{WAREHOUSE}/.staging")
    pipeline.wait_for_quiet("room")


def _log_of_newest_rewrite(pipeline: Pipeline) -> str:
    run = pipeline.rest.runs("rewrite_room")[-1]["dag_run_id"]
    return pipeline.rest.log("rewrite_room", run, "rewrite", map_index=0)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Nobody may write the folder, not even its owner, as whom the containers run."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(mode)


@contextmanager
def _nobody_takes_requests(pipeline: Pipeline) -> Iterator[None]:
    pipeline.rest.pause("request_partitions")
    try:
        yield
    finally:
        pipeline.rest.unpause("request_partitions")


@pytest.mark.parametrize(
    "is_whole",
    [False, True],
    ids=["the folder alone", "with all in it"],
)
def test_a_drop_folder_that_becomes_read_only_loses_nothing_and_all_is_done_when_it_comes_back(
    *, pipeline: Pipeline, recoveries: Recoveries, is_whole: bool
) -> None:
    sentence = f"read-only-{is_whole}-good.json cannot be read or moved (Permission denied); grant access to it"
    good, bad, spring = (f"read-only-{is_whole}-{name}.json" for name in ("good", "bad", "spring"))
    failed = pipeline.records("failed")
    pipeline.drop_text(f"read-only-{is_whole}-empty.json", "[]")
    pipeline.rejection(f"read-only-{is_whole}-empty")  # so that the folder for it is there
    pipeline.drop(spring, table="year", start_date="2024-03-01", end_date="2024-04-30")
    pipeline.wait_for("a task in the middle of the days", lambda: pipeline.staged("year"))

    with ExitStack() as read_only:
        with _nobody_takes_requests(pipeline):
            pipeline.drop(good, table="probe", start_date="2024-07-01")
            pipeline.drop(bad, table="probe", start_date="2024-07-02", end_date="2024-07-01")
            folders = [path for path in pipeline.landing.rglob("*") if path.is_dir()] if is_whole else []
            for folder in (pipeline.landing, *folders):
                read_only.enter_context(_read_only(folder))
        pipeline.wait_for(f"the sentence: {sentence}", lambda: _says(pipeline, sentence))
        assert (pipeline.landing / good).exists()
        assert (pipeline.landing / bad).exists()
        assert not (is_whole and pipeline.are_done(good))
    since = time.monotonic()

    conditions = {
        "request done": lambda: pipeline.are_done(good) and not (pipeline.landing / good).exists(),
        "year done": lambda: pipeline.are_done(spring),
    }
    name = "drop folder read-only, then not" + (", nor what is in it" if is_whole else "")
    recoveries.add(name, pipeline.wait_for_all(conditions, since=since))
    assert "swap them" in pipeline.rejection(bad.removesuffix(".json"))
    pipeline.wait_for("an empty drop folder", lambda: not [*pipeline.landing.glob("read-only-*")])
    assert [record.rows for record in pipeline.records("done", good)] == [ROWS_A_DAY]
    assert pipeline.records("failed") == failed


def _says(pipeline: Pipeline, sentence: str) -> bool:
    """Whether the task that takes requests said it in one of its newest runs."""
    dag = "request_partitions"
    for run in pipeline.rest.get(f"/dags/{dag}/dagRuns", limit=3, order_by="-run_after")["dag_runs"]:
        run_id = run["dag_run_id"]
        for task in pipeline.rest.tasks(dag, run_id):
            has_tried = task["state"] in ("up_for_retry", "success", "failed")
            if has_tried and sentence in pipeline.rest.log(dag, run_id, "request"):
                return True
    return False
