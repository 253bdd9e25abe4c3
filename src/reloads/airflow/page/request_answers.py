"""Requests as the page shows them: where each stands, what came of it, and what it belongs to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from reloads.outcome import CheckResult
from reloads.planning.standing import Kind
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


class Handiwork(BaseModel):
    """Days, and the machine that rewrote them."""

    days: list[str]
    worker: str


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
    workers: list[Handiwork] = Field(
        description="which machine rewrote which days; none where a run had one batch only"
    )
    children: list[ShortRequest] = Field(description="requests that follow from it: downstream tables, and undos")
    others: list[ShortRequest] = Field(description="the other requests of the same dropped file")
