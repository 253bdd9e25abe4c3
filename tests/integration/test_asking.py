"""Every way of asking, from outside: a file, the form, the daily load, and an asset event of somebody else."""

from __future__ import annotations

from datetime import timedelta

from reloads.days import Days
from tests.integration.container_stack import ContainerStack
from tests.support.page_api import PageApi
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY


def test_a_file_dropped_on_the_host_makes_the_partitions_it_asks_for(stack: ContainerStack, pipeline: Pipeline) -> None:
    pipeline.drop("january.json", table="flights", start_date="2013-01-01", end_date="2013-01-31")

    [record] = pipeline.wait_for_done("january.json")
    assert (record.rows, record.published) == (27_004, record.days)
    rows = pipeline.rows("flights", "flight_date")
    assert (len(rows), sum(rows.values())) == (31, 27_004)
    files = [path for path in pipeline.warehouse.rglob("*") if path.is_file()]
    assert {path.stat().st_uid for path in files} == {int(stack.secrets["AIRFLOW_UID"])}


def test_a_bad_file_is_rejected_with_a_sentence_beside_it(pipeline: Pipeline) -> None:
    pipeline.drop("inverted.json", table="dropped", start_date="2024-08-02", end_date="2024-08-01")

    assert "end_date 2024-08-01 is before start_date 2024-08-02; swap them" in pipeline.rejection("inverted")
    assert (pipeline.landing / "rejected" / "inverted.json").exists()
    assert not (pipeline.landing / "inverted.json").exists()
    assert not (pipeline.warehouse / "dropped").exists()


def test_the_form_sent_through_the_rest_api_asks_for_the_days_it_names(pipeline: Pipeline) -> None:
    form = {"table": "by_hand", "start_date": "2024-08-01", "end_date": "2024-08-03", "reason": "asked on the phone"}
    run = pipeline.rest.trigger("request_partitions", mode="custom", **form)

    [record] = pipeline.wait_for("the days of the form", lambda: pipeline.records_of_table("done", "by_hand"))
    assert (record.mode, record.reason, record.rows) == ("manual", "asked on the phone", 3 * ROWS_A_DAY)
    assert pipeline.wait_for_run("request_partitions", run) == "success"
    assert pipeline.rows("by_hand") == {f"2024-08-0{n}": ROWS_A_DAY for n in range(1, 4)}


def test_the_page_asks_shows_what_came_of_it_and_undoes_it(stack: ContainerStack, pipeline: Pipeline) -> None:
    page = PageApi(stack.url, token=pipeline.rest.token)
    days = "/api/tables/by_page/days?first=2024-08-01&last=2024-08-03"
    file = page.post("/api/requests", {"table": "by_page", "days": ["2024-08-01..2024-08-02"], "reason": "try"})["file"]

    [record] = pipeline.wait_for_done(file)
    assert (record.requested_by, record.reason, record.rows) == (stack.user, "try", 2 * ROWS_A_DAY)
    assert [day["state"] for day in page.get(days)["days"]] == ["fresh", "fresh", "missing"]

    page.post(f"/api/requests/{record.id}/undo", {"force": False})
    assert [day["state"] for day in page.get(days)["days"]] == ["missing", "missing", "missing"]
    files = [path for path in (pipeline.landing / "done").iterdir() if path.is_file()]
    assert {path.stat().st_uid for path in files} == {int(stack.secrets["AIRFLOW_UID"])}


def test_the_daily_load_asked_for_before_its_time_loads_the_days_missed(pipeline: Pipeline) -> None:
    # The tick that was missed is made up for at the first start.
    [first] = pipeline.wait_for("the first daily load", lambda: pipeline.records_of_table("done", "events"))
    assert (first.mode, first.days.texts()) == ("daily", ["2024-02-28"])

    run = pipeline.rest.trigger("request_partitions", mode="daily")
    assert pipeline.wait_for_run("request_partitions", run) == "success"

    pipeline.wait_for("the second daily load", lambda: len(pipeline.records_of_table("done", "events")) == 2)
    [daily] = [record for record in pipeline.records_of_table("done", "events") if record.id != first.id]
    yesterday = daily.accepted_at.date() - timedelta(days=1)
    assert (daily.mode, daily.days) == ("daily", Days.between(yesterday - timedelta(days=2), yesterday))
    assert pipeline.rows("events", "event_date") == {str(day): 1000 for day in first.days | daily.days}


def test_an_asset_event_of_somebody_else_is_served_without_a_file(pipeline: Pipeline) -> None:
    asset = pipeline.rest.asset_id("requested/foreign")
    extra = {"start_date": "2024-08-01", "end_date": "2024-08-02", "reason": "upstream was late"}
    pipeline.rest.post("/assets/events", {"asset_id": asset, "extra": extra})

    [record] = pipeline.wait_for("a done record of the event", lambda: pipeline.records_of_table("done", "foreign"))
    assert (record.mode, record.reason, record.published) == ("event", "upstream was late", record.days)
    assert pipeline.rows("foreign") == {"2024-08-01": ROWS_A_DAY, "2024-08-02": ROWS_A_DAY}


def test_the_logs_of_a_task_can_be_read_where_another_service_shows_them(pipeline: Pipeline) -> None:
    pipeline.drop("logged.json", table="dropped", start_date="2024-09-01")
    [record] = pipeline.wait_for_done("logged.json")
    run = record.runs[0]
    pipeline.wait_for_run("rewrite_dropped", run)

    assert "1 days in 1 batches" in pipeline.rest.log("rewrite_dropped", run, "plan")
    assert record.id in pipeline.rest.log("rewrite_dropped", run, "plan")
