"""From a run of Airflow to the requests that it serves or served."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from reloads.airflow.page.context import ContextDep
from reloads.airflow.page.refusals import not_found
from reloads.airflow.page.request_answers import Request
from reloads.airflow.page.request_describer import Describer, DescriberDep
from reloads.airflow.page.rights import RightsDep
from reloads.requests.ended import read_ended
from reloads.requests.record import Record

router = APIRouter(tags=["runs"])
MOST_SHOWN = 200


class RunRequests(BaseModel):
    """What a run is for."""

    table: str | None = Field(description="the table that it rewrites; null for a run of another DAG")
    requests: list[Request] = Field(description="the requests that it serves or served, newest first")


@router.get("/runs/{dag_id}/{run_id:path}")
def show_run(dag_id: str, run_id: str, context: ContextDep, rights: RightsDep, describer: DescriberDep) -> RunRequests:
    """The requests that a run serves or served."""
    if not rights.may_read_dag(dag_id):
        raise not_found(f"the DAG {dag_id[:80]!r} is unknown, or you may not see it")
    table = context.settings.names.table_of(dag_id)
    if table is None or table not in context.catalog.tables:
        return RunRequests(table=None, requests=[])
    served = [record for record in context.queue.accepted(table) if _serves(describer, run_id, record)]
    ended = read_ended(context.queue, limit=MOST_SHOWN, table=table, is_wanted=lambda record: run_id in record.runs)
    newest_first = sorted([*served, *ended.records], key=lambda record: record.accepted_at, reverse=True)
    return RunRequests(table=table, requests=describer.describe(newest_first))


def _serves(describer: Describer, run: str, record: Record) -> bool:
    """Whether the run ended some days of an open request, or works on it now."""
    now, _ = describer.open_requests.get(record.id, (record, None))
    return run in record.runs or (now.progress is not None and now.progress.run == run)
