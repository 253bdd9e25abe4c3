"""The daily load: yesterday, and what was missed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.daily import due_days

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
