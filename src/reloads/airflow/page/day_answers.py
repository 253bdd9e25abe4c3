"""One day as the page shows it, with its partitions, their versions and who asks for it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from airflow.models.taskinstance import TaskInstance
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from reloads.airflow.page.request_describer import path_of_run
from reloads.airflow.page.rights import Rights
from reloads.inspection.calendar import DayState
from reloads.inspection.calendar_json import detail_values
from reloads.inspection.day_detail import DayDetail as Detail


class File(BaseModel):
    """A raw file that a partition was made from."""

    path: str
    size: int
    changed_at: datetime | None


class Partition(BaseModel):
    """One partition of a day, and what it was made from."""

    name: str
    keys: dict[str, str]
    state: DayState
    why: str | None
    rows: int | None
    bytes: int | None
    changed_at: datetime | None = Field(description="when this content was published")
    made_at: datetime | None = Field(description="when it was last rewritten, also to the same content")
    run: str
    run_path: str | None
    log_path: str | None
    requests: list[str]
    inputs: dict[str, int] = Field(description="the commit of each input up to which it was read")
    files: list[File]
    parameters: dict[str, Any]


class VersionRow(BaseModel):
    """A version of a partition that is kept."""

    partition: str
    number: int | None = Field(description="by which `reloads diff` knows it; null for a file that is not in the log")
    rows: int | None
    requests: list[str]
    written_at: datetime | None = Field(description="null where that is not known any more")
    replaced_at: datetime | None = Field(description="null for the one that is published")


class DayFailure(BaseModel):
    """Why the last attempt failed."""

    request: str
    error: str
    at: datetime | None


class DayDetail(BaseModel):
    """One day with all that is known of it."""

    table: str
    day: date
    state: DayState
    why: str | None
    is_late: bool
    rows: int | None
    bytes: int | None
    partitions: list[Partition]
    versions: list[VersionRow]
    open_requests: list[str]
    failure: DayFailure | None


def describe_day(detail: Detail, table: str, rights: Rights, session: Session) -> DayDetail:
    """The detail as it is sent; inputs that the user may not see are left out."""
    values = detail_values(table, detail)
    partitions = values["partitions"]
    seen = rights.readable({name for partition in partitions for name in partition["inputs"]})
    dag_id = rights.names.rewrite_dag(table)
    mapped = _find_mapped_tasks(session, dag_id, {partition["run"] for partition in partitions})
    for partition in partitions:
        partition["inputs"] = {name: number for name, number in partition["inputs"].items() if name in seen}
        partition.update(_find_paths(dag_id, partition["run"], partition["batch"], mapped))
    return DayDetail.model_validate(values)


def _find_mapped_tasks(session: Session, dag_id: str, runs: set[str]) -> set[tuple[str, int]]:
    """The tasks of these runs that rewrite one batch each: run and number of the batch."""
    tasks = select(TaskInstance.run_id, TaskInstance.map_index)
    tasks = tasks.where(TaskInstance.dag_id == dag_id, TaskInstance.run_id.in_(runs), TaskInstance.task_id == "rewrite")
    return {(run, number) for run, number in session.execute(tasks)}


def _find_paths(dag_id: str, run: str, batch: int | None, mapped: set[tuple[str, int]]) -> dict[str, str | None]:
    """Where Airflow shows the run that wrote a partition, and the log of its task."""
    if not run:
        return {"run_path": None, "log_path": None}
    run_path = path_of_run(dag_id, run)
    if batch is None:
        return {"run_path": run_path, "log_path": None}
    # The only batch of a run is rewritten where it is planned.
    task = f"rewrite/mapped/{batch}" if (run, batch) in mapped else "plan"
    return {"run_path": run_path, "log_path": f"{run_path}/tasks/{task}"}
