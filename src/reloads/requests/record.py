"""The record of an accepted request: what was asked for, frozen, and how far it has come.

A file holding requests becomes one record for each request and table, because each table is rewritten by a DAG of its
own: no two writers ever share a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from reloads.days import Days
from reloads.errors import RequestError, one_line, shorten
from reloads.outcome import CheckResult, DaysField, Failure, FrozenModel, Outcome, Reason
from reloads.requests.request import Only, ReloadRequest

Mode = Literal["daily", "landing", "manual", "event", "command", "cascade", "schema", "undo"]


class Cause(FrozenModel):
    """What a cascade comes from: days of an input that were published, and who had asked for them."""

    table: str
    days: DaysField
    requests: tuple[str, ...] = ()


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
    keys: dict[str, tuple[str, ...]] = Field({}, description="the values asked for; empty: all")
    only: Only = "all"
    cascade: bool = True
    parameters: dict[str, Any] = {}
    cause: Cause | None = Field(None, description="what a cascade comes from")
    planned: tuple[Reason, ...] = Field((), description="days that were to be rewritten, and why")
    skipped: tuple[Reason, ...] = Field((), description="days that were not to be rewritten, and why")
    published: DaysField = Days()
    unchanged: DaysField = Field(Days(), description="rewritten to what was published already")
    cancelled: DaysField = Field(Days(), description="given up by whoever asked")
    failed: tuple[Failure, ...] = ()
    rows: int = Field(0, description="rows of the days published or unchanged")
    rows_before: int = Field(0, description="rows that these days had before")
    bytes: int = 0
    seconds: float = Field(0, description="time spent rewriting, in all batches that held days of this request")
    checks: tuple[CheckResult, ...] = ()
    children: tuple[str, ...] = Field((), description="requests for the tables that read this one, made for it")
    runs: tuple[str, ...] = ()
    finished_at: AwareDatetime | None = None

    @property
    def outstanding(self) -> Days:
        """The days asked for that came to no end yet."""
        return self.days - self.fulfilled - self.skipped_days - self.failed_days - self.cancelled

    @property
    def is_follow_up(self) -> bool:
        """Whether no person asked: it follows from a change of an input, or of the table's columns."""
        return self.mode in ("cascade", "schema")

    @property
    def fulfilled(self) -> Days:
        """The days whose partitions hold what was asked for."""
        return self.published | self.unchanged

    @property
    def failed_days(self) -> Days:
        """The days that could not be rewritten."""
        return _all(self.failed)

    @property
    def skipped_days(self) -> Days:
        """The days that needed no rewriting."""
        return _all(self.skipped)

    def with_plan(self, *, planned: Mapping[str, Days], skipped: Mapping[str, Days], now: datetime) -> Self:
        """The record after a plan looked at its days: why each is to be rewritten, or need not be."""
        todo, done = _merged(self.planned, planned), _merged(self.skipped, skipped)
        if (todo, done) == (self.planned, self.skipped):
            return self
        record = self.model_copy(update={"planned": _minus(todo, _all(done)), "skipped": done})
        return record.model_copy(update={"finished_at": None if record.outstanding else now})

    def with_outcome(self, outcome: Outcome, *, run: str, now: datetime) -> Self:
        """The record after a run that came to ``outcome``, which may hold more days than this record asks for.

        A day that failed before and was published now no longer counts as failed.
        """
        open_days = self.days - self.fulfilled - self.skipped_days
        done = outcome.fulfilled & open_days
        # That a day which was given up kept its file is no failure.
        refused = (outcome.failed_days & open_days) - self.cancelled
        tried = done | refused | (outcome.cancelled & open_days)
        if not tried:
            return self if self.outstanding or self.finished_at else self.model_copy(update={"finished_at": now})
        failed = (*_minus(self.failed, tried), *_minus(outcome.failed, outcome.failed_days - refused))
        record = self.model_copy(
            update={
                "published": self.published | (outcome.published & open_days),
                "unchanged": self.unchanged | (outcome.unchanged & open_days),
                "cancelled": (self.cancelled | (outcome.cancelled & open_days)) - done - refused,
                "failed": failed,
                "rows": self.rows + _count(outcome.rows, done),
                "rows_before": self.rows_before + _count(outcome.rows_before, done),
                "bytes": self.bytes + _count(outcome.bytes, done),
                "seconds": round(self.seconds + outcome.seconds, 3),
                "checks": (*_minus(self.checks, tried), *(check for check in outcome.checks if check.days & tried)),
                "runs": self.runs if run in self.runs else (*self.runs, run),
            }
        )
        return record.model_copy(update={"finished_at": None if record.outstanding else now})

    def cancel(self, *, now: datetime) -> Self:
        """The record with every outstanding day given up."""
        return self.model_copy(update={"cancelled": self.cancelled | self.outstanding, "finished_at": now})

    def progress(self) -> str:
        """Where the request stands, in a few words."""
        failed, skipped = len(self.failed_days), len(self.skipped_days)
        state = f"has {len(self.outstanding)} days left" if self.outstanding else "failed" if failed else "is done"
        text = f"{self.id} {state}: {len(self.published)} of {len(self.days)} days published, {failed} failed"
        counts = {"unchanged": len(self.unchanged), "skipped": skipped, "cancelled": len(self.cancelled)}
        return ", ".join([text, *(f"{count} {name}" for name, count in counts.items() if count)])

    def to_json(self) -> str:
        """The content of the record's file."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def describe_fault(error: ValidationError) -> str:
    """What is wrong with a file that should hold a record, in a few words."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "its content"
    return f"{shorten(where)}: {one_line(first['msg']).removeprefix('Value error, ')}"


Part = TypeVar("Part", Failure, Reason, CheckResult)


def _minus(parts: tuple[Part, ...], days: Days) -> tuple[Part, ...]:
    rest = (part.model_copy(update={"days": part.days - days}) for part in parts)
    return tuple(part for part in rest if part.days)


def _all(parts: tuple[Failure, ...] | tuple[Reason, ...]) -> Days:
    return Days.union(part.days for part in parts)


def _merged(reasons: tuple[Reason, ...], more: Mapping[str, Days]) -> tuple[Reason, ...]:
    """One reason for each sentence; a day keeps the newest."""
    new = Days.union(more.values())
    by_why = {reason.why: reason.days for reason in _minus(reasons, new)}
    for why, days in more.items():
        by_why[why] = by_why.get(why, Days()) | days
    return tuple(Reason(days=days, why=why) for why, days in by_why.items() if days)


def _count(by_day: Mapping[str, int], days: Days) -> int:
    return sum(by_day.get(str(day), 0) for day in days)


COPIED_FIELDS = ("reason", "requested_by", "keys", "only", "cascade", "parameters")
"""What a record takes over from its request as it is."""


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
        **{name: getattr(request, name) for name in COPIED_FIELDS},
        **more,
    )


def request_from_record(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request in a record's file that was put back into the drop folder; None where ``fields`` is no record.

    A done record asks for all of its days again, a failed or cancelled one for those that it did not come to. Raises
    ``RequestError`` for one of an undo, which no reload repeats.
    """
    if not {"id", "mode", "accepted_at", "days"} <= fields.keys():
        return None
    record = Record.model_validate(fields)
    if record.mode == "undo":
        raise RequestError(f"the record is of an undo ({record.reason}); undo again with: reloads undo ID")
    wanted = record.days - record.fulfilled - record.skipped_days if record.failed or record.cancelled else record.days
    if not wanted:
        raise RequestError("the record asks for no days; write a request with a start_date")
    first, last = wanted.ranges[0].first, wanted.ranges[-1].last
    excluded = [str(day) for day in Days.between(first, last) - wanted]
    request = {"table": record.table, "start_date": str(first), "end_date": str(last), "exclude_dates": excluded}
    carried = {name: fields[name] for name in COPIED_FIELDS if name in fields}
    if record.is_follow_up:
        # They choose among their days by what changed at the time; whoever asks again means these days.
        carried.pop("only", None)
    return request | carried
