"""A reload in this process, without Airflow: the same plan, rewrite and record as a run of the consumer DAG."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from reloads.queue import Queue
from reloads.record import Outcome, Record, new_record
from reloads.request import ReloadRequest
from reloads.settings import Settings
from reloads.staging import remove_abandoned
from reloads.table_run import Batch, rewrite_one


def run_here(settings: Settings, request: ReloadRequest, *, now: datetime) -> list[Record]:
    """Rewrite the days of a checked request now, in one batch for each table; returns the finished records.

    The request never enters ``accepted/``, so a consumer that runs at the same time does not take it too. Should both
    rewrite one partition, the last to finish stands, whole.
    """
    remove_abandoned(settings.warehouse)
    run = f"command/{uuid4().hex[:12]}"
    records = []
    for table in request.tables:
        record = new_record(request, table, mode="command", origin=run, now=now)
        batch = Batch(record.days, (record.id,), of=1)
        outcome: Outcome = rewrite_one(settings, table, batch.to_json(), run=run, now=now)
        finished = record.after(outcome, run=run, now=now + timedelta(seconds=outcome.seconds))
        Queue(settings.landing).file_away(finished)
        records.append(finished)
    return records
