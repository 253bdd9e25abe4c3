"""One day as the page shows it, with its partitions, their versions and who asks for it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field

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


def describe_day(detail: Detail, table: str, rights: Rights) -> DayDetail:
    """The detail as it is sent; inputs that the user may not see are left out."""
    values = detail_values(table, detail)
    seen = rights.readable({name for partition in values["partitions"] for name in partition["inputs"]})
    for partition in values["partitions"]:
        partition["inputs"] = {name: number for name, number in partition["inputs"].items() if name in seen}
        partition.update(_find_paths(rights.names.rewrite_dag(table), partition["run"], partition["batch"]))
    return DayDetail.model_validate(values)


def _find_paths(dag_id: str, run: str, batch: int | None) -> dict[str, str | None]:
    """Where Airflow shows the run that wrote a partition, and the log of its task."""
    run_path = path_of_run(dag_id, run) if run else None
    has_log = run_path is not None and batch is not None
    return {"run_path": run_path, "log_path": f"{run_path}/tasks/rewrite/mapped/{batch}" if has_log else None}
