"""Requests that nobody heard: a table's DAG was not there yet, or paused, when they were announced.

Airflow drops an event for a DAG that is not there or is paused. The next look at neglected requests would announce it
again, minutes later; here it is as soon as the DAG is there.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from airflow.models.dag import DagModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from reloads.names import Names
from reloads.requests.batch_notes import open_runs
from reloads.requests.neglect import knock
from reloads.requests.queue import Queue


def find_heard_tables(session: Session, names: Names) -> set[str]:
    """The tables whose DAGs hear of requests now, by one query."""
    query = select(DagModel.dag_id).where(DagModel.is_paused.is_(False), DagModel.is_stale.is_(False))
    return {table for dag_id in session.scalars(query) if (table := names.table_of(dag_id))}


class HeardTables:
    """Knows which tables were heard of at the last look."""

    def __init__(self) -> None:
        self._heard: set[str] | None = None

    def look(self, queue: Queue, heard: Collection[str], *, now: datetime) -> None:
        """Have the open requests of the tables that are heard of from now on announced, unless a run is at work there.

        That one looks after them when it settles. The first look only learns which tables are heard of: what is open by
        then is looked after by the doorbell.
        """
        new_tables = set(heard) - self._heard if self._heard is not None else set()
        unheard = {table for table in new_tables if not open_runs(queue.landing, table, now=now)}
        records = [record for record in queue.records("accepted") if record.table in unheard] if unheard else []
        if records:
            knock(queue, records)
        self._heard = set(heard)
