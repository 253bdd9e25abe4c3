"""How what went wrong with days of a batch becomes its outcome."""

from __future__ import annotations

from datetime import date

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.outcome import Failure, Outcome
from reloads.warehouse.publication import Published


def tell_kept(published: Published) -> tuple[Failure, ...]:
    """The failures of the days of which partitions kept their files."""
    failures: list[Failure] = []
    for name, sentence in published.kept.items():
        # Also by another try of this batch, which may have read its inputs earlier and been taken for dead since.
        is_superseded = name in published.superseded
        failures.append(Failure(days=Days.of([name.day]), error=sentence, transient=True, superseded=is_superseded))
    return tuple(failures)


def fail_day(day: date, error: Exception) -> Outcome:
    """The outcome of a day that failed with this error."""
    return fail(Days.of([day]), error)


def fail(days: Days, error: Exception) -> Outcome:
    """The outcome of days that all failed with this error."""
    import duckdb

    # A source that cannot be read now may be there in a minute; a query that is wrong stays wrong.
    transient = isinstance(error, OperatorError) or isinstance(error.__cause__, duckdb.IOException)
    return Outcome(failed=(Failure(days=days, error=str(error), transient=transient),))


def merge_failures(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """One failure for each message, with all its days."""
    merged: dict[tuple[str, bool], Failure] = {}
    for failure in failures:
        key = (failure.error, failure.transient)
        days = merged[key].days | failure.days if key in merged else failure.days
        merged[key] = failure.model_copy(update={"days": days})
    return tuple(merged.values())
