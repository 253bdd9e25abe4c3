"""Intake: the clock, a form and the drop folder become requests, and whatever was neglected is announced again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reloads.errors import RequestError
from reloads.outcome import Outcome
from reloads.requests.intake import Intake, request_by_hand, request_daily, take_requests
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FORM = {"table": "visits", "start_date": "2024-06-01", "end_date": "2024-06-30"}


def daily(settings: Settings, *, at: datetime = NOON, origin: str | None = None) -> list[Record]:
    return request_daily(settings, at=at, now=at, origin=origin or at.isoformat())


def asked(records: list[Record]) -> list[tuple[str, list[str]]]:
    return [(record.table, record.days.texts()) for record in records]


# the clock


def test_the_clock_asks_for_yesterday_of_every_daily_table(sales_settings: Settings, queue: Queue) -> None:
    [record] = daily(sales_settings)
    assert (record.table, record.mode, record.days.texts()) == ("sales", "daily", ["2024-06-30"])
    assert queue.records("accepted") == [record]


@pytest.mark.parametrize(
    ("time_zone", "hour", "yesterday"),
    [
        ("UTC", 2, "2024-06-30"),
        ("Asia/Tokyo", 16, "2024-07-01"),
        ("Asia/Tokyo", 14, "2024-06-30"),
        ("America/New_York", 2, "2024-06-29"),
    ],
)
def test_yesterday_is_that_of_the_configured_time_zone(
    sales_settings: Settings, time_zone: str, hour: int, yesterday: str
) -> None:
    settings = sales_settings.model_copy(update={"time_zone": time_zone})
    assert asked(daily(settings, at=NOON.replace(hour=hour))) == [("sales", [yesterday])]


def test_a_year_of_clock_ticks_asks_for_each_day_once_across_summer_time(sales_settings: Settings) -> None:
    settings = sales_settings.model_copy(update={"time_zone": "Europe/Berlin"})
    first = datetime(2024, 2, 1, 0, 30, tzinfo=UTC)
    days = [day for n in range(365) for record in daily(settings, at=first + n * DAY) for day in record.days]
    assert len(days) == len(set(days)) == 365


def test_missed_days_are_made_up_for(sales_settings: Settings) -> None:
    daily(sales_settings)
    assert asked(daily(sales_settings, at=NOON + 4 * DAY)) == [("sales", ["2024-07-01..2024-07-04"])]


def test_of_a_long_outage_the_newest_days_are_made_up_for(sales_settings: Settings) -> None:
    daily(sales_settings)
    settings = sales_settings.model_copy(update={"catch_up_days": 3})
    assert asked(daily(settings, at=NOON + 100 * DAY)) == [("sales", ["2024-10-06..2024-10-08"])]


def test_the_same_run_again_asks_for_nothing_more(sales_settings: Settings, queue: Queue) -> None:
    daily(sales_settings)
    [first] = daily(sales_settings, at=NOON + 3 * DAY)
    [again] = daily(sales_settings, at=NOON + 3 * DAY)
    assert again.id == first.id
    assert len(queue.records("accepted")) == 2


def test_the_same_run_again_announces_nothing_that_ended(sales_settings: Settings, queue: Queue) -> None:
    [record] = daily(sales_settings)
    queue.settle(record.id, Outcome(published=record.days), run="run", now=NOON)
    assert daily(sales_settings) == []
    assert queue.records("accepted") == []


def test_another_run_on_the_same_day_asks_for_yesterday_alone(sales_settings: Settings) -> None:
    daily(sales_settings, at=NOON - 5 * DAY)
    daily(sales_settings)
    assert asked(daily(sales_settings, origin="by hand")) == [("sales", ["2024-06-30"])]


def test_an_old_run_again_asks_for_its_own_day_and_nothing_is_asked_twice_after_it(sales_settings: Settings) -> None:
    daily(sales_settings)
    assert asked(daily(sales_settings, at=NOON - 9 * DAY)) == [("sales", ["2024-06-21"])]
    assert asked(daily(sales_settings, at=NOON + DAY)) == [("sales", ["2024-07-01"])]


def test_a_table_is_not_asked_for_before_its_first_day(sales_settings: Settings) -> None:
    assert daily(sales_settings, at=datetime(2024, 1, 1, 12, tzinfo=UTC)) == []
    assert asked(daily(sales_settings, at=datetime(2024, 1, 2, 12, tzinfo=UTC))) == [("sales", ["2024-01-01"])]


def test_a_table_that_was_broken_makes_up_for_it_once_it_is_mended(sales_settings: Settings) -> None:
    query = sales_settings.tables / "sales" / "query.sql"
    good = query.read_text()
    daily(sales_settings)
    query.write_text("selec")
    assert daily(sales_settings, at=NOON + DAY) == []
    query.write_text(good)
    assert asked(daily(sales_settings, at=NOON + 2 * DAY)) == [("sales", ["2024-07-01..2024-07-02"])]


def test_a_crash_before_the_bookmark_skips_no_day(sales_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def crash_at_the_bookmark(path: Path, target: Path) -> Path:
        if target.parent.name == ".watermarks":
            raise KeyboardInterrupt
        return replace(path, target)

    daily(sales_settings)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash_at_the_bookmark)
        with pytest.raises(KeyboardInterrupt):
            daily(sales_settings, at=NOON + DAY)
    assert asked(daily(sales_settings, at=NOON + 2 * DAY)) == [("sales", ["2024-07-01..2024-07-02"])]


def test_the_clock_looks_back_for_late_rows_where_a_table_says_so(sales_settings: Settings) -> None:
    toml = sales_settings.tables / "sales" / "table.toml"
    toml.write_text(toml.read_text() + "look_back = 2\n")
    assert asked(daily(sales_settings)) == [("sales", ["2024-06-28..2024-06-30"])]
    assert asked(daily(sales_settings, at=NOON + DAY)) == [("sales", ["2024-06-29..2024-07-01"])]


def test_days_that_were_missed_are_made_up_for_once_however_far_a_table_looks_back(sales_settings: Settings) -> None:
    toml = sales_settings.tables / "sales" / "table.toml"
    toml.write_text(toml.read_text() + "look_back = 1\n")
    daily(sales_settings)
    assert asked(daily(sales_settings, at=NOON + 4 * DAY)) == [("sales", ["2024-06-30..2024-07-04"])]
    assert asked(daily(sales_settings, at=NOON + 5 * DAY)) == [("sales", ["2024-07-04..2024-07-05"])]


# a form


def test_a_form_asks_for_the_days_it_names(sales_settings: Settings, queue: Queue) -> None:
    [record] = request_by_hand(sales_settings, FORM | {"reason": "late"}, now=NOON, origin="run")
    assert (record.table, record.mode, record.reason) == ("visits", "manual", "late")
    assert record.days.texts() == ["2024-06-01..2024-06-30"]
    assert queue.records("accepted") == [record]


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_fields_of_a_form_are_left_out(sales_settings: Settings, empty: str | None) -> None:
    [record] = request_by_hand(sales_settings, FORM | {"end_date": empty, "reason": empty}, now=NOON, origin="run")
    assert record.days.texts() == ["2024-06-01"]
    assert record.reason is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table": None}, 'the field "table" is missing'),
        ({"start_date": None}, 'the field "start_date" is missing'),
        ({"table": "visit"}, "table 'visit' is unknown; known tables are visits, sales"),
        ({"end_date": "2024-07-02"}, "end_date 2024-07-02 is in the future; the last day to ask for is 2024-07-01"),
        ({"end_date": "2024-05-31"}, "end_date 2024-05-31 is before start_date 2024-06-01; swap them"),
    ],
    ids=["no table", "no day", "unknown table", "future", "inverted"],
)
def test_a_wrong_form_is_refused_and_asks_for_nothing(
    sales_settings: Settings, queue: Queue, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        request_by_hand(sales_settings, FORM | change, now=NOON, origin="run")
    assert queue.records("accepted") == []


def test_a_form_sent_again_by_a_retry_is_one_request(sales_settings: Settings, queue: Queue) -> None:
    [first] = request_by_hand(sales_settings, FORM, now=NOON, origin="run")
    [again] = request_by_hand(sales_settings, FORM, now=NOON + DAY, origin="run")
    assert again.id == first.id
    assert queue.records("accepted") == [first]
    queue.settle(first.id, Outcome(published=first.days), run="run", now=NOON)
    assert request_by_hand(sales_settings, FORM, now=NOON + DAY, origin="run") == []


def test_a_form_can_ask_for_less_than_everything(sales_settings: Settings, define: Callable[..., Path]) -> None:
    query = (sales_settings.tables / "visits" / "query.sql").read_text()
    define("visits", query, "keys = ['sale_id']\n[parameters.size]\ntype = 'integer'\ndefault = 1\n")
    wanted = {"only": "stale", "keys": {"sale_id": [1]}, "parameters": {"size": 2}, "cascade": False}
    [record] = request_by_hand(sales_settings, FORM | wanted, now=NOON, origin="run")
    assert (record.only, record.cascade, record.parameters) == ("stale", False, {"size": 2})
    assert record.keys == {"sale_id": ("1",)}


def test_a_form_as_it_is_opened_asks_for_everything(sales_settings: Settings) -> None:
    opened = {"only": "all", "keys": {}, "parameters": {}, "cascade": True, "reason": None}
    [record] = request_by_hand(sales_settings, FORM | opened, now=NOON, origin="run")
    assert (record.only, record.cascade, record.parameters, record.keys) == ("all", True, {}, {})


def test_a_form_for_two_tables_is_a_request_each(sales_settings: Settings) -> None:
    records = request_by_hand(sales_settings, FORM | {"table": ["visits", "sales"]}, now=NOON, origin="run")
    assert [record.table for record in records] == ["visits", "sales"]


# all together


def take_in_after(settings: Settings, seconds: float, *, records: list[Record] | None = None) -> Intake:
    return take_requests(settings, now=datetime.now(UTC) + timedelta(seconds=seconds), asked=records or [])


def test_what_was_asked_for_and_what_was_dropped_is_announced(sales_settings: Settings) -> None:
    (sales_settings.landing / "a.json").write_text(json.dumps(FORM))
    intake = take_in_after(sales_settings, 5, records=daily(sales_settings, at=datetime.now(UTC)))
    assert [record.mode for record in intake.announce] == ["daily", "landing"]
    assert intake.files.accepted == [intake.announce[1]]


def test_a_bad_file_beside_a_good_one_holds_up_nothing(sales_settings: Settings) -> None:
    (sales_settings.landing / "a.json").write_text("bad")
    (sales_settings.landing / "b.json").write_text(json.dumps(FORM))
    intake = take_in_after(sales_settings, 5)
    assert [record.file for record in intake.announce] == ["b.json"]
    assert list(intake.files.rejected) == ["a.json"]


def test_a_dropped_file_may_ask_up_to_today_in_the_configured_time_zone(sales_settings: Settings) -> None:
    # Somewhere it is another day than in UTC at any time.
    now = datetime.now(UTC) + timedelta(minutes=1)
    zones = ("Pacific/Kiritimati", "Pacific/Pago_Pago")
    zone = next(name for name in zones if at_home(sales_settings, name).day_of(now) != now.date())
    settings = at_home(sales_settings, zone)
    for name, day in (("today", settings.day_of(now)), ("tomorrow", settings.day_of(now) + DAY)):
        (settings.landing / f"{name}.json").write_text(json.dumps({"table": "sales", "start_date": str(day)}))
    files = take_requests(settings, now=now, asked=[]).files
    assert [record.file for record in files.accepted] == ["today.json"]
    assert "in the future" in files.rejected["tomorrow.json"]


def at_home(settings: Settings, time_zone: str) -> Settings:
    return settings.model_copy(update={"time_zone": time_zone})


def test_a_request_nobody_works_on_is_announced_again_and_then_left_for_a_while(sales_settings: Settings) -> None:
    (sales_settings.landing / "a.json").write_text(json.dumps(FORM))
    [record] = take_in_after(sales_settings, 0).announce
    assert take_in_after(sales_settings, 30).announce == ()
    long_ago = datetime.now(UTC).timestamp() - 1000
    os.utime(sales_settings.landing / "accepted" / f"{record.id}.json", (long_ago, long_ago))
    assert take_in_after(sales_settings, 0).announce == (record,)
    assert take_in_after(sales_settings, 30).announce == ()


def test_a_request_accepted_before_a_crash_is_announced_later(sales_settings: Settings, queue: Queue) -> None:
    [record] = request_by_hand(sales_settings, FORM, now=datetime.now(UTC), origin="run that was killed")
    assert take_in_after(sales_settings, 300).announce == (record,)
    assert queue.records("accepted") == [record]


def test_a_request_of_a_table_that_is_gone_fails_and_says_why(sales_settings: Settings, queue: Queue) -> None:
    [record] = request_by_hand(sales_settings, FORM, now=NOON, origin="run")
    shutil.rmtree(sales_settings.tables / "visits")
    assert take_in_after(sales_settings, 3600).announce == ()
    [failed] = queue.records("failed")
    assert failed.failed[0].days == record.days
    assert "the table 'visits' no longer exists" in failed.failed[0].error


def test_a_request_of_a_table_that_is_broken_waits_until_it_is_mended(sales_settings: Settings, queue: Queue) -> None:
    [record] = request_by_hand(sales_settings, FORM, now=NOON, origin="run")
    (sales_settings.tables / "visits" / "query.sql").write_text("selec")
    take_in_after(sales_settings, 3600)
    assert queue.records("accepted") == [record]


def test_a_request_is_announced_once_at_a_time(sales_settings: Settings) -> None:
    records = request_by_hand(sales_settings, FORM, now=NOON, origin="run")
    assert take_in_after(sales_settings, 3600, records=records).announce == tuple(records)


def test_a_bad_file_that_just_came_is_rejected_by_the_same_look(sales_settings: Settings, queue: Queue) -> None:
    settings = sales_settings.model_copy(update={"stable_seconds": 0.1})
    (queue.landing / "bad.json").write_text('{"table": "sales"')
    taken = take_requests(settings, now=datetime.now(UTC), asked=[]).files
    assert list(taken.rejected) == ["bad.json"]


def test_a_request_of_a_table_that_is_gone_fails_and_says_so(sales_settings: Settings, queue: Queue) -> None:
    [record] = request_by_hand(sales_settings, FORM, now=NOON, origin="form")
    shutil.rmtree(sales_settings.tables / "visits")
    assert take_requests(sales_settings, now=NOON + DAY, asked=[]).announce == ()
    [failed] = queue.records("failed")
    assert failed.id == record.id
    assert "'visits' no longer exists" in failed.failed[0].error
