"""Requests that nobody heard: a table's DAG was not there yet, or paused, when they were announced.

Airflow drops an event for a DAG that is not there or is paused. The next look at neglected requests would announce it
again, minutes later; here it is as soon as the DAG is there.
"""

from __future__ import annotations

from collections.abc import Collection

from airflow.models.dag import DagModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from reloads.names import Names
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

    def look(self, queue: Queue, heard: Collection[str]) -> None:
        """Have the open requests of the tables that are heard from now on announced, but for those that a run took.

        The first look only learns which are heard: requests that are open by then are looked after by the doorbell.
        """
        new_tables = set(heard) - self._heard if self._heard is not None else set()
        if new_tables:
            accepted = [record for record in queue.records("accepted") if record.table in new_tables]
            unheard = [record for record in accepted if not record.planned and not record.skipped]
            if unheard:
                knock(queue, unheard)
        self._heard = set(heard)
