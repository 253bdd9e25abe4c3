"""The ways of asking: files, several of them at once, events of others, the form, and what bad ones get."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.command import run_command
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY


def test_two_requests_that_overlap_are_both_done(pipeline: Pipeline) -> None:
    pipeline.drop("early.json", table="overlapping", start_date="2024-08-01", end_date="2024-08-04")
    pipeline.drop("late.json", table="overlapping", start_date="2024-08-03", end_date="2024-08-06")

    for record in pipeline.wait_for_done("early.json", "late.json"):
        assert record.published == record.days
        assert record.rows == 4 * ROWS_A_DAY
    assert pipeline.rows("overlapping") == {f"2024-08-0{n}": ROWS_A_DAY for n in range(1, 7)}


def test_one_file_may_ask_for_several_tables_and_hold_several_requests(pipeline: Pipeline) -> None:
    pipeline.drop("both.json", table=["left", "right"], start_date="2024-08-01")
    day = {"table": "left", "start_date": "2024-08-10"}
    span = {"table": "right", "start_date": "2024-08-10", "end_date": "2024-08-12", "exclude_dates": ["2024-08-11"]}
    pipeline.drop("list.json", [day, span])

    pipeline.wait_for_done("both.json", "list.json", records=4)
    assert pipeline.rows("left") == {"2024-08-01": ROWS_A_DAY, "2024-08-10": ROWS_A_DAY}
    assert pipeline.rows("right") == dict.fromkeys(["2024-08-01", "2024-08-10", "2024-08-12"], ROWS_A_DAY)


def test_an_event_of_somebody_else_is_served_without_a_file(pipeline: Pipeline) -> None:
    asset = pipeline.rest.asset_id("requested/foreign")
    extra = {"start_date": "2024-08-01", "end_date": "2024-08-02", "reason": "upstream was late"}
    pipeline.rest.post("/assets/events", {"asset_id": asset, "extra": extra})

    [record] = pipeline.wait_for("a done record of the event", lambda: pipeline.records_of_table("done", "foreign"))
    assert (record.mode, record.reason, record.published) == ("event", "upstream was late", record.days)
    assert pipeline.rows("foreign") == {"2024-08-01": ROWS_A_DAY, "2024-08-02": ROWS_A_DAY}


def test_an_event_of_somebody_else_with_a_bad_range_is_rejected_and_turns_its_run_red(pipeline: Pipeline) -> None:
    before = {run["dag_run_id"] for run in pipeline.rest.runs("rewrite_foreign")}
    asset = pipeline.rest.asset_id("requested/foreign")
    extra = {"start_date": "2024-08-31", "end_date": "2024-08-30"}
    pipeline.rest.post("/assets/events", {"asset_id": asset, "extra": extra})

    rejected = pipeline.landing / "rejected"
    [note] = pipeline.wait_for("a rejection", lambda: list(rejected.glob("event-foreign-*.error.txt")))
    assert "end_date 2024-08-30 is before start_date 2024-08-31; swap them" in note.read_text()
    pipeline.wait_for_quiet("foreign")
    runs = [run for run in pipeline.rest.runs("rewrite_foreign") if run["dag_run_id"] not in before]
    assert [run["state"] for run in runs] == ["failed"]
    log = pipeline.rest.log("rewrite_foreign", runs[0]["dag_run_id"], "rewrite", map_index=0)
    assert "end_date 2024-08-30 is before start_date 2024-08-31; swap them" in log


def test_the_form_asks_for_the_days_it_names_in_the_name_of_the_login(pipeline: Pipeline) -> None:
    form = {"table": "by_hand", "start_date": "2024-08-01", "end_date": "2024-08-03", "reason": "asked on the phone"}
    run = pipeline.rest.trigger("request_partitions", **form)

    [record] = pipeline.wait_for("the days of the form", lambda: pipeline.records_of_table("done", "by_hand"))
    assert (record.mode, record.reason, record.rows) == ("manual", "asked on the phone", 3 * ROWS_A_DAY)
    assert record.requested_by == pipeline.user
    [extra] = pipeline.rest.events("requested/by_hand")
    assert extra["about"] == f"2024-08-01..2024-08-03 of by_hand (by a form, {pipeline.user}): asked on the phone"
    assert pipeline.wait_for_run("request_partitions", run) == "success"


def test_a_form_filled_in_wrongly_turns_its_run_red_with_the_sentence_and_changes_nothing(pipeline: Pipeline) -> None:
    before = pipeline.partitions("by_hand")
    form = {"table": "by_hand", "start_date": "2024-08-03", "end_date": "2024-08-01"}
    run = pipeline.rest.trigger("request_partitions", mode="custom", **form)

    assert pipeline.wait_for_run("request_partitions", run) == "failed"
    log = pipeline.rest.log("request_partitions", run, "rejected", map_index=0)
    assert "end_date 2024-08-01 is before start_date 2024-08-03; swap them" in log
    assert len(pipeline.records_of_table("done", "by_hand")) == 1
    assert pipeline.partitions("by_hand") == before


def test_days_without_a_table_turn_the_run_red_and_reload_nothing(pipeline: Pipeline) -> None:
    before = [record.id for record in pipeline.records("done")]
    run = pipeline.rest.trigger("request_partitions", start_date="2024-08-03")

    assert pipeline.wait_for_run("request_partitions", run) == "failed"
    log = pipeline.rest.log("request_partitions", run, "rejected", map_index=0)
    assert "the form has no table, but start_date is" in log
    assert [record.id for record in pipeline.records("done")] == before


def test_the_consumer_started_by_hand_rewrites_the_days_it_is_given(pipeline: Pipeline) -> None:
    run = pipeline.rest.trigger("rewrite_by_hand", start_date="2024-08-20", end_date="2024-08-21")

    assert pipeline.wait_for_run("rewrite_by_hand", run) == "success"
    assert {"2024-08-20", "2024-08-21"} <= set(pipeline.rows("by_hand"))
    record = pipeline.records("done")[-1]
    assert (record.table, record.mode, record.runs) == ("by_hand", "manual", (run,))
    assert record.requested_by == pipeline.user
    log = pipeline.rest.log("rewrite_by_hand", run, "plan")
    assert f"by_hand: {record.id} asks for 2024-08-20..2024-08-21 (by {pipeline.user})" in log


BAD = {
    "truncated": ('{"table": "mixed", "start_da', "the file is not JSON"),
    "unknown table": ('{"table": "mixd", "start_date": "2024-08-01"}', "known tables are mixed, "),
    'it\'s a "name"\nof two lines': (
        '{"table": "mixed", "start_date": "2024-8-1"}',
        "is not a day of the form YYYY-MM-DD",
    ),
    "inverted": ('{"table": "mixed", "start_date": "2024-08-02", "end_date": "2024-08-01"}', "swap them"),
    "twice": ('{"table": "mixed", "table": "mixed", "start_date": "2024-08-01"}', "stands twice"),
    "no-key": ('{"table": "mixed", "start_date": "2024-08-01", "keys": {"origin": ["EWR"]}}', "'mixed' has no key"),
    "empty": ("[]", "the list is empty"),
}


def test_bad_files_are_rejected_each_with_a_sentence_and_the_good_ones_beside_them_are_done(pipeline: Pipeline) -> None:
    for number, (stem, (text, _)) in enumerate(BAD.items(), start=1):
        pipeline.drop_text(f"{stem}.json", text)
        pipeline.drop(f"good {number}.json", table="mixed", start_date=f"2024-08-0{number}")
    (pipeline.landing / "folder.json").mkdir()

    pipeline.wait_for_done(*(f"good {number}.json" for number in range(1, len(BAD) + 1)))
    for stem, (text, rule) in BAD.items():
        assert rule in pipeline.rejection(stem)
        assert (pipeline.landing / "rejected" / f"{stem}.json").read_text() == text
    assert "it is a folder" in pipeline.rejection("folder")
    assert len(pipeline.rows("mixed")) == len(BAD)


def test_a_file_written_in_place_is_taken_when_its_writer_closes_it(pipeline: Pipeline) -> None:
    request = {"table": "mixed", "start_date": "2024-08-31"}
    (pipeline.landing / "in place.json").write_text(json.dumps(request))

    pipeline.wait_for_done("in place.json")


def test_the_command_line_follows_the_whole_wave_and_shows_what_its_tasks_said(pipeline: Pipeline) -> None:
    asked = reloads(pipeline, "request", "paged", "2024-09-01", "2024-09-02", "--wait", "--timeout", "5m")
    states = {request["table"]: request["state"] for request in asked["requests"]}
    assert states == {"paged": "done", "paged_totals": "done"}

    [request] = [request["id"] for request in asked["requests"] if request["table"] == "paged"]
    [served] = reloads(pipeline, "logs", request)["requests"]
    [run] = served["runs"]
    assert [task["task"] for task in run["tasks"]] == ["plan"]
    texts = [line["text"] for task in run["tasks"] for line in task["lines"]]
    assert any(text.startswith("paged: published 2 partitions") for text in texts)
    assert not [text for text in texts if "DagBag" in text]


def reloads(pipeline: Pipeline, *arguments: str) -> Any:
    """The document that the command prints; fails if it fails."""
    environment = {"RELOADS_HOME": str(pipeline.home), "RELOADS_SOURCE": "source"}
    command = str(Path(sys.executable).with_name("reloads"))
    return json.loads(run_command(command, *arguments, "--json", environment=environment))
