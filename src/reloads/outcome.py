"""What became of the days of a batch, or of a request: published, unchanged, failed, and what the checks said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from reloads.days import Days
from reloads.errors import OperatorError, QueryError, RequestError


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


class FrozenModel(BaseModel):
    """What a record is made of: never changed, only replaced."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)


class Failure(FrozenModel):
    """Days that could not be rewritten, and the one reason they share."""

    days: DaysField
    error: str
    transient: bool = Field(False, description="the environment failed, not the query: trying again may help")


class Reason(FrozenModel):
    """Days that share a reason: why they are planned, or why not."""

    days: DaysField
    why: str


class CheckResult(FrozenModel):
    """Days whose new rows broke a check, with what it found on the first of them."""

    check: str
    severity: Literal["error", "warn"]
    days: DaysField
    rows: int = Field(description="violations on all these days")
    found: str | None = None
    expected: str | None = None

    def sentence(self) -> str:
        """What is wrong, for whoever asked."""
        what = "1 violation" if self.rows == 1 else f"{self.rows:,} violations"
        if self.found is not None:
            what += f", found {self.found}"
        if self.expected is not None:
            what += f", expected {self.expected}"
        return f"the check {self.check} of {self.days} says: {what}"


class Outcome(FrozenModel):
    """What one batch, or all batches of a run, came to."""

    published: DaysField = Days()
    unchanged: DaysField = Field(Days(), description="rewritten to what is published already, so not published")
    failed: tuple[Failure, ...] = ()
    cancelled: DaysField = Field(Days(), description="not begun, because nobody wants them any more")
    rows: dict[str, int] = Field({}, description="rows by day published or unchanged")
    rows_before: dict[str, int] = Field({}, description="rows that the published files had, by day")
    bytes: dict[str, int] = Field({}, description="file size by day published or unchanged")
    checks: tuple[CheckResult, ...] = ()
    seconds: float = 0
    batch: int | None = Field(None, description="number of the batch in its run")

    @property
    def failed_days(self) -> Days:
        """All days that failed, whatever the reason."""
        return Days.of(day for failure in self.failed for day in failure.days)

    @property
    def fulfilled(self) -> Days:
        """The days whose partitions hold what the query gives now."""
        return self.published | self.unchanged

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def summary(self) -> str:
        """What was published, in a few words."""
        rows = sum(self.rows.get(str(day), 0) for day in self.published)
        size = sum(self.bytes.get(str(day), 0) for day in self.published) / 1e6
        text = f"{len(self.published)} partitions, {rows:,} rows, {size:,.1f} MB in {self.seconds:.1f} s"
        return f"{text}; {len(self.unchanged)} were unchanged" if self.unchanged else text

    def raise_failures(self) -> None:
        """Raise what went wrong, if anything: ``OperatorError`` if trying again may help, else ``QueryError``."""
        if not self.failed:
            return
        first = next((failure for failure in self.failed if failure.transient), self.failed[0])
        more = f" (and {len(self.failed_days - first.days)} more days failed)" if self.failed_days - first.days else ""
        kind = OperatorError if first.transient else QueryError
        raise kind(f"{first.days} kept the published files: {first.error}{more}")

    def __add__(self, other: Outcome) -> Outcome:
        """Both together; a day is published if one of them did, and failed or cancelled whatever the other says."""
        failed = (*self.failed, *other.failed)
        cancelled = self.cancelled | other.cancelled
        spoilt = cancelled | Days.of(day for failure in failed for day in failure.days)
        published = (self.published | other.published) - spoilt
        return Outcome(
            published=published,
            unchanged=(self.unchanged | other.unchanged) - published - spoilt,
            failed=failed,
            cancelled=cancelled,
            rows=_sum(self.rows, other.rows),
            rows_before=_sum(self.rows_before, other.rows_before),
            bytes=_sum(self.bytes, other.bytes),
            checks=(*self.checks, *other.checks),
            seconds=round(self.seconds + other.seconds, 3),
        )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """By day; two batches hold the same day where the keys of a table are cut into slices."""
    return {**one, **{day: one.get(day, 0) + count for day, count in other.items()}}
