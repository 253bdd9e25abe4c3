"""What became of the days of a batch, or of a request: published, unchanged, failed, and what the checks said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from reloads.days import Days
from reloads.errors import OperatorError, QueryError, RequestError


def _parse_days(value: object) -> object:
    if isinstance(value, Days):
        return value
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError("it is not a list of days")
    try:
        return Days.parse(value)
    except RequestError as error:
        raise ValueError(str(error)) from error


DaysField = Annotated[Days, BeforeValidator(_parse_days), PlainSerializer(Days.texts, when_used="json")]


class FrozenModel(BaseModel):
    """What a record is made of: never changed, only replaced."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)


class Failure(FrozenModel):
    """Days that could not be rewritten, and the one reason they share."""

    days: DaysField
    error: str
    transient: bool = Field(False, description="the environment failed, not the query: trying again may help")
    superseded: bool = Field(False, description="another run published these days meanwhile")


class Reason(FrozenModel):
    """Days that share a reason: why they are planned, or why not."""

    days: DaysField
    why: str


class Handiwork(FrozenModel):
    """Days, and the machine that rewrote them."""

    days: DaysField
    worker: str = Field(description="name of the machine, as Airflow has it")


class Postponement(Reason):
    """Days that a batch did not begin, and why; they are still to be done."""

    is_for_files: bool = Field(False, description="they wait for raw files, which nobody has to mend")


class CheckResult(FrozenModel):
    """Days whose new rows broke a check, and the values that the check reported for the first of these days."""

    check: str
    severity: Literal["error", "warn"]
    days: DaysField
    rows: int = Field(description="violations on all these days")
    found: str | None = Field(None, description="the value that the check objects to")
    expected: str | None = Field(None, description="the value that it expects")

    def sentence(self) -> str:
        """What is wrong, for whoever asked."""
        verdict = "1 violation" if self.rows == 1 else f"{self.rows:,} violations"
        if self.found is not None:
            verdict += f", found {self.found}"
        if self.expected is not None:
            verdict += f", expected {self.expected}"
        return f"the check {self.check} of {self.days} says: {verdict}"


TOLD_SECONDS = 0.1
"""What a step took is told from here on."""

Part = TypeVar("Part", Failure, Reason, Postponement, CheckResult, Handiwork)


def keep_days(parts: tuple[Part, ...], days: Days) -> tuple[Part, ...]:
    """What the parts say of these days; a part that says nothing of them is dropped."""
    kept: list[Part] = []
    for part in parts:
        days_kept = part.days & days
        if days_kept:
            kept.append(part if days_kept == part.days else part.model_copy(update={"days": days_kept}))
    return tuple(kept)


class Outcome(FrozenModel):
    """The result of one batch, or of several batches together."""

    published: DaysField = Days()
    unchanged: DaysField = Field(Days(), description="rewritten to what is published already, so not published")
    failed: tuple[Failure, ...] = ()
    cancelled: DaysField = Field(Days(), description="not begun, because nobody wants them any more")
    postponed: tuple[Postponement, ...] = Field(
        (), description="not begun, and still to be done: a table is broken, or raw files are not there"
    )
    rows: dict[str, int] = Field({}, description="rows by day published or unchanged")
    rows_before: dict[str, int] = Field({}, description="rows that the published files had, by day")
    bytes: dict[str, int] = Field({}, description="file size by day published or unchanged")
    checks: tuple[CheckResult, ...] = ()
    seconds: float = Field(0, description="time spent rewriting; of several batches the sum, though they ran at once")
    seconds_by_step: dict[str, float] = Field({}, description="the same, by what it did")
    batch: int | None = Field(None, description="number of the batch in its run")
    workers: tuple[Handiwork, ...] = Field((), description="which machine rewrote which days, where it was a task")

    @property
    def failed_days(self) -> Days:
        """All days that failed, whatever the reason."""
        return Days.union(failure.days for failure in self.failed)

    @property
    def fulfilled(self) -> Days:
        """The days whose partitions hold what the query gives now."""
        return self.published | self.unchanged

    @property
    def postponed_days(self) -> Days:
        """All days that wait for a table folder to be mended, or for raw files."""
        return Days.union(reason.days for reason in self.postponed)

    @property
    def days(self) -> Days:
        """The days of which it says what became of them."""
        return Days.union((self.fulfilled, self.failed_days, self.cancelled, self.postponed_days))

    def of_days(self, days: Days) -> Outcome:
        """What it says of these days; the seconds stay those of the whole batch."""
        return self.model_copy(
            update={
                "published": self.published & days,
                "unchanged": self.unchanged & days,
                "failed": keep_days(self.failed, days),
                "cancelled": self.cancelled & days,
                "postponed": keep_days(self.postponed, days),
                "rows": _keep_counts(self.rows, days),
                "rows_before": _keep_counts(self.rows_before, days),
                "bytes": _keep_counts(self.bytes, days),
                "checks": keep_days(self.checks, days),
                "workers": keep_days(self.workers, days),
            }
        )

    def rewritten_by(self, worker: str) -> Outcome:
        """The outcome with the machine that published its days, or found them unchanged."""
        workers = (Handiwork(days=self.fulfilled, worker=worker),) if self.fulfilled else ()
        return self.model_copy(update={"workers": workers})

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def summary(self) -> str:
        """What was published, in a few words."""
        rows = sum_counts(self.rows, self.published)
        size = sum_counts(self.bytes, self.published) / 1e6
        text = f"{len(self.published)} partitions, {rows:,} rows, {size:,.1f} MB in {self.seconds:.1f} s"
        steps = [f"{step} {seconds:.1f}" for step, seconds in self.seconds_by_step.items() if seconds >= TOLD_SECONDS]
        text += f" ({', '.join(steps)})" if steps else ""
        return f"{text}; {len(self.unchanged)} were unchanged" if self.unchanged else text

    def raise_failures(self) -> None:
        """Raise what went wrong, if anything: ``OperatorError`` if trying again may help, else ``QueryError``."""
        # A file that is not there is nothing to mend here, and looked for by others.
        blocked = [reason for reason in self.postponed if not reason.is_for_files]
        if blocked:
            first_reason = blocked[0]
            raise OperatorError(f"{first_reason.days} wait: {first_reason.why}")
        if not self.failed:
            return
        first = next((failure for failure in self.failed if failure.transient), self.failed[0])
        sentence = f"{first.days} kept the published files: {first.error}"
        if other_days := self.failed_days - first.days:
            sentence += f" (and {len(other_days)} more days failed)"
        kind = OperatorError if first.transient else QueryError
        raise kind(sentence)

    def __add__(self, other: Outcome) -> Outcome:
        """The two outcomes as one: a day is published if either published it, unless it failed or was cancelled."""
        failed = (*self.failed, *other.failed)
        cancelled = self.cancelled | other.cancelled
        # Parts of one day: if one of them failed or was not begun, the day is not what was asked for.
        postponed = (*self.postponed, *other.postponed)
        incomplete = Days.union([cancelled, *(part.days for part in failed), *(part.days for part in postponed)])
        published = (self.published | other.published) - incomplete
        return Outcome(
            published=published,
            unchanged=(self.unchanged | other.unchanged) - published - incomplete,
            failed=failed,
            cancelled=cancelled,
            postponed=postponed,
            rows=_add_counts(self.rows, other.rows),
            rows_before=_add_counts(self.rows_before, other.rows_before),
            bytes=_add_counts(self.bytes, other.bytes),
            checks=(*self.checks, *other.checks),
            workers=(*self.workers, *other.workers),
            seconds=round(self.seconds + other.seconds, 3),
            seconds_by_step=_add_seconds(self.seconds_by_step, other.seconds_by_step),
        )


def sum_counts(count_by_day: Mapping[str, int], days: Days) -> int:
    """The sum over these days of what is counted by day."""
    return sum(count_by_day.get(str(day), 0) for day in days)


def _add_seconds(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {step: round(one.get(step, 0) + other.get(step, 0), 3) for step in (*one, *other)}


def _keep_counts(count_by_day: Mapping[str, int], days: Days) -> dict[str, int]:
    kept: dict[str, int] = {}
    for day in map(str, days):
        if day in count_by_day:
            kept[day] = count_by_day[day]
    return kept


def _add_counts(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """The counts by day; two batches hold the same day where its keys are cut into parts."""
    counts = dict(left)
    for day, count in right.items():
        counts[day] = counts.get(day, 0) + count
    return counts
