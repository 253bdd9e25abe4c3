"""Messages, metrics and lineage of a real Airflow come to real listeners: each thing once, and no secret anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stack.native.folders import Folders
from tests.e2e.native_stack import NativeStackUnderTest, running_stack
from tests.e2e.tables import FAILING, FAILING_DAY, FILES, RAW, arriving
from tests.support.clone import CLONE
from tests.support.lineage_listener import LineageListener, lineage_listener
from tests.support.message_listener import MessageListener, message_listener
from tests.support.pipeline import Pipeline
from tests.support.stats_listener import StatsListener, stats_listener
from tests.support.tables import ROWS_A_DAY, ScenarioTable, write_table

TOTALS = "select p.day, count(*) as numbers from plain p group by p.day"
TABLES = {
    "plain": ScenarioTable(),
    "totals": ScenarioTable(TOTALS, {"parallelism": 1}),
    "failing": ScenarioTable(FAILING),
    "refusing": ScenarioTable(),
    "overdue": arriving("overdue", {"daily": True, "due": "00:00"}),
}
CHECKS = {
    "refusing": "create view numbers_are_small as select day, number as found from new where number > 50;\n",
    "totals": "create view counts_are_right as select day, numbers as found from new where numbers <> 100;\n",
}
SECRETS = ("some-user", "some-password", "some-token")
PAGE = "/plugin/reloads?view=requests&id="


@dataclass(frozen=True)
class Monitored:
    """A pipeline, and who is told of it."""

    pipeline: Pipeline
    stack: NativeStackUnderTest
    messages: MessageListener
    stats: StatsListener
    lineage: LineageListener

    def wait_for_message(self, title: str) -> str:
        """The text of the one message of that title, once it has come."""
        listener = self.messages
        self.pipeline.wait_for(f"the message {title!r}", lambda: title in listener.titles)
        [text] = [body["message"] for body in listener.messages if body["title"] == title]
        return str(text)


def lay_out_own(home: Path) -> None:
    for name in ("tables", "source/overdue", "landing", "warehouse"):
        (home / name).mkdir(parents=True)
    (home / "tables" / "sources.sql").write_text(RAW.format(name="overdue"))
    (home / "tables" / "sources.toml").write_text(FILES.format(name="overdue"))
    for name, table in TABLES.items():
        write_table(home / "tables", name, table)
    for name, text in CHECKS.items():
        (home / "tables" / name / "checks.sql").write_text(text)


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """A stack of its own that tells listeners of the test."""
    folders = Folders(home=tmp_path_factory.mktemp("monitored") / "home", clone=CLONE)
    lay_out_own(folders.home)
    with ExitStack() as listeners:
        messages = listeners.enter_context(message_listener())
        stats = listeners.enter_context(stats_listener())
        lineage = listeners.enter_context(lineage_listener())
        settings = {
            "RELOADS_SOURCE": "source",
            "RELOADS_RETRIES": "0",
            "RELOADS_RESCAN_SECONDS": "5",
            "RELOADS_NOTIFY": messages.url,
            "RELOADS_NOTIFY_ON": "failed refused rejected late done",
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(stats.port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": lineage.transport,
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "tested",
        }
        with running_stack(folders, settings) as running:
            stack = NativeStackUnderTest(running)
            yield Monitored(Pipeline(stack), stack, messages, stats, lineage)


def test_a_request_that_is_done_is_told_with_a_link(monitored: Monitored) -> None:
    monitored.pipeline.drop("january.json", table="plain", start_date="2024-01-01", end_date="2024-01-03")
    [record] = monitored.pipeline.wait_for_done("january.json")
    text = monitored.wait_for_message("plain: 2024-01-01..2024-01-03 done")
    assert "3 of 3 days published" in text
    assert text.splitlines()[-1] == f"{monitored.stack.url}{PAGE}{record.id}"


def test_a_request_that_fails_is_told_once_with_counts_and_the_reason(monitored: Monitored) -> None:
    monitored.pipeline.drop("may.json", table="failing", start_date="2024-05-01", end_date="2024-05-05")
    monitored.pipeline.wait_for_records("failed", "may.json")
    text = monitored.wait_for_message("failing: 1 of 5 days failed")
    assert "4 of 5 days published, 1 failed" in text
    assert f"{FAILING_DAY}: " in text


def test_a_request_of_which_a_check_refuses_all_days_is_told_once(monitored: Monitored) -> None:
    monitored.pipeline.drop("june.json", table="refusing", start_date="2024-06-01", end_date="2024-06-30")
    monitored.pipeline.wait_for_records("failed", "june.json")
    text = monitored.wait_for_message("refusing: 30 of 30 days refused by a check")
    assert "the check numbers_are_small of 2024-06-01" in text


def test_a_file_that_breaks_a_rule_is_told_with_its_sentence(monitored: Monitored) -> None:
    monitored.pipeline.drop("bad.json", table="plain", start_date="2023-12-31")
    sentence = monitored.pipeline.rejection("bad")
    assert sentence in monitored.wait_for_message("request file bad.json rejected")


def test_a_daily_partition_that_is_not_there_in_time_is_told_and_told_again_when_it_came(monitored: Monitored) -> None:
    days = {datetime.now(UTC).date() - timedelta(days=n) for n in (1, 2)}
    [title] = monitored.pipeline.wait_for(
        "the word of the late day",
        lambda: [title for title in monitored.messages.titles if title.endswith(" is late")],
    )
    [day] = [day for day in days if title == f"overdue: {day} is late"]
    # Between midnight and the daily load, the clock has asked for the day before the late one.
    asked = [record for record in monitored.pipeline.records("accepted") if day in record.days]
    for each in days:
        (monitored.pipeline.source / "overdue" / f"{each}.csv").write_text(f"day,amount\n{each},1\n")
    if not asked:
        monitored.pipeline.drop("late.json", table="overdue", start_date=str(day))
    monitored.wait_for_message(f"overdue: {day} came")
    assert monitored.messages.titles.count(title) == 1


def test_a_listener_that_hangs_costs_the_run_nothing_and_is_told_once_it_answers(monitored: Monitored) -> None:
    monitored.messages.mood = "hangs"
    monitored.pipeline.drop("february.json", table="plain", start_date="2024-02-01")
    [record] = monitored.pipeline.wait_for_done("february.json")
    assert monitored.pipeline.wait_for_run("rewrite_plain", record.runs[0]) == "success"
    # Killed while it has something to send; and started again by the supervisor.
    monitored.stack.kill("api-server", children=True)
    monitored.messages.mood = "takes"
    monitored.wait_for_message("plain: 2024-02-01 done")


def test_the_metrics_count_what_ended_and_say_how_things_stand(monitored: Monitored) -> None:
    stats = monitored.stats
    monitored.pipeline.wait_for(
        "the counters",
        lambda: (
            stats.total("reloads.requests", table="failing", outcome="failed") == 1
            and stats.total("reloads.requests", table="refusing", outcome="failed") == 1
            and stats.total("reloads.requests", table="plain", outcome="done") >= 1
        ),
    )
    assert stats.total("reloads.days", table="failing", outcome="published") == 4
    assert stats.total("reloads.days", table="failing", outcome="failed") == 1
    assert stats.total("reloads.days", table="refusing", outcome="refused") == 30
    assert stats.total("reloads.rows", table="failing") == 4 * ROWS_A_DAY
    assert stats.total("reloads.bytes", table="failing") > 0
    assert stats.total("reloads.rejected_files") == 1
    assert (stats.last("reloads.batch_duration", table="plain") or 0) > 0
    assert (stats.last("reloads.request_duration", table="plain", outcome="done") or 0) > 0
    monitored.pipeline.wait_for_end_of_work()
    monitored.pipeline.wait_for(
        "the gauges",
        lambda: (
            stats.last("reloads.open_requests", table="plain") == 0
            and stats.last("reloads.oldest_open_request_seconds", table="plain") == 0
            and stats.last("reloads.stale_days", table="plain") == 0
            and stats.last("reloads.missing_days", table="overdue") is not None
        ),
    )


def test_lineage_names_the_partitions_that_were_read_and_written_and_what_the_checks_said(
    monitored: Monitored,
) -> None:
    pipeline, lineage = monitored.pipeline, monitored.lineage
    pipeline.wait_for("the lineage of totals", lambda: lineage.of_job("rewrite_totals.plan"))
    event = lineage.of_job("rewrite_totals.plan")[0]
    days = [{"dimensions": {"day": f"2024-01-0{n}"}} for n in (1, 2, 3)]
    [read] = event["inputs"]
    assert (read["namespace"], read["name"]) == ("file", str(pipeline.warehouse / "plain"))
    assert read["inputFacets"]["subset"]["inputCondition"] == {"type": "partition", "partitions": days}
    [written] = event["outputs"]
    assert (written["namespace"], written["name"]) == ("file", str(pipeline.warehouse / "totals"))
    assert written["outputFacets"]["subset"]["outputCondition"] == {"type": "partition", "partitions": days}
    statistics = written["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["fileCount"]) == (3, 3)
    fields = {field["name"]: field["type"] for field in written["facets"]["schema"]["fields"]}
    assert fields["numbers"] == "BIGINT"
    [assertion] = written["facets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["name"], assertion["success"]) == ("counts_are_right", True)
    begun = [
        each
        for each in lineage.events
        if each["eventType"] == "START" and each["run"]["runId"] == event["run"]["runId"]
    ]
    assert [each["job"]["name"] for each in begun] == ["rewrite_totals.plan"]
    assert event["run"]["facets"]["parent"]["job"]["name"] == "rewrite_totals"


def test_lineage_names_the_raw_files_that_were_read_and_the_checks_that_refused(monitored: Monitored) -> None:
    pipeline, lineage = monitored.pipeline, monitored.lineage
    [refused] = lineage.of_job("rewrite_refusing.plan")[:1]
    [written] = refused["outputs"]
    [assertion] = written["facets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["name"], assertion["success"], assertion["severity"]) == ("numbers_are_small", False, "error")
    assert written["outputFacets"]["subset"]["outputCondition"]["partitions"] == []
    read = [each for event in lineage.of_job("rewrite_overdue.plan") for each in event["inputs"]]
    locations = [path for each in read for path in each["inputFacets"]["subset"]["inputCondition"]["locations"]]
    assert locations
    assert all(Path(path).is_relative_to(pipeline.source / "overdue") for path in locations)


def test_a_listener_of_lineage_that_hangs_fails_no_run(monitored: Monitored) -> None:
    monitored.lineage.hangs = True
    monitored.pipeline.drop("march.json", table="plain", start_date="2024-03-01", cascade=False)
    [record] = monitored.pipeline.wait_for_done("march.json")
    assert monitored.pipeline.wait_for_run("rewrite_plain", record.runs[0]) == "success"
    assert monitored.lineage.hung > 0
    monitored.lineage.release()


def test_each_thing_was_told_once_and_nothing_holds_a_secret(monitored: Monitored) -> None:
    titles = monitored.messages.titles
    assert len(titles) == len(set(titles))
    found: list[str] = []
    for path in monitored.stack.home.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            text = path.read_bytes().decode(errors="replace")
            found += [f"{path}: {secret}" for secret in SECRETS if secret in text]
    rest = monitored.pipeline.rest
    for table in TABLES:
        for run in rest.runs(f"rewrite_{table}"):
            answer = str(rest.tasks(f"rewrite_{table}", run["dag_run_id"]))
            found += [f"{run['dag_run_id']}: {secret}" for secret in SECRETS if secret in answer]
    assert found == []
