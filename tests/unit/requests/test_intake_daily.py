"""The daily load: yesterday, and what was missed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.requests.intake import due_days

YESTERDAY = date(2024, 6, 30)
LONG_AGO = date(2020, 1, 1)


@pytest.mark.parametrize(
    ("last", "due"),
    [
        pytest.param(None, ["2024-06-30"], id="the first time only yesterday"),
        pytest.param(date(2024, 6, 29), ["2024-06-30"], id="every day the day before"),
        pytest.param(date(2024, 6, 26), ["2024-06-27..2024-06-30"], id="missed days too"),
        pytest.param(date(2024, 6, 30), ["2024-06-30"], id="asked again, yesterday again"),
        pytest.param(date(2024, 7, 5), ["2024-06-30"], id="an old run again, its day alone"),
        pytest.param(date(2022, 1, 1), ["2024-06-24..2024-06-30"], id="of a long gap the newest"),
    ],
)
def test_yesterday_and_the_days_missed_are_due(last: date | None, due: list[str]) -> None:
    assert due_days(yesterday=YESTERDAY, last=last, first_day=LONG_AGO, at_most=7).texts() == due


def test_a_table_that_begins_in_between_is_due_from_its_first_day() -> None:
    first_day = date(2024, 6, 29)
    assert due_days(yesterday=YESTERDAY, last=date(2024, 6, 25), first_day=first_day, at_most=7).texts() == [
        "2024-06-29..2024-06-30"
    ]


def test_nothing_is_due_before_the_first_day() -> None:
    assert not due_days(yesterday=YESTERDAY, last=None, first_day=date(2024, 7, 1), at_most=7)


@given(st.lists(st.integers(1, 12), max_size=20))
def test_no_day_is_skipped_however_long_nothing_ran(pauses: list[int]) -> None:
    yesterday, last, asked = YESTERDAY, YESTERDAY, set[date]()
    for pause in pauses:
        yesterday += timedelta(days=pause)
        asked |= set(due_days(yesterday=yesterday, last=last, first_day=LONG_AGO, at_most=12))
        last = yesterday
    assert len(asked) == sum(pauses)


# looking back for late rows


@pytest.mark.parametrize(
    ("last", "look_back", "due"),
    [
        pytest.param(date(2024, 6, 29), 0, ["2024-06-30"], id="none"),
        pytest.param(date(2024, 6, 29), 3, ["2024-06-27..2024-06-30"], id="three days before yesterday"),
        pytest.param(None, 3, ["2024-06-27..2024-06-30"], id="the first time too"),
        pytest.param(date(2024, 6, 26), 3, ["2024-06-24..2024-06-30"], id="before the days missed"),
        pytest.param(date(2022, 1, 1), 3, ["2024-06-21..2024-06-30"], id="before the newest of a long gap"),
        pytest.param(date(2024, 6, 30), 3, ["2024-06-27..2024-06-30"], id="asked again"),
    ],
)
def test_late_rows_are_looked_for_in_the_days_before(last: date | None, look_back: int, due: list[str]) -> None:
    found = due_days(yesterday=YESTERDAY, last=last, first_day=LONG_AGO, at_most=7, look_back=look_back)
    assert found.texts() == due


def test_nobody_looks_back_to_before_the_first_day() -> None:
    found = due_days(yesterday=YESTERDAY, last=None, first_day=date(2024, 6, 29), at_most=7, look_back=30)
    assert found.texts() == ["2024-06-29..2024-06-30"]


@given(st.integers(0, 5), st.integers(1, 40))
def test_every_day_is_due_once_more_on_each_of_the_days_after_it(look_back: int, count: int) -> None:
    asked: dict[date, int] = {}
    for n in range(count):
        day = YESTERDAY + timedelta(days=n)
        before = day - timedelta(days=1)
        for due in due_days(yesterday=day, last=before, first_day=YESTERDAY, at_most=7, look_back=look_back):
            asked[due] = asked.get(due, 0) + 1
    assert asked == {YESTERDAY + timedelta(days=n): min(look_back + 1, count - n) for n in range(count)}
