"""The metrics, handed to whatever Airflow sends its own to: StatsD or OpenTelemetry. Where metrics are off, nothing is.

Tasks count what ends in them, and the API server measures how things stand. Nothing here fails a task. The page
docs/monitoring.md lists ``METRICS``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from airflow.configuration import conf
from airflow.sdk.observability import stats

from reloads.days import Days
from reloads.outcome import Outcome, sum_counts
from reloads.requests.collected import Collected, collected_endings
from reloads.requests.record import Record

if TYPE_CHECKING:
    from reloads.inspection.overview import TableSummary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """One metric: how it is called, and what it says."""

    name: str
    kind: Literal["counter", "timer", "gauge"]
    tags: tuple[str, ...]
    meaning: str


REQUESTS = Metric(
    "reloads.requests", "counter", ("table", "outcome"), "requests that ended: `done`, `failed` or `cancelled`"
)
REQUEST_DURATION = Metric(
    "reloads.request_duration", "timer", ("table", "outcome"), "from the acceptance of a request to its end"
)
REJECTED_FILES = Metric("reloads.rejected_files", "counter", (), "dropped files that broke a rule")
DAYS = Metric(
    "reloads.days",
    "counter",
    ("table", "outcome"),
    "days of runs, in a table without keys a partition each: `published`, `unchanged`, `failed`, `refused` by a check, "
    "or `cancelled`",
)
ROWS = Metric("reloads.rows", "counter", ("table",), "rows of the published days")
BYTES = Metric("reloads.bytes", "counter", ("table",), "size of the published days")
BATCH_DURATION = Metric("reloads.batch_duration", "timer", ("table",), "time spent on a batch")
OPEN_REQUESTS = Metric("reloads.open_requests", "gauge", ("table",), "requests that are open")
OLDEST_OPEN_REQUEST = Metric(
    "reloads.oldest_open_request_seconds", "gauge", ("table",), "age of the oldest of them; 0 where none is"
)
STALE_DAYS = Metric("reloads.stale_days", "gauge", ("table",), "published days that are to be rewritten")
MISSING_DAYS = Metric("reloads.missing_days", "gauge", ("table",), "days that should be there and are not")

METRICS = (
    REQUESTS,
    REQUEST_DURATION,
    REJECTED_FILES,
    DAYS,
    ROWS,
    BYTES,
    BATCH_DURATION,
    OPEN_REQUESTS,
    OLDEST_OPEN_REQUEST,
    STALE_DAYS,
    MISSING_DAYS,
)


SWITCHES = ("statsd_on", "otel_on", "statsd_datadog_enabled")


def are_on() -> bool:
    """Whether Airflow sends metrics at all."""
    return any(conf.getboolean("metrics", switch, fallback=False) for switch in SWITCHES)


@contextmanager
def counted_endings() -> Iterator[None]:
    """Count the requests that end, and the files that are rejected, in this block, also in one that fails."""
    with collected_endings() as collected:
        try:
            yield
        finally:
            with _harmless():
                _count_endings(collected)


def count_run(table: str, outcomes: Sequence[Outcome]) -> None:
    """Count what the batches of a run came to."""
    with _harmless():
        total = sum(outcomes, start=Outcome())
        refused = Days.union(check.days for check in total.checks if check.severity == "error") & total.failed_days
        days = {
            "published": total.published,
            "unchanged": total.unchanged,
            "failed": total.failed_days - refused,
            "refused": refused,
            "cancelled": total.cancelled,
        }
        for outcome, some in days.items():
            _count(DAYS, len(some), table=table, outcome=outcome)
        _count(ROWS, sum_counts(total.rows, total.published), table=table)
        _count(BYTES, sum_counts(total.bytes, total.published), table=table)
        for each in outcomes:
            if each.seconds:
                stats.timing(BATCH_DURATION.name, each.seconds * 1000, tags={"table": table})


def measure(summaries: Mapping[str, TableSummary | None], accepted: Iterable[Record], *, now: datetime) -> None:
    """Say how the tables and their open requests stand."""
    with _harmless():
        opened: dict[str, list[datetime]] = {}
        for record in accepted:
            opened.setdefault(record.table, []).append(record.accepted_at)
        for table, summary in summaries.items():
            times = opened.get(table, [])
            age = (now - min(times)).total_seconds() if times else 0
            _measure(OPEN_REQUESTS, len(times), table)
            _measure(OLDEST_OPEN_REQUEST, max(age, 0), table)
            if summary:
                _measure(STALE_DAYS, summary.counts["stale"], table)
                _measure(MISSING_DAYS, summary.counts["missing"], table)


def initialize_in_server() -> None:
    """Have Airflow's settings for metrics hold for the API server, too.

    It initializes the metrics of Airflow itself only, of which ``airflow.sdk`` has a copy of its own (3.3.2).
    """
    with _harmless():
        from airflow.sdk.observability.metrics import stats_utils

        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)


def _count_endings(collected: Collected) -> None:
    for record, state in collected.records:
        tags = {"table": record.table, "outcome": state}
        stats.incr(REQUESTS.name, tags=tags)
        if record.finished_at:
            seconds = (record.finished_at - record.accepted_at).total_seconds()
            stats.timing(REQUEST_DURATION.name, max(seconds, 0) * 1000, tags=tags)
    _count(REJECTED_FILES, collected.rejected)


def _count(metric: Metric, count: int, **tags: str) -> None:
    if count:
        stats.incr(metric.name, count, tags=tags)


def _measure(metric: Metric, value: float, table: str) -> None:
    stats.gauge(metric.name, value, tags={"table": table})


@contextmanager
def _harmless() -> Iterator[None]:
    """Let no trouble with metrics fail what is counted."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever a client of metrics raises
        log.warning("the metrics cannot be sent: %s", type(error).__name__)
