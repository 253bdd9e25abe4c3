"""The record of an accepted request: what was asked for, frozen, and how far it has come.

A file holding requests becomes one record for each request and table, because each table is rewritten by a DAG of its
own: no two writers ever share a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from reloads.days import Days
from reloads.errors import OperatorError, QueryError, RequestError, cut, one_line
from reloads.request import ReloadRequest

Mode = Literal["daily", "landing", "manual", "event", "command"]


def _as_days(value: object) -> object:
    if isinstance(value, Days):
        return value
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError("it is no list of days")
    try:
        return Days.parse(value)
    except RequestError as error:
        raise ValueError(str(error)) from error


DaysField = Annotated[Days, BeforeValidator(_as_days), PlainSerializer(Days.texts, when_used="json")]


class Failure(BaseModel):
    """Days that could not be rewritten, and the one reason they share."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    days: DaysField
    error: str
    transient: bool = Field(False, description="the environment failed, not the query: trying again may help")


class Outcome(BaseModel):
    """What one batch, or all batches of a request, came to."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    published: DaysField = Days()
    failed: tuple[Failure, ...] = ()
    rows: dict[str, int] = Field({}, description="rows by day published")
    bytes: dict[str, int] = Field({}, description="file size by day published")
    seconds: float = 0

    @property
    def failed_days(self) -> Days:
        """All days that failed, whatever the reason."""
        return Days.of(day for failure in self.failed for day in failure.days)

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom."""
        return self.model_dump(mode="json")

    def summary(self) -> str:
        """What was published, in a few words."""
        rows, size = sum(self.rows.values()), sum(self.bytes.values()) / 1e6
        return f"{len(self.published)} partitions, {rows:,} rows, {size:,.1f} MB in {self.seconds:.1f} s"

    def raise_failures(self) -> None:
        """Raise what went wrong, if anything: ``OperatorError`` if trying again may help, else ``QueryError``."""
        if not self.failed:
            return
        first = next((failure for failure in self.failed if failure.transient), self.failed[0])
        more = f" (and {len(self.failed_days - first.days)} more days failed)" if self.failed_days - first.days else ""
        kind = OperatorError if first.transient else QueryError
        raise kind(f"{first.days} kept the published files: {first.error}{more}")

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            published=self.published | other.published,
            failed=self.failed + other.failed,
            rows=self.rows | other.rows,
            bytes=self.bytes | other.bytes,
            seconds=round(self.seconds + other.seconds, 3),
        )


class Record(BaseModel):
    """One accepted request for one table. Instances are values; progress makes a new one."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="ignore")

    id: str
    mode: Mode
    table: str
    days: DaysField = Field(description="the days asked for")
    accepted_at: AwareDatetime
    file: str | None = Field(None, description="name of the dropped file")
    dropped: dict[str, Any] | None = Field(None, description="the request as it was dropped")
    reason: str | None = None
    requested_by: str | None = None
    published: DaysField = Days()
    failed: tuple[Failure, ...] = ()
    rows: int = 0
    bytes: int = 0
    seconds: float = Field(0, description="time spent rewriting, in all batches that held days of this request")
    runs: tuple[str, ...] = ()
    finished_at: AwareDatetime | None = None

    @property
    def outstanding(self) -> Days:
        """The days asked for that are neither published nor given up."""
        return self.days - self.published - Days.of(day for failure in self.failed for day in failure.days)

    def after(self, outcome: Outcome, *, run: str, now: datetime) -> Self:
        """The record after a run that came to ``outcome``, which may hold more days than this record asks for.

        A day that failed before and was published now no longer counts as failed.
        """
        unpublished = self.days - self.published
        published = outcome.published & unpublished
        tried = published | (outcome.failed_days & unpublished)
        if not tried:
            return self if self.outstanding or self.finished_at else self.model_copy(update={"finished_at": now})
        failed = (*_minus(self.failed, tried), *_minus(outcome.failed, outcome.failed_days - unpublished))
        record = self.model_copy(
            update={
                "published": self.published | published,
                "failed": failed,
                "rows": self.rows + sum(outcome.rows.get(str(day), 0) for day in published),
                "bytes": self.bytes + sum(outcome.bytes.get(str(day), 0) for day in published),
                "seconds": round(self.seconds + outcome.seconds, 3),
                "runs": self.runs if run in self.runs else (*self.runs, run),
            }
        )
        return record.model_copy(update={"finished_at": None if record.outstanding else now})

    def progress(self) -> str:
        """Where the request stands, in a few words."""
        failed = sum(len(failure.days) for failure in self.failed)
        state = f"has {len(self.outstanding)} days left" if self.outstanding else "failed" if failed else "is done"
        return f"{self.id} {state}: {len(self.published)} of {len(self.days)} days published, {failed} failed"

    def to_json(self) -> str:
        """The content of the record's file."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def fault(error: ValidationError) -> str:
    """What is wrong with a file that should hold a record, in a few words."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "its content"
    return f"{cut(where)}: {one_line(first['msg']).removeprefix('Value error, ')}"


def _minus(failures: tuple[Failure, ...], days: Days) -> tuple[Failure, ...]:
    rest = (failure.model_copy(update={"days": failure.days - days}) for failure in failures)
    return tuple(failure for failure in rest if failure.days)


def new_record(request: ReloadRequest, table: str, *, mode: Mode, origin: str, now: datetime, **more: object) -> Record:
    """The record of ``request`` for one of its tables.

    ``origin`` identifies the act of asking (this file dropped at that moment, this run, this event): the id is derived
    from it, so that taking the same act twice after a crash makes the same record and not a second one.
    """
    label = re.sub(r"[^a-z0-9]+", "-", str(more.get("file") or mode).removesuffix(".json").lower()).strip("-")[:40]
    digest = sha256(f"{origin}\0{table}".encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return Record(
        id=f"{label or mode}-{table}-{digest}",
        mode=mode,
        table=table,
        days=request.days,
        accepted_at=now,
        reason=request.reason,
        requested_by=request.requested_by,
        **more,
    )


def asked_again(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request in a record's file that was put back into the drop folder; None where ``fields`` is no record.

    A done record asks for all of its days again, a failed one for those that were not published: that finishes it.
    """
    if not {"id", "mode", "accepted_at", "days"} <= fields.keys():
        return None
    record = Record.model_validate(fields)
    wanted = record.days - record.published if record.failed else record.days
    if not wanted:
        raise RequestError("the record asks for no days; write a request with a start_date")
    first, last = wanted.ranges[0].first, wanted.ranges[-1].last
    excluded = [str(day) for day in Days.between(first, last) - wanted]
    request = {"table": record.table, "start_date": str(first), "end_date": str(last), "exclude_dates": excluded}
    return request | {name: fields[name] for name in ("reason", "requested_by") if name in fields}
