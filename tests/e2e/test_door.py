"""The drop folder as an open door: no file, and no number of them or of events, keeps another from being served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg2
import pytest

from stack.native.environment import REWRITE_POOL
from tests.e2e.gate import closed_gate, wait_for_held_task
from tests.e2e.native_stack import NativeStackUnderTest
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY

GOOD = {"table": "door", "start_date": "2024-03-01"}
EVENTS = 5_000
EVENTS_SECONDS = 600.0
DAYS = 5


def test_a_file_that_is_nested_too_deeply_holds_up_no_other(pipeline: Pipeline) -> None:
    # Between these depths Python's own reader accepts a file that is too deep some calls later.
    for depth in range(930, 991, 10):
        text = json.dumps(GOOD)[:-1] + ', "parameters": ' + '{"a":' * depth + "1" + "}" * depth + "}"
        pipeline.drop_text(f"deep-{depth}.json", text)
    pipeline.drop("beside-deep.json", GOOD)
    pipeline.wait_for_done("beside-deep.json")
    for depth in range(930, 991, 10):
        assert "nested more than 50 levels deep" in pipeline.rejection(f"deep-{depth}")


def test_the_run_that_rejects_a_file_is_red_and_shows_its_sentence_as_it_is(pipeline: Pipeline) -> None:
    # Airflow renders what its tasks are given as templates, which may read connections and variables.
    name = "{{ 7 * 191 }} {% raise %}.json"
    pipeline.drop_text(name, "[]")
    pipeline.rejection(name.removesuffix(".json"))

    def red_run() -> str:
        runs = pipeline.rest.get("/dags/request_partitions/dagRuns", state="failed", limit=100)["dag_runs"]
        for run in runs:
            log = pipeline.rest.log("request_partitions", run["dag_run_id"], "rejected", map_index=0)
            if name in log and "the list is empty" in log:
                return str(run["dag_run_id"])
        return ""

    run = pipeline.wait_for("a red run that shows the sentence", red_run)
    tasks = pipeline.rest.tasks("request_partitions", run)
    [label] = [task["rendered_map_index"] for task in tasks if task["task_id"] == "rejected"]
    assert label.startswith(f"{name}: the list is empty")


def test_a_record_of_ten_thousand_years_holds_up_no_other(pipeline: Pipeline) -> None:
    record = {"id": "a", "mode": "daily", "accepted_at": "2024-01-01T00:00:00Z", "table": "door"}
    record["days"] = ["0001-01-01", "9999-12-31"]  # type: ignore[assignment]
    pipeline.drop("years.json", [record] * 2000)
    pipeline.drop("beside-years.json", GOOD)
    pipeline.wait_for_done("beside-years.json")
    assert "end_date 9999-12-31 is in the future" in pipeline.rejection("years")


def test_three_thousand_requests_for_one_table_are_announced_together_and_all_done(pipeline: Pipeline) -> None:
    before = len(pipeline.rest.events("requested/door"))
    names = [f"many-{number}.json" for number in range(30)]
    with closed_gate(pipeline, "door") as gate:
        pipeline.drop("before-many.json", GOOD)
        wait_for_held_task(pipeline, gate)
        for name in names:
            pipeline.drop(name, [GOOD | {"start_date": f"2024-04-{day:02}"} for day in range(1, 26)] * 4)
        pipeline.wait_for("all requests", lambda: len(pipeline.records_of_table("accepted", "door")) == 3001)
    with _emptied_afterwards(pipeline, "many-*"):
        pipeline.wait_for_end_of_work("door")
        assert all(pipeline.records("done", name) for name in names)
    assert set(pipeline.rows("door")) >= {f"2024-04-{day:02}" for day in range(1, 26)}
    assert len(pipeline.rest.events("requested/door")) - before < 50


def test_a_file_is_taken_while_a_table_folder_is_broken_and_its_own_waits_until_it_is_mended(
    pipeline: Pipeline,
) -> None:
    query = pipeline.tables / "mendable" / "query.sql"
    good = query.read_text()
    query.write_text("selec")
    pipeline.drop("waits.json", table="mendable", start_date="2024-03-01")
    pipeline.drop("beside-broken.json", GOOD)
    pipeline.wait_for_done("beside-broken.json")
    note = pipeline.landing / "waits.error.txt"
    pipeline.wait_for("the note", note.exists)
    assert "waits: table 'mendable' is broken" in note.read_text()
    query.write_text(good)
    pipeline.wait_for_done("waits.json")
    assert not note.exists()
    assert pipeline.rows("mendable") == {"2024-03-01": ROWS_A_DAY}


def test_a_file_is_taken_while_every_slot_of_the_rewrites_is_busy(pipeline: Pipeline) -> None:
    busy = ("door", "burst", "task_killed", "all_killed")
    with ExitStack() as gates:
        held = {table: gates.enter_context(closed_gate(pipeline, table)) for table in busy}
        for table in busy:
            pipeline.drop(f"busy-{table}.json", table=table, start_date="2024-11-01")
        for gate in held.values():
            wait_for_held_task(pipeline, gate)
        pipeline.drop("meanwhile.json", GOOD)
        pipeline.drop_text("bad-meanwhile.json", "[]")
        pipeline.wait_for_records("accepted", "meanwhile.json")
        assert "the list is empty" in pipeline.rejection("bad-meanwhile")
    pipeline.wait_for_done("meanwhile.json", *(f"busy-{table}.json" for table in busy))


@pytest.mark.timeout(EVENTS_SECONDS + 100)
def test_five_thousand_foreign_events_are_worked_off(stack: NativeStackUnderTest, pipeline: Pipeline) -> None:
    asset = pipeline.rest.asset_id("requested/crowded")
    with psycopg2.connect(stack.database_url) as connection, connection.cursor() as cursor:
        # As many as a foreign DAG emits in a day, in a moment: the REST API takes 30 ms for each.
        cursor.execute(
            """
            insert into asset_event (asset_id, extra, source_map_index, timestamp)
            select %s, json_build_object('start_date', date '2024-03-01' + n %% %s), -1,
                now() at time zone 'utc' - n * interval '1 millisecond'
            from generate_series(1, %s) as numbers(n)
            """,
            [asset, DAYS, EVENTS],
        )
    connection.close()
    pipeline.rest.post("/assets/events", {"asset_id": asset, "extra": {"start_date": "2024-03-09"}})

    done = pipeline.landing / "done"
    with _emptied_afterwards(pipeline, "event-crowded-*"):
        pipeline.wait_for(
            "a record of each event",
            lambda: len(list(done.glob("event-crowded-*.json"))) == EVENTS + 1,
            seconds=EVENTS_SECONDS,
        )
        pipeline.wait_for_end_of_work("crowded")
    assert set(pipeline.rows("crowded")) == {*(f"2024-03-0{n}" for n in range(1, DAYS + 1)), "2024-03-09"}


@contextmanager
def _emptied_afterwards(pipeline: Pipeline, pattern: str) -> Iterator[None]:
    """Remove the done records, as anybody may, so that other tests need not read them."""
    try:
        yield
    finally:
        for path in (pipeline.landing / "done").glob(f"{pattern}.json"):
            path.unlink()


@pytest.mark.parametrize("slots", [5, 2])
def test_a_start_gives_the_pool_of_the_rewrites_the_slots_that_it_is_told(
    stack: NativeStackUnderTest, pipeline: Pipeline, slots: int
) -> None:
    stack.make_pool(REWRITE_POOL, slots=slots)
    assert pipeline.rest.get(f"/pools/{REWRITE_POOL}")["slots"] == slots
