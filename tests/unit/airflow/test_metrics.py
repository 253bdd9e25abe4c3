"""Metrics: what Airflow's own StatsD client sends of what ends and of how things stand, and nothing where it is off."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from airflow.sdk._shared.observability.metrics.stats import _get_backend
from airflow.sdk.observability import stats

from reloads.airflow.metrics import METRICS, count_run, counted_endings, initialize_in_server, measure
from reloads.days import Days
from reloads.inspection.overview import Overview
from reloads.outcome import CheckResult, Failure, Outcome
from reloads.requests.acceptance import process_files
from reloads.requests.control import cancel_request
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.tables.catalog import Catalog
from tests.support.chain import JANUARY, NOW, Chain
from tests.support.stats_listener import StatsListener, stats_listener

FIRST, SECOND = Days.of([date(2025, 1, 1)]), Days.of([date(2025, 1, 2)])
PATIENCE = 10


def statsd(port: int) -> Mapping[str, str]:
    """Airflow's settings for a StatsD server that takes tags."""
    settings = {"ON": "True", "HOST": "127.0.0.1", "PORT": str(port), "INFLUXDB_ENABLED": "True"}
    return {f"AIRFLOW__METRICS__STATSD_{name}": value for name, value in settings.items()}


@contextmanager
def airflow_sends(settings: Mapping[str, str]) -> Iterator[None]:
    """Have Airflow's metrics initialized by these settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        initialize_in_server()
        yield
        client = getattr(_get_backend(), "statsd", None)
        if client:
            client.close()  # which Airflow leaves to the end of the process
    initialize_in_server()


@pytest.fixture
def listener() -> Iterator[StatsListener]:
    """A StatsD server to which Airflow sends its metrics."""
    with stats_listener() as up, airflow_sends(statsd(up.port)):
        yield up


def settled(listener: StatsListener) -> StatsListener:
    """The listener once all that was sent has come."""
    before = listener.total("reloads.end_of_test")
    stats.incr("reloads.end_of_test")
    end = time.monotonic() + PATIENCE
    while listener.total("reloads.end_of_test") == before and time.monotonic() < end:
        time.sleep(0.01)
    return listener


def record(name: str, table: str = "a") -> Record:
    return Record(id=name, mode="landing", table=table, days=JANUARY, accepted_at=NOW)


def test_each_request_that_ends_is_counted_with_what_became_of_it(queue: Queue, listener: StatsListener) -> None:
    queue.add_all([record("r1"), record("r2"), record("r3", "b"), record("r4")])
    with counted_endings():
        queue.settle("r1", Outcome(published=JANUARY), run="run/1", now=NOW + timedelta(seconds=90))
        queue.settle("r1", Outcome(published=JANUARY), run="run/1", now=NOW)
        queue.settle("r2", Outcome(published=FIRST), run="run/1", now=NOW)
        queue.settle("r3", Outcome(failed=(Failure(days=JANUARY, error="no"),)), run="run/1", now=NOW)
        cancel_request(queue, "r4", now=NOW)
        queue.file_away(record("r5").with_outcome(Outcome(unchanged=JANUARY), run="undo/1", now=NOW))
    sent = settled(listener)
    assert sent.total("reloads.requests", table="a", outcome="done") == 2
    assert sent.total("reloads.requests", table="b", outcome="failed") == 1
    assert sent.total("reloads.requests", table="a", outcome="cancelled") == 1
    assert sent.total("reloads.requests") == 4
    assert sent.last("reloads.request_duration", table="b") == 0
    assert max(each.value for each in sent.samples if each.name == "reloads.request_duration") == 90_000


def test_what_ended_before_a_step_failed_is_counted(queue: Queue, listener: StatsListener) -> None:
    queue.add(record("r1"))

    @counted_endings()
    def step() -> None:
        queue.settle("r1", Outcome(published=JANUARY), run="run/1", now=NOW)
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        step()
    assert settled(listener).total("reloads.requests") == 1


def test_rejected_files_are_counted(queue: Queue, catalog: Catalog, listener: StatsListener) -> None:
    for name in "ab":
        (queue.landing / f"{name}.json").write_text("{}")
    with counted_endings():
        now = datetime.now(UTC) + timedelta(minutes=1)
        process_files(queue, catalog=catalog, now=now, today=now.date(), stable_seconds=1)
    assert settled(listener).total("reloads.rejected_files") == 2


def test_a_run_is_counted_by_its_days_rows_bytes_and_seconds(listener: StatsListener) -> None:
    check = CheckResult(check="positive", severity="error", days=SECOND, rows=3)
    rows = {str(day): 10 for day in JANUARY}
    outcomes = (
        Outcome(published=JANUARY - FIRST - SECOND, rows=rows, bytes=rows, seconds=2),
        Outcome(
            failed=(Failure(days=FIRST, error="no"), Failure(days=SECOND, error="x")), checks=(check,), seconds=0.5
        ),
    )
    count_run("a", outcomes)
    sent = settled(listener)
    days = {outcome: sent.total("reloads.days", table="a", outcome=outcome) for outcome in ("published", "unchanged")}
    assert days == {"published": 29, "unchanged": 0}
    assert sent.total("reloads.days", outcome="failed") == sent.total("reloads.days", outcome="refused") == 1
    assert sent.total("reloads.rows", table="a") == sent.total("reloads.bytes", table="a") == 290
    assert [each.value for each in sent.samples if each.name == "reloads.batch_duration"] == [2000, 500]


def test_how_things_stand_is_measured_for_each_table(chain: Chain, listener: StatsListener) -> None:
    chain.load()
    chain.define("b", "select day, 3 * amount as twice from a")
    catalog = Catalog.load(chain.settings.tables)
    now = NOW + timedelta(hours=1)
    measure(Overview(chain.settings).summarize(catalog, now=now), [record("r1"), record("r2")], now=now)
    sent = settled(listener)
    assert [sent.last("reloads.open_requests", table=table) for table in "ab"] == [2, 0]
    assert [sent.last("reloads.oldest_open_request_seconds", table=table) for table in "ab"] == [3600, 0]
    assert [sent.last("reloads.stale_days", table=table) for table in "ab"] == [0, 31]
    assert [sent.last("reloads.missing_days", table=table) for table in "ab"] == [0, 0]


def test_every_sample_has_the_name_the_kind_and_the_tags_that_are_listed(chain: Chain, listener: StatsListener) -> None:
    test_each_request_that_ends_is_counted_with_what_became_of_it(chain.queue, listener)
    test_a_run_is_counted_by_its_days_rows_bytes_and_seconds(listener)
    test_how_things_stand_is_measured_for_each_table(chain, listener)
    kinds = {"c": "counter", "ms": "timer", "g": "gauge"}
    listed = {(metric.name, metric.kind, metric.tags) for metric in METRICS}
    sent = {(each.name, kinds[each.kind], tuple(each.tags)) for each in listener.samples}
    assert sent - {("reloads.end_of_test", "counter", ())} <= listed
    assert len(sent) > len(METRICS) - 1


def test_where_metrics_are_off_nothing_is_sent(queue: Queue) -> None:
    queue.add(record("r1"))
    with stats_listener() as up:
        with airflow_sends({**statsd(up.port), "AIRFLOW__METRICS__STATSD_ON": "False"}), counted_endings():
            queue.settle("r1", Outcome(published=JANUARY), run="run/1", now=NOW)
        with airflow_sends(statsd(up.port)):
            assert settled(up).total("reloads.requests") == 0


def test_a_client_of_metrics_that_cannot_be_made_fails_nothing(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    queue.add(record("r1"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**statsd(1), "AIRFLOW__METRICS__STATSD_PORT": "no number"}.items():
            patch.setenv(name, value)
        initialize_in_server()
        with counted_endings():
            queue.settle("r1", Outcome(published=JANUARY), run="run/1", now=NOW)
    initialize_in_server()
    assert "the metrics cannot be sent" in caplog.text
