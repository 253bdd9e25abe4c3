"""Arrival settings: which spans of time there are, and when a day ends where clocks are set."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.tables.arrival_settings import end_of_day, parse_due, parse_span

BERLIN = "Europe/Berlin"


@given(st.integers(0, 999), st.integers(0, 59))
def test_a_time_is_hours_and_minutes_after_the_day(hours: int, minutes: int) -> None:
    assert parse_due(f"{hours:02}:{minutes:02}") == timedelta(hours=hours, minutes=minutes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6:00",
        "06:60",
        "06:0",
        "0600",
        "06:00:00",
        "-06:00",
        "06:00 ",
        "06:00\n",
        "1000:00",
        "six",
        "\u0660\u0666:00",
    ],
    ids=repr,
)
def test_any_other_time_is_refused_with_the_value_and_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time like '06:00'; '30:00' is 6 o'clock one day later$") as refused:
        parse_due(text)
    assert str(refused.value).startswith(repr(text))


@given(st.integers(1, 9999))
def test_a_span_is_a_number_of_days_or_hours(number: int) -> None:
    assert parse_span(f"{number} days") == parse_span(f"{number} day") == timedelta(days=number)
    assert parse_span(f"{number} hours") == parse_span(f"{number} hour") == timedelta(hours=number)


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "days", "0 days", "07 days", "-1 days", "1.5 days", "7days", "7  days", "7 Days", "7 weeks"),
        *("7 days\n", "10000 days", "\u0667 days", "30 minutes"),
    ],
    ids=repr,
)
def test_any_other_span_is_refused_with_the_value_and_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a span like '7 days' or '12 hours'$") as refused:
        parse_span(text)
    assert str(refused.value).startswith(repr(text))


@pytest.mark.parametrize("parse", [parse_due, parse_span])
def test_a_long_text_is_shown_in_part(parse: type) -> None:
    with pytest.raises(ValueError, match="like") as refused:
        parse("9" * 1_000_000)
    assert len(str(refused.value)) < 200


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "zone", "after", "moment"),
    [
        pytest.param("2024-01-31", "UTC", "00:00", "2024-02-01 00:00", id="end of a month"),
        pytest.param("2024-01-31", "UTC", "30:00", "2024-02-02 06:00", id="a day later"),
        pytest.param("2024-01-31", BERLIN, "06:00", "2024-02-01 05:00", id="winter"),
        pytest.param("2024-06-30", BERLIN, "06:00", "2024-07-01 04:00", id="summer"),
        pytest.param("2024-03-30", BERLIN, "00:00", "2024-03-30 23:00", id="the night before the short day"),
        pytest.param("2024-03-30", BERLIN, "06:00", "2024-03-31 04:00", id="6 o'clock of the short day"),
        pytest.param("2024-03-31", BERLIN, "00:00", "2024-03-31 22:00", id="end of the short day"),
        pytest.param("2024-03-29", BERLIN, "30:00", "2024-03-31 04:00", id="6 o'clock over the short night"),
        pytest.param("2024-10-26", BERLIN, "00:00", "2024-10-26 22:00", id="the night before the long day"),
        pytest.param("2024-10-26", BERLIN, "06:00", "2024-10-27 05:00", id="6 o'clock of the long day"),
        pytest.param("2024-10-26", BERLIN, "02:30", "2024-10-27 00:30", id="the first of a time that is there twice"),
        pytest.param("2024-10-27", BERLIN, "00:00", "2024-10-27 23:00", id="end of the long day"),
        pytest.param("2024-12-31", "Asia/Kathmandu", "00:00", "2024-12-31 18:15", id="a zone with quarters"),
    ],
)
def test_a_day_is_late_by_the_clock_on_the_wall(day: str, zone: str, after: str, moment: str) -> None:
    end = end_of_day(date.fromisoformat(day), time_zone=zone, after=parse_due(after))
    # In UTC, as a time that is there twice equals no other time.
    assert end.astimezone(UTC) == utc(moment)


@given(st.dates(date(2000, 1, 1), date(2050, 1, 1)), st.sampled_from([BERLIN, "America/New_York", "Asia/Tokyo"]))
def test_a_day_ends_in_the_minute_before_which_the_wall_shows_it(day: date, zone: str) -> None:
    end = end_of_day(day, time_zone=zone).astimezone(UTC)
    shown = [(end + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone)) for minutes in (-1, 0)]
    assert [each.date() for each in shown] == [day, day + timedelta(days=1)]


def test_a_time_that_the_wall_never_shows_is_near_the_jump() -> None:
    moment = end_of_day(date(2024, 3, 30), time_zone=BERLIN, after=parse_due("02:30"))
    assert utc("2024-03-31 00:30") <= moment <= utc("2024-03-31 01:30")
