"""``--wait``: the bar moves while batches work, and what keeps a request from being done is said once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest

from reloads.batch import Batch
from reloads.cli import wait
from reloads.cli.wait import Wave, follow_wave
from reloads.days import Days
from reloads.inspection import open_requests
from reloads.outcome import Outcome
from reloads.progress import BatchProgress
from reloads.requests import batch_notes
from reloads.requests.batch_notes import note_batch
from reloads.requests.paused_tables import note_paused
from reloads.requests.progress import with_progress
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings

NOW = datetime(2025, 3, 1, tzinfo=UTC)
DAYS = Days.parse(["2025-01-01..2025-01-04"])
RECORD = Record(id="a", mode="landing", table="sales", days=DAYS, accepted_at=NOW, file="mine.json")


@pytest.fixture(autouse=True)
def _explain_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(wait, "EXPLAIN_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(batch_notes, "WRITE_EVERY_SECONDS", 0)


@contextmanager
def waiting(settings: Settings, queue: Queue, record: Record) -> Iterator[None]:
    """Somebody waits for the record, which ends when the block is left."""
    queue.add(record.model_copy(update={"id": "mine-sales-0123456789ab"}))
    thread = Thread(target=follow_wave, args=(Wave(settings, ["mine.json"]),))
    thread.start()
    try:
        yield
    finally:
        queue.settle("mine-sales-0123456789ab", Outcome(published=record.days), run="run", now=NOW)
        thread.join(timeout=20)
    assert not thread.is_alive()


def test_a_paused_table_is_said_once(sales_settings: Settings, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by capsys, which loses what another thread prints while it is read.
    told, looks = SimpleQueue[str](), SimpleQueue[None]()
    monkeypatch.setattr(wait, "complain", told.put)
    list_open_requests = open_requests.list_open_requests

    def look(*arguments: Any, **options: Any) -> Any:
        looks.put(None)
        return list_open_requests(*arguments, **options)

    monkeypatch.setattr(wait, "list_open_requests", look)
    note_paused(sales_settings.landing, {"sales"}, now=datetime.now(UTC))
    with waiting(sales_settings, queue, RECORD):
        assert told.get(timeout=60) == "sales: the DAG rewrite_sales is paused; unpause it"
        for _ in range(looks.qsize() + 2):
            looks.get(timeout=60)
    assert told.empty()


def test_the_bar_counts_the_days_that_ended_and_those_that_are_staged(sales_settings: Settings) -> None:
    partly = RECORD.model_copy(update={"published": Days.parse(["2025-01-04"])})
    with note_batch(sales_settings.landing, "sales", Batch(DAYS, requests={"a": DAYS}), run="run/1") as note:
        note.write(BatchProgress("writing", Days.parse(["2025-01-01..2025-01-02"]), {date(2025, 1, 1): 2000}))
        [record] = with_progress(sales_settings.landing, [partly], now=datetime.now(UTC))
    assert (wait.count_days(partly), wait.count_days(record)) == (1, 3)
    assert wait.describe(record) == "sales writing, 2,000 rows"
    note.write(BatchProgress("reading", percent=57))
    with note_batch(sales_settings.landing, "sales", Batch(DAYS, requests={"a": DAYS}, number=1), run="run/1") as note:
        note.write(BatchProgress("reading", percent=57))
        [record] = with_progress(sales_settings.landing, [RECORD], now=datetime.now(UTC))
    assert wait.describe(record).endswith("reading 57 %, 0 rows")
    assert wait.count_days(record) == len(DAYS) * 57 // 100
