"""Requests as the page shows them: where each stands, what came of it, and what it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Depends
from pydantic import BaseModel, Field

from reloads.airflow.page.context import ContextDep
from reloads.airflow.page.open_look import OpenRequests
from reloads.airflow.page.paused_dags import PausedDep
from reloads.airflow.page.rights import RightsDep, dag_of
from reloads.outcome import CheckResult, Reason
from reloads.planning.standing import Kind, describe_ended
from reloads.requests.record import Record

RecordState = Literal["accepted", "done", "failed", "cancelled"]


class Standing(BaseModel):
    """Where a request stands, in a word and in a sentence."""

    kind: Kind
    sentence: str


class Counts(BaseModel):
    """Days of a request, by what came of them."""

    asked: int
    published: int
    unchanged: int
    failed: int
    skipped: int
    cancelled: int
    waiting: int = Field(description="days left whose raw files are not there")
    left: int

    @classmethod
    def of(cls, record: Record) -> Counts:
        """Those of the record."""
        return cls(
            asked=len(record.days),
            published=len(record.published),
            unchanged=len(record.unchanged),
            failed=len(record.failed_days),
            skipped=len(record.skipped_days),
            cancelled=len(record.cancelled),
            waiting=len(record.waiting_days & record.outstanding),
            left=len(record.outstanding),
        )


class Progress(BaseModel):
    """How far the batches have come that work on it now."""

    run: str
    step: str = Field(description="what the slowest of the batches does now")
    percent: int | None = Field(description="how much of the raw data it has read; null where nobody knows")
    days: int
    staged: int
    rows: int
    at: datetime


class Run(BaseModel):
    """A run that ended some of its days."""

    run: str
    path: str | None = Field(description="where Airflow shows it; null where it was no run of Airflow")


class ShortRequest(BaseModel):
    """A request in a line of a list."""

    id: str
    table: str
    state: RecordState
    standing: Standing
    counts: Counts


class Request(ShortRequest):
    """An accepted request for one table."""

    mode: str = Field(description="how it was asked for, like landing, daily or cascade")
    days: list[str]
    progress: Progress | None
    rows: int
    rows_before: int
    bytes: int
    seconds: float
    reason: str | None
    requested_by: str | None
    file: str | None
    accepted_at: datetime
    finished_at: datetime | None
    may_steer: bool = Field(description="whether you may cancel, retry and undo it")
    runs: list[Run]
    error: str | None = Field(description="the first failure")


class DaysAndWhy(BaseModel):
    """Days that share a reason."""

    days: list[str]
    why: str


class FailedDays(BaseModel):
    """Days that failed, and why."""

    days: list[str]
    error: str


class Cause(BaseModel):
    """The change of an input that it follows."""

    table: str
    days: list[str]
    requests: list[str]


class Check(BaseModel):
    """What a check of the table found."""

    check: str
    severity: str
    days: list[str]
    rows: int
    sentence: str

    @classmethod
    def of(cls, result: CheckResult) -> Check:
        """The result as it is sent."""
        return cls(
            check=result.check,
            severity=result.severity,
            days=result.days.texts(),
            rows=result.rows,
            sentence=result.sentence(),
        )


class RequestDetail(Request):
    """A request with all that is known of it."""

    keys: dict[str, list[str]]
    only: str
    cascade: bool
    parameters: dict[str, Any]
    cause: Cause | None
    planned: list[DaysAndWhy]
    skipped: list[DaysAndWhy]
    waiting: list[DaysAndWhy]
    failed: list[FailedDays]
    published: list[str]
    unchanged: list[str]
    cancelled: list[str]
    checks: list[Check]
    children: list[ShortRequest] = Field(description="requests that follow from it: downstream tables, and undos")
    others: list[ShortRequest] = Field(description="the other requests of the same dropped file")


class Describer:
    """Turns records into answers for one user; where the open ones stand is found once, when one is asked for."""

    def __init__(self, context: ContextDep, rights: RightsDep, paused: PausedDep) -> None:
        self._context, self._rights, self._paused = context, rights, paused

    @cached_property
    def open_requests(self) -> OpenRequests:
        """All accepted requests by id, each with its progress and with where it stands."""
        context = self._context
        return context.open_look.read(
            context.settings, context.catalog, context.overview.records, now=context.now, paused=self._paused
        )

    def describe(self, records: Iterable[Record]) -> list[Request]:
        """The records that the user may see."""
        return [Request(**self._fields(record)) for record in self._readable(records)]

    def describe_shortly(self, records: Iterable[Record]) -> list[ShortRequest]:
        """The same, with what fits into a line."""
        return [ShortRequest(**self._short_fields(record)) for record in self._readable(records)]

    def describe_whole(self, record: Record, others: Iterable[Record]) -> RequestDetail:
        """One record with all that is known of it."""
        children = [child for name in record.children if (child := self._context.queue.get(name))]
        cause = record.cause if record.cause and self._rights.may_read(record.cause.table) else None
        return RequestDetail(
            **self._fields(record),
            keys={key: list(values) for key, values in record.keys.items()},
            only=record.only,
            cascade=record.cascade,
            parameters=record.parameters,
            cause=Cause(table=cause.table, days=cause.days.texts(), requests=list(cause.requests)) if cause else None,
            planned=_list_reasons(record.planned),
            skipped=_list_reasons(record.skipped),
            waiting=_list_reasons(record.waiting),
            failed=[FailedDays(days=failure.days.texts(), error=failure.error) for failure in record.failed],
            published=record.published.texts(),
            unchanged=record.unchanged.texts(),
            cancelled=record.cancelled.texts(),
            checks=[Check.of(result) for result in record.checks],
            children=self.describe_shortly(children),
            others=self.describe_shortly(others),
        )

    def _readable(self, records: Iterable[Record]) -> list[Record]:
        records = list(records)
        seen = self._rights.readable({record.table for record in records})
        return [record for record in records if record.table in seen]

    def _short_fields(self, record: Record) -> dict[str, Any]:
        return {
            "id": record.id,
            "table": record.table,
            "state": state_of_record(record),
            "standing": self._find_standing(record),
            "counts": Counts.of(record),
        }

    def _fields(self, record: Record) -> dict[str, Any]:
        return self._short_fields(record) | {
            "mode": record.mode,
            "days": record.days.texts(),
            "progress": self._find_progress(record),
            "rows": record.rows,
            "rows_before": record.rows_before,
            "bytes": record.bytes,
            "seconds": record.seconds,
            "reason": record.reason,
            "requested_by": record.requested_by,
            "file": record.file,
            "accepted_at": record.accepted_at,
            "finished_at": record.finished_at,
            "may_steer": self._rights.may_steer(record.table),
            "runs": [Run(run=run, path=path_of_run(record.table, run)) for run in record.runs],
            "error": record.failed[0].error if record.failed else None,
        }

    def _find_standing(self, record: Record) -> Standing:
        if not record.outstanding:
            standing = describe_ended(record)
        elif record.id in self.open_requests:
            _, standing = self.open_requests[record.id]
        else:
            # It was accepted, or ended, while this was looked at.
            return Standing(kind="queued", sentence=f"{record.id} was accepted just now")
        return Standing(kind=standing.kind, sentence=standing.sentence)

    def _find_progress(self, record: Record) -> Progress | None:
        if not record.outstanding or record.id not in self.open_requests:
            return None
        progress = self.open_requests[record.id][0].progress
        return Progress.model_validate(progress, from_attributes=True) if progress else None


DescriberDep = Annotated[Describer, Depends()]


def state_of_record(record: Record) -> RecordState:
    """The folder in which it belongs."""
    if record.outstanding:
        return "accepted"
    if record.failed:
        return "failed"
    return "cancelled" if record.cancelled else "done"


def path_of_run(table: str, run: str) -> str | None:
    """Where Airflow shows the run; None for a run of a command or of an undo, which is not Airflow's."""
    return None if "/" in run else f"/dags/{dag_of(table)}/runs/{quote(run, safe='')}"


def _list_reasons(reasons: Iterable[Reason]) -> list[DaysAndWhy]:
    return [DaysAndWhy(days=reason.days.texts(), why=reason.why) for reason in reasons]
