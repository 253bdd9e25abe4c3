"""Days: one text form, ranges with both ends, and sets of days that behave as sets."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import DateRange, Days, parse_day
from reloads.errors import RequestError

FIRST = date(2023, 12, 1)
# Few enough days that sets of them overlap, touch and leave gaps; a leap day and a new year among them.
near_days = st.integers(0, 120).map(lambda n: FIRST + timedelta(days=n))
calendar_ends = st.sampled_from([date.min, date.min + timedelta(days=1), date.max - timedelta(days=1), date.max])
day_sets = st.frozensets(near_days | calendar_ends, max_size=40)


@given(st.dates())
def test_a_day_is_the_inverse_of_its_text(day: date) -> None:
    assert parse_day(str(day)) == day


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,4}-?[0-9W]{1,2}-?[0-9]{0,2}", fullmatch=True))
def test_no_other_text_is_a_day(text: str) -> None:
    try:
        day = parse_day(text)
    except RequestError:
        return
    assert str(day) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("2013-1-1", "'2013-1-1'", id="without zeros"),
        pytest.param("20130101", "'20130101'", id="without hyphens"),
        pytest.param("2013-W01-1", "'2013-W01-1'", id="week"),
        pytest.param("01.02.2013", "'01.02.2013'", id="German"),
        pytest.param("2013-01-01T00:00:00", "'2013-01-01T00:00:00'", id="time"),
        pytest.param(" 2013-01-01", "' 2013-01-01'", id="space before"),
        pytest.param("2013-01-01\n", r"'2013-01-01\n'", id="newline after"),
        pytest.param("٢٠١٣-٠١-٠١", "'٢٠١٣-٠١-٠١'", id="other digits"),
        pytest.param("", "''", id="empty"),
        pytest.param(20130101, "20130101", id="number"),
        pytest.param(True, "True", id="truth"),
        pytest.param(None, "null", id="null"),
    ],
)
def test_anything_else_is_refused_with_field_value_rule_and_cure(value: object, shown: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_day(value, field="end_date")
    assert str(refused.value) == f"end_date {shown} is not a day of the form YYYY-MM-DD; write it like '2013-01-31'"


@pytest.mark.parametrize("text", ["2013-02-30", "2013-13-01", "2013-00-10", "2023-02-29", "0000-01-01"])
def test_a_day_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=f"'{text}' is not in the calendar; write a day that exists"):
        parse_day(text)


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(RequestError) as refused:
        parse_day("9" * 1_000_000)
    assert len(str(refused.value)) < 200


def test_a_range_includes_both_its_ends() -> None:
    leap = DateRange(date(2024, 2, 28), date(2024, 3, 1))
    assert list(leap) == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    assert len(leap) == 3


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(RequestError, match="end_date 2024-01-01 is before start_date 2024-01-02; swap them"):
        DateRange(date(2024, 1, 2), date(2024, 1, 1))


@given(st.dates(), st.dates())
def test_a_range_is_the_inverse_of_its_text(start: date, end: date) -> None:
    whole = DateRange(min(start, end), max(start, end))
    assert DateRange.parse(str(whole)) == whole


@pytest.mark.parametrize("text", ["", "..", "2024-01-01..", "..2024-01-01", "2024-01-01..2024-01-02..2024-01-03"])
def test_half_a_range_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is not a day"):
        DateRange.parse(text)


@given(st.lists(near_days))
def test_equal_sets_are_equal_values_whatever_their_order(days: list[date]) -> None:
    assert Days.of(days) == Days.of(reversed(days)) == Days.of(set(days))
    assert list(Days.of(days)) == sorted(set(days))


@given(day_sets)
def test_ranges_neither_overlap_nor_touch(days: frozenset[date]) -> None:
    ranges = Days.of(days).ranges
    assert all((after.first - before.last).days >= 2 for before, after in pairwise(ranges))


@given(day_sets, day_sets)
def test_days_are_a_set(left: frozenset[date], right: frozenset[date]) -> None:
    a, b = Days.of(left), Days.of(right)
    assert a | b == Days.union((a, b)) == Days.of(left | right)
    assert a & b == Days.of(left & right)
    assert a - b == Days.of(left - right)
    assert len(a) == len(left)
    assert bool(a) == bool(left)


@given(day_sets, near_days)
def test_a_day_is_in_the_set_or_not(days: frozenset[date], day: date) -> None:
    assert (day in Days.of(days)) == (day in days)


@given(day_sets)
def test_a_set_is_the_inverse_of_its_texts(days: frozenset[date]) -> None:
    assert Days.parse(Days.of(days).texts()) == Days.of(days)


@given(st.lists(st.tuples(near_days, st.integers(0, 30)), max_size=12))
def test_texts_in_any_order_that_overlap_or_touch_make_one_set(ranges: list[tuple[date, int]]) -> None:
    spans = [DateRange(first, first + timedelta(days=length)) for first, length in ranges]
    assert Days.parse(map(str, spans)) == Days.of(day for span in spans for day in span)


def test_the_same_million_days_named_a_thousand_times_are_not_unfolded() -> None:
    assert len(Days.parse(["0001-01-01..9999-12-31"] * 1000)) == date.max.toordinal()


@given(day_sets, st.integers(1, 50))
def test_a_cut_is_a_partition_into_pieces_of_like_size(days: frozenset[date], pieces: int) -> None:
    cut = Days.of(days).split(pieces)
    assert [day for piece in cut for day in piece] == sorted(days)
    assert len(cut) == min(pieces, len(days))
    sizes = [len(piece) for piece in cut]
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_a_person_reads_ranges() -> None:
    assert str(Days.parse(["2024-01-05", "2024-01-01..2024-01-03"])) == "2024-01-01..2024-01-03, 2024-01-05"
    assert str(Days()) == "no days"


@given(day_sets, st.integers(0, 50))
def test_the_newest_days_are_the_last_ones(days: frozenset[date], count: int) -> None:
    assert Days.of(days).newest(count) == Days.of(sorted(days)[len(days) - min(count, len(days)) :])
