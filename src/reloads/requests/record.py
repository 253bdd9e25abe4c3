"""The record of an accepted request: what was asked for, frozen, and how far it has come.

A file holding requests becomes one record for each request and table, because each table is rewritten by a DAG of its
own, whose runs settle its own records.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, FailFast, Field, ValidationError

from reloads.days import Days
from reloads.errors import rule_of, shorten
from reloads.outcome import (
    CheckResult,
    DaysField,
    Failure,
    FrozenModel,
    Handiwork,
    Outcome,
    Part,
    Reason,
    keep_days,
    sum_counts,
)
from reloads.progress import Step
from reloads.requests.request import Only

Item = TypeVar("Item")
List = Annotated[tuple[Item, ...], FailFast()]
"""Only the first fault is told. To describe each of the 300,000 that a file can hold would take 300 MB."""

Mode = Literal["daily", "landing", "manual", "event", "command", "arrival", "cascade", "schema", "undo"]


class Cause(FrozenModel):
    """The origin of a cascade: days of an input that were published, and the requests that they were published for."""

    table: str
    days: DaysField
    requests: List[str] = ()


class Progress(FrozenModel):
    """How far the batches have come that rewrite days of a request now, added up."""

    days: int = Field(description="days of it that they rewrite")
    staged: int = Field(description="those of these days whose files are written, and that no run has settled")
    rows: int = Field(description="rows written so far")
    step: Step = Field(description="what the batch that is least far does")
    percent: int | None = Field(None, description="how much of its query that batch has read, where that is known")
    run: str
    at: AwareDatetime


class Record(BaseModel):
    """One accepted request for one table. Instances are values; progress makes a new one."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="ignore")

    id: str
    mode: Mode
    table: str
    days: DaysField = Field(description="the days asked for")
    accepted_at: AwareDatetime
    file: str | None = Field(None, description="name of the dropped file")
    drop: str | None = Field(None, description="tells the act of dropping that file from all others")
    dropped: dict[str, Any] | None = Field(None, description="the request as it was dropped")
    reason: str | None = None
    requested_by: str | None = None
    keys: dict[str, tuple[str, ...]] = Field({}, description="the values asked for; empty: all")
    only: Only = "all"
    cascade: bool = True
    parameters: dict[str, Any] = {}
    keep_parameters: bool = Field(False, description="each partition keeps the parameters that it was written with")
    cause: Cause | None = Field(None, description="the origin of a cascade")
    planned: List[Reason] = Field((), description="days that were to be rewritten, and why")
    skipped: List[Reason] = Field((), description="days that were not to be rewritten, and why")
    waiting: List[Reason] = Field((), description="days whose raw files are not there, and which")
    published: DaysField = Days()
    unchanged: DaysField = Field(Days(), description="rewritten to what was published already")
    cancelled: DaysField = Field(Days(), description="given up by whoever asked")
    failed: List[Failure] = ()
    rows: int = Field(0, description="rows of the days published or unchanged")
    rows_before: int = Field(0, description="rows that these days had before")
    bytes: int = 0
    seconds: float = Field(0, description="time spent by the batches that served it, for other requests too")
    checks: List[CheckResult] = ()
    children: List[str] = Field((), description="requests that follow from it: of downstream tables, and undos")
    runs: List[str] = Field((), description="runs that ended some of its days")
    workers: List[Handiwork] = Field(
        (), description="which machine rewrote which days; none where a run had one batch only"
    )
    finished_at: AwareDatetime | None = None
    progress: Progress | None = Field(
        None, exclude=True, description="how far the batches at work have come; not written into the record's file"
    )

    @property
    def outstanding(self) -> Days:
        """The days asked for that came to no end yet."""
        return self.days - self.fulfilled - self.skipped_days - self.failed_days - self.cancelled

    @property
    def is_follow_up(self) -> bool:
        """Whether no person asked: it follows from a change of an input, of a raw file, or of the table's columns."""
        return self.mode in ("arrival", "cascade", "schema")

    @property
    def keeps_parameters(self) -> bool:
        """Whether each partition keeps the parameters that it was written with."""
        return self.keep_parameters or self.is_follow_up

    @property
    def fulfilled(self) -> Days:
        """The days whose partitions hold what was asked for."""
        return self.published | self.unchanged

    @property
    def failed_days(self) -> Days:
        """The days that could not be rewritten."""
        return _union_days(self.failed)

    @property
    def refused_days(self) -> Days:
        """Those of the failed days that a check refused."""
        return self.failed_days & Days.union(check.days for check in self.checks if check.severity == "error")

    @property
    def skipped_days(self) -> Days:
        """The days that needed no rewriting."""
        return _union_days(self.skipped)

    @property
    def waiting_days(self) -> Days:
        """The days whose raw files were not there when a plan looked."""
        return _union_days(self.waiting)

    def with_plan(
        self,
        *,
        planned: Mapping[str, Days],
        skipped: Mapping[str, Days],
        waiting: Mapping[str, Days] | None = None,
        now: datetime,
    ) -> Self:
        """The record after a plan looked at its days: why each is to be rewritten, need not be, or cannot be yet."""
        waiting = waiting or {}
        looked_at = Days.union([*planned.values(), *skipped.values()])
        planned_reasons = _merge_reasons(self.planned, planned)
        skipped_reasons = _merge_reasons(self.skipped, skipped)
        waiting_reasons = _subtract_days(_merge_reasons(self.waiting, waiting), looked_at)
        if (planned_reasons, skipped_reasons, waiting_reasons) == (self.planned, self.skipped, self.waiting):
            return self
        planned_reasons = _subtract_days(planned_reasons, _union_days(skipped_reasons) | Days.union(waiting.values()))
        record = self.model_copy(
            update={"planned": planned_reasons, "skipped": skipped_reasons, "waiting": waiting_reasons}
        )
        return record.model_copy(update={"finished_at": None if record.outstanding else now})

    def with_outcome(self, outcome: Outcome, *, run: str, now: datetime) -> Self:
        """The record after a run; ``outcome`` is what came of that which was planned for this record.

        A day that failed before and was published now no longer counts as failed.
        """
        open_days = self.days - self.fulfilled - self.skipped_days
        fulfilled = outcome.fulfilled & open_days
        # A day that was given up keeps its file, which is what was wanted and not a failure.
        failed_days = (outcome.failed_days & open_days) - self.cancelled
        cancelled = outcome.cancelled & open_days
        ended = fulfilled | failed_days | cancelled
        awaited = _find_awaited(outcome, open_days - ended)
        if not ended and not awaited:
            return self if self.outstanding or self.finished_at else self.model_copy(update={"finished_at": now})
        failures = keep_days(outcome.failed, failed_days)
        record = self.model_copy(
            update={
                "published": self.published | (outcome.published & open_days),
                "unchanged": self.unchanged | (outcome.unchanged & open_days),
                "cancelled": (self.cancelled | cancelled) - fulfilled - failed_days,
                "failed": (*_subtract_days(self.failed, ended), *failures),
                "waiting": (*_subtract_days(self.waiting, ended | _union_days(awaited)), *awaited),
                "rows": self.rows + sum_counts(outcome.rows, fulfilled),
                "rows_before": self.rows_before + sum_counts(outcome.rows_before, fulfilled),
                "bytes": self.bytes + sum_counts(outcome.bytes, fulfilled),
                "seconds": round(self.seconds + outcome.seconds, 3),
                "checks": (*_subtract_days(self.checks, ended), *keep_days(outcome.checks, ended)),
                "runs": self.runs if run in self.runs else (*self.runs, run),
                "workers": _merge_workers(
                    (*_subtract_days(self.workers, ended), *keep_days(outcome.workers, fulfilled))
                ),
            }
        )
        return record.model_copy(update={"finished_at": None if record.outstanding else now})

    def cancel(self, *, now: datetime) -> Self:
        """The record with every outstanding day given up."""
        cancelled = self.cancelled | self.outstanding
        return self.model_copy(update={"cancelled": cancelled, "waiting": (), "finished_at": now})

    def describe_progress(self) -> str:
        """Where the request stands, in a few words."""
        state = "failed" if self.failed else "is done"
        if self.outstanding:
            state = f"has {len(self.outstanding)} days left"
        text = f"{self.id} {state}: {len(self.published)} of {len(self.days)} days published"
        text += f", {len(self.failed_days)} failed"
        for name, days in (
            ("unchanged", self.unchanged),
            ("skipped", self.skipped_days),
            ("cancelled", self.cancelled),
            ("waiting for raw files", self.waiting_days),
        ):
            if days:
                text += f", {len(days)} {name}"
        return text

    def to_json(self) -> str:
        """The content of the record's file."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def describe_fault(error: ValidationError) -> str:
    """What is wrong with a file that should hold a record, in a few words."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "its content"
    return f"{shorten(where)}: {rule_of(first['msg'])}"


def _find_awaited(outcome: Outcome, days: Days) -> tuple[Reason, ...]:
    """Which of these days wait for raw files since the run, and for which."""
    reasons: list[Reason] = []
    for postponement in keep_days(outcome.postponed, days):
        if postponement.is_for_files:
            reasons.append(Reason(days=postponement.days, why=postponement.why))
    return tuple(reasons)


def _subtract_days(parts: tuple[Part, ...], days: Days) -> tuple[Part, ...]:
    """The parts without these days; a part that has no other days is dropped."""
    return keep_days(parts, Days.union(part.days for part in parts) - days)


def _union_days(parts: tuple[Failure, ...] | tuple[Reason, ...]) -> Days:
    return Days.union(part.days for part in parts)


def _merge_workers(parts: tuple[Handiwork, ...]) -> tuple[Handiwork, ...]:
    """Each machine once, with all the days that it rewrote."""
    days_by_worker: dict[str, Days] = {}
    for part in parts:
        days_by_worker[part.worker] = days_by_worker.get(part.worker, Days()) | part.days
    return tuple(Handiwork(days=days, worker=worker) for worker, days in days_by_worker.items())


def _merge_reasons(reasons: tuple[Reason, ...], new_days: Mapping[str, Days]) -> tuple[Reason, ...]:
    """The reasons and the new ones, each sentence once; a day that has a new reason loses its old one."""
    days_by_reason: dict[str, Days] = {}
    for reason in _subtract_days(reasons, Days.union(new_days.values())):
        days_by_reason[reason.why] = reason.days
    for why, days in new_days.items():
        days_by_reason[why] = days_by_reason.get(why, Days()) | days
    return tuple(Reason(days=days, why=why) for why, days in days_by_reason.items() if days)
