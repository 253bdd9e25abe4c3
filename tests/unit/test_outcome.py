"""Outcomes: two of them add up day by day, and what went wrong is raised by who can mend it."""

from __future__ import annotations

import json
from datetime import date

import pytest
from pydantic import ValidationError

from reloads.days import Days
from reloads.errors import OperatorError, QueryError
from reloads.outcome import CheckResult, Failure, Handiwork, Outcome, Postponement, sum_counts

WEEK = Days.between(date(2024, 6, 1), date(2024, 6, 7))


def days(*texts: str) -> Days:
    return Days.parse(texts)


def failure(*texts: str, error: str = "bad row") -> Failure:
    return Failure(days=days(*texts), error=error)


# two outcomes as one


def test_outcomes_of_different_days_add_up() -> None:
    first = Outcome(published=days("2024-06-01"), rows={"2024-06-01": 2}, bytes={"2024-06-01": 20}, seconds=1.25)
    second = Outcome(unchanged=days("2024-06-02"), rows={"2024-06-02": 3}, seconds=2)
    total = first + second
    assert (total.published, total.unchanged) == (days("2024-06-01"), days("2024-06-02"))
    assert (total.rows, total.bytes) == ({"2024-06-01": 2, "2024-06-02": 3}, {"2024-06-01": 20})
    assert total.seconds == 3.25


def test_slices_of_one_day_add_up_their_rows() -> None:
    first = Outcome(published=days("2024-06-01"), rows={"2024-06-01": 2})
    second = Outcome(unchanged=days("2024-06-01"), rows={"2024-06-01": 3})
    total = first + second
    assert (total.published, total.unchanged) == (days("2024-06-01"), Days()), "one slice was published"
    assert total.rows == {"2024-06-01": 5}


@pytest.mark.parametrize(
    "spoiling",
    [Outcome(failed=(failure("2024-06-01"),)), Outcome(cancelled=days("2024-06-01"))],
    ids=["failed", "cancelled"],
)
def test_a_day_of_which_a_slice_is_missing_is_not_published(spoiling: Outcome) -> None:
    good = Outcome(published=days("2024-06-01..2024-06-02"))
    for total in (good + spoiling, spoiling + good):
        assert total.published == days("2024-06-02")
        assert total.failed_days | total.cancelled == days("2024-06-01")


def test_of_some_days_it_says_what_it_says_of_them() -> None:
    check = CheckResult(check="few", severity="warn", days=days("2024-06-02..2024-06-03"), rows=4)
    outcome = Outcome(
        published=days("2024-06-01..2024-06-02"),
        unchanged=days("2024-06-03"),
        failed=(failure("2024-06-04..2024-06-05"), failure("2024-06-07", error="other")),
        cancelled=days("2024-06-06"),
        postponed=(Postponement(days=days("2024-06-08..2024-06-09"), why="broken"),),
        rows={"2024-06-01": 1, "2024-06-02": 2, "2024-06-03": 3},
        rows_before={"2024-06-01": 4, "2024-06-02": 5},
        bytes={"2024-06-02": 20},
        checks=(check,),
        workers=(Handiwork(days=days("2024-06-01..2024-06-02"), worker="one"),),
        seconds=1.5,
        batch=2,
    )
    assert outcome.days == days("2024-06-01..2024-06-09")
    assert outcome.of_days(outcome.days) == outcome
    assert outcome.of_days(days("2024-06-02", "2024-06-05..2024-06-06", "2024-06-09")) == Outcome(
        published=days("2024-06-02"),
        failed=(failure("2024-06-05"),),
        cancelled=days("2024-06-06"),
        postponed=(Postponement(days=days("2024-06-09"), why="broken"),),
        rows={"2024-06-02": 2},
        rows_before={"2024-06-02": 5},
        bytes={"2024-06-02": 20},
        checks=(check.model_copy(update={"days": days("2024-06-02")}),),
        workers=(Handiwork(days=days("2024-06-02"), worker="one"),),
        seconds=1.5,
        batch=2,
    )


def test_an_outcome_survives_xcom() -> None:
    outcome = Outcome(published=WEEK, failed=(failure("2024-07-01"),), rows={"2024-06-01": 3}, seconds=1.5, batch=2)
    assert Outcome.model_validate(json.loads(json.dumps(outcome.to_json()))) == outcome


@pytest.mark.parametrize("value", ["2024-06-01", [1], ["2024-6-1"], None], ids=repr)
def test_what_is_not_a_list_of_days_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match=r"it is not a list of days|is not a day of the form"):
        Outcome.model_validate({"published": value})


# words


def test_a_summary_counts_what_was_published() -> None:
    rows = {"2024-06-01": 1000, "2024-06-02": 500, "2024-06-03": 7}
    published = Outcome(published=days("2024-06-01..2024-06-02"), rows=rows, bytes={"2024-06-01": 2_500_000}, seconds=2)
    assert published.summary() == "2 partitions, 1,500 rows, 2.5 MB in 2.0 s"
    unchanged = published.model_copy(update={"unchanged": days("2024-06-03")})
    assert unchanged.summary() == "2 partitions, 1,500 rows, 2.5 MB in 2.0 s; 1 were unchanged"


def test_counts_are_summed_over_the_days_asked_for() -> None:
    assert sum_counts({"2024-06-01": 1, "2024-06-02": 2, "2024-06-09": 4}, WEEK) == 3


def test_a_check_says_what_it_met_and_expected() -> None:
    result = CheckResult(check="few", severity="warn", days=days("2024-06-01"), rows=1)
    assert result.sentence() == "the check few of 2024-06-01 says: 1 violation"
    detailed = result.model_copy(update={"rows": 1200, "found": "-7", "expected": "at least 0"})
    assert detailed.sentence() == "the check few of 2024-06-01 says: 1,200 violations, found -7, expected at least 0"


# failures


@pytest.mark.parametrize(
    ("transient", "kind"), [(True, OperatorError), (False, QueryError)], ids=["environment", "query"]
)
def test_failures_are_raised_with_days_and_reason(transient: bool, kind: type[Exception]) -> None:  # noqa: FBT001
    failed = Failure(days=days("2024-06-02", "2024-06-05"), error="no rate for SEK", transient=transient)
    with pytest.raises(kind, match="2024-06-02, 2024-06-05 kept the published files: no rate for SEK"):
        Outcome(failed=(failed,)).raise_failures()


def test_a_failure_that_may_pass_is_raised_before_one_that_will_not() -> None:
    full = Failure(days=days("2024-06-05"), error="disk full", transient=True)
    with pytest.raises(OperatorError, match=r"disk full \(and 2 more days failed\)"):
        Outcome(failed=(failure("2024-06-01..2024-06-02"), full)).raise_failures()


def test_without_failures_nothing_is_raised() -> None:
    Outcome(published=WEEK).raise_failures()
