"""Which tables' DAGs are paused, by Airflow's own database, which the API server has."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.dag import DagModel
from fastapi import Depends
from sqlalchemy import select

from reloads.airflow.page.rights import NamesDep


def find_paused_tables(session: SessionDep, names: NamesDep) -> set[str]:
    """The tables whose DAGs are paused, by one query."""
    dag_ids = session.scalars(select(DagModel.dag_id).where(DagModel.is_paused))
    return {table for dag_id in dag_ids if (table := names.table_of(dag_id))}


PausedDep = Annotated[set[str], Depends(find_paused_tables)]
