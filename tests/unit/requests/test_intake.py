"""Intake: the clock, a form and the drop folder become requests, and neglected requests are announced again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import RequestError
from reloads.locks import file_lock
from reloads.outcome import Outcome
from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.announcement import announce
from reloads.requests.intake import (
    Ask,
    Intake,
    collect_requests,
    find_due_days,
    request_by_form,
    request_by_hand,
    request_daily,
)
from reloads.requests.neglect import knock, neglect
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FORM = {"table": "visits", "start_date": "2024-06-01", "end_date": "2024-06-30"}
YESTERDAY = date(2024, 6, 30)
LONG_AGO = date(2020, 1, 1)


def tick(settings: Settings, *, at: datetime = NOON, origin: str | None = None) -> list[Record]:
    """The clock strikes."""
    catalog = Catalog.load(settings.tables)
    return request_daily(settings, catalog, at=at, now=at, origin=origin or at.isoformat())


def send_form(
    settings: Settings, fields: Mapping[str, Any], *, now: datetime = NOON, origin: str = "run"
) -> list[Record]:
    return request_by_hand(settings, Catalog.load(settings.tables), fields, now=now, origin=origin)


def wake_up(settings: Settings, *, now: datetime, ask: Ask | None = None, asked_at: datetime | None = None) -> Intake:
    return collect_requests(
        settings,
        Catalog.load(settings.tables),
        clock=lambda: now,
        leave_out=leave_out_waiting,
        ask=ask,
        asked_at=asked_at,
    )


def ranges_by_table(records: list[Record]) -> list[tuple[str, list[str]]]:
    return [(record.table, record.days.texts()) for record in records]


# the clock


def test_the_clock_asks_for_yesterday_of_every_daily_table(sales_settings: Settings, queue: Queue) -> None:
    [record] = tick(sales_settings)
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
    assert ranges_by_table(tick(settings, at=NOON.replace(hour=hour))) == [("sales", [yesterday])]


def test_a_year_of_clock_ticks_asks_for_each_day_once_across_summer_time(sales_settings: Settings) -> None:
    settings = sales_settings.model_copy(update={"time_zone": "Europe/Berlin"})
    first = datetime(2024, 2, 1, 0, 30, tzinfo=UTC)
    days = [day for n in range(365) for record in tick(settings, at=first + n * DAY) for day in record.days]
    assert len(days) == len(set(days)) == 365


def test_missed_days_are_made_up_for(sales_settings: Settings) -> None:
    tick(sales_settings)
    assert ranges_by_table(tick(sales_settings, at=NOON + 4 * DAY)) == [("sales", ["2024-07-01..2024-07-04"])]


def test_of_a_long_outage_the_newest_days_are_made_up_for(sales_settings: Settings) -> None:
    tick(sales_settings)
    settings = sales_settings.model_copy(update={"catch_up_days": 3})
    assert ranges_by_table(tick(settings, at=NOON + 100 * DAY)) == [("sales", ["2024-10-06..2024-10-08"])]


def test_the_same_run_again_asks_for_nothing_more(sales_settings: Settings, queue: Queue) -> None:
    tick(sales_settings)
    [first] = tick(sales_settings, at=NOON + 3 * DAY)
    [repeated] = tick(sales_settings, at=NOON + 3 * DAY)
    assert repeated.id == first.id
    assert len(queue.records("accepted")) == 2


def test_the_same_run_again_announces_nothing_that_ended(sales_settings: Settings, queue: Queue) -> None:
    [record] = tick(sales_settings)
    queue.settle(record.id, Outcome(published=record.days), run="run", now=NOON)
    assert tick(sales_settings) == []
    assert queue.records("accepted") == []


def test_another_run_on_the_same_day_asks_for_yesterday_alone(sales_settings: Settings) -> None:
    tick(sales_settings, at=NOON - 5 * DAY)
    tick(sales_settings)
    assert ranges_by_table(tick(sales_settings, origin="by hand")) == [("sales", ["2024-06-30"])]


def test_an_old_run_again_asks_for_its_own_day_and_nothing_is_asked_twice_after_it(sales_settings: Settings) -> None:
    tick(sales_settings)
    assert ranges_by_table(tick(sales_settings, at=NOON - 9 * DAY)) == [("sales", ["2024-06-21"])]
    assert ranges_by_table(tick(sales_settings, at=NOON + DAY)) == [("sales", ["2024-07-01"])]


def test_a_table_is_not_asked_for_before_its_first_day(sales_settings: Settings) -> None:
    assert tick(sales_settings, at=datetime(2024, 1, 1, 12, tzinfo=UTC)) == []
    assert ranges_by_table(tick(sales_settings, at=datetime(2024, 1, 2, 12, tzinfo=UTC))) == [("sales", ["2024-01-01"])]


def test_a_table_that_was_broken_makes_up_for_it_once_it_is_mended(sales_settings: Settings) -> None:
    query = sales_settings.tables / "sales" / "query.sql"
    good = query.read_text()
    tick(sales_settings)
    query.write_text("selec")
    assert tick(sales_settings, at=NOON + DAY) == []
    query.write_text(good)
    assert ranges_by_table(tick(sales_settings, at=NOON + 2 * DAY)) == [("sales", ["2024-07-01..2024-07-02"])]


def test_a_crash_before_the_watermark_skips_no_day(sales_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def crash_at_the_watermark(path: Path, target: Path) -> Path:
        if target.parent.name == ".watermarks":
            raise KeyboardInterrupt
        return replace(path, target)

    tick(sales_settings)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash_at_the_watermark)
        with pytest.raises(KeyboardInterrupt):
            tick(sales_settings, at=NOON + DAY)
    assert ranges_by_table(tick(sales_settings, at=NOON + 2 * DAY)) == [("sales", ["2024-07-01..2024-07-02"])]


def test_the_clock_looks_back_for_late_rows_where_a_table_says_so(sales_settings: Settings) -> None:
    toml = sales_settings.tables / "sales" / "table.toml"
    toml.write_text(toml.read_text() + "look_back = 2\n")
    assert ranges_by_table(tick(sales_settings)) == [("sales", ["2024-06-28..2024-06-30"])]
    assert ranges_by_table(tick(sales_settings, at=NOON + DAY)) == [("sales", ["2024-06-29..2024-07-01"])]


def test_days_that_were_missed_are_made_up_for_once_however_far_a_table_looks_back(sales_settings: Settings) -> None:
    toml = sales_settings.tables / "sales" / "table.toml"
    toml.write_text(toml.read_text() + "look_back = 1\n")
    tick(sales_settings)
    assert ranges_by_table(tick(sales_settings, at=NOON + 4 * DAY)) == [("sales", ["2024-06-30..2024-07-04"])]
    assert ranges_by_table(tick(sales_settings, at=NOON + 5 * DAY)) == [("sales", ["2024-07-04..2024-07-05"])]


# the days that are due


def due(
    last_requested: date | None,
    *,
    yesterday: date = YESTERDAY,
    first_day: date = LONG_AGO,
    at_most: int = 7,
    look_back: int = 0,
) -> Days:
    return find_due_days(
        yesterday=yesterday,
        last_requested=last_requested,
        first_day=first_day,
        at_most=at_most,
        look_back=look_back,
    )


@pytest.mark.parametrize(
    ("last_requested", "ranges"),
    [
        pytest.param(None, ["2024-06-30"], id="the first time only yesterday"),
        pytest.param(date(2024, 6, 29), ["2024-06-30"], id="every day the day before"),
        pytest.param(date(2024, 6, 26), ["2024-06-27..2024-06-30"], id="missed days too"),
        pytest.param(date(2024, 6, 30), ["2024-06-30"], id="asked again, yesterday again"),
        pytest.param(date(2024, 7, 5), ["2024-06-30"], id="an old run again, its day alone"),
        pytest.param(date(2022, 1, 1), ["2024-06-24..2024-06-30"], id="of a long gap the newest"),
    ],
)
def test_yesterday_and_the_days_missed_are_due(last_requested: date | None, ranges: list[str]) -> None:
    assert due(last_requested).texts() == ranges


def test_a_table_that_begins_in_between_is_due_from_its_first_day() -> None:
    assert due(date(2024, 6, 25), first_day=date(2024, 6, 29)).texts() == ["2024-06-29..2024-06-30"]


def test_nothing_is_due_before_the_first_day() -> None:
    assert not due(None, first_day=date(2024, 7, 1))


@given(st.lists(st.integers(1, 12), max_size=20))
def test_no_day_is_skipped_however_long_nothing_ran(pauses: list[int]) -> None:
    yesterday, last_requested, requested = YESTERDAY, YESTERDAY, set[date]()
    for pause in pauses:
        yesterday += timedelta(days=pause)
        requested |= set(due(last_requested, yesterday=yesterday, at_most=12))
        last_requested = yesterday
    assert len(requested) == sum(pauses)


@pytest.mark.parametrize(
    ("last_requested", "look_back", "ranges"),
    [
        pytest.param(date(2024, 6, 29), 0, ["2024-06-30"], id="none"),
        pytest.param(date(2024, 6, 29), 3, ["2024-06-27..2024-06-30"], id="three days before yesterday"),
        pytest.param(None, 3, ["2024-06-27..2024-06-30"], id="the first time too"),
        pytest.param(date(2024, 6, 26), 3, ["2024-06-24..2024-06-30"], id="before the days missed"),
        pytest.param(date(2022, 1, 1), 3, ["2024-06-21..2024-06-30"], id="before the newest of a long gap"),
        pytest.param(date(2024, 6, 30), 3, ["2024-06-27..2024-06-30"], id="asked again"),
    ],
)
def test_late_rows_are_looked_for_in_the_days_before(
    last_requested: date | None, look_back: int, ranges: list[str]
) -> None:
    assert due(last_requested, look_back=look_back).texts() == ranges


def test_nobody_looks_back_to_before_the_first_day() -> None:
    assert due(None, first_day=date(2024, 6, 29), look_back=30).texts() == ["2024-06-29..2024-06-30"]


@given(st.integers(0, 5), st.integers(1, 40))
def test_every_day_is_due_once_more_on_each_of_the_days_after_it(look_back: int, count: int) -> None:
    counts: dict[date, int] = {}
    for n in range(count):
        day = YESTERDAY + timedelta(days=n)
        before = day - timedelta(days=1)
        for due_day in due(before, yesterday=day, first_day=YESTERDAY, look_back=look_back):
            counts[due_day] = counts.get(due_day, 0) + 1
    assert counts == {YESTERDAY + timedelta(days=n): min(look_back + 1, count - n) for n in range(count)}


# a form


def test_a_form_asks_for_the_days_it_names(sales_settings: Settings, queue: Queue) -> None:
    [record] = send_form(sales_settings, FORM | {"reason": "late"})
    assert (record.table, record.mode, record.reason) == ("visits", "manual", "late")
    assert record.days.texts() == ["2024-06-01..2024-06-30"]
    assert queue.records("accepted") == [record]


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_fields_of_a_form_are_left_out(sales_settings: Settings, empty: str | None) -> None:
    [record] = send_form(sales_settings, FORM | {"end_date": empty, "reason": empty})
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
        send_form(sales_settings, FORM | change)
    assert queue.records("accepted") == []


def test_a_form_sent_again_by_a_retry_is_one_request(sales_settings: Settings, queue: Queue) -> None:
    [first] = send_form(sales_settings, FORM)
    [repeated] = send_form(sales_settings, FORM, now=NOON + DAY)
    assert repeated.id == first.id
    assert queue.records("accepted") == [first]
    queue.settle(first.id, Outcome(published=first.days), run="run", now=NOON)
    assert send_form(sales_settings, FORM, now=NOON + DAY) == []


def test_a_form_can_ask_for_less_than_everything(sales_settings: Settings, define: Callable[..., Path]) -> None:
    query = (sales_settings.tables / "visits" / "query.sql").read_text()
    define("visits", query, "keys = ['sale_id']\n[parameters.size]\ntype = 'integer'\ndefault = 1\n")
    choice = {"only": "stale", "keys": {"sale_id": [1]}, "parameters": {"size": 2}, "cascade": False}
    [record] = send_form(sales_settings, FORM | choice)
    assert (record.only, record.cascade, record.parameters) == ("stale", False, {"size": 2})
    assert record.keys == {"sale_id": ("1",)}


def test_a_form_as_it_is_opened_asks_for_everything(sales_settings: Settings) -> None:
    opened = {"only": "all", "keys": {}, "parameters": {}, "cascade": True, "reason": None}
    [record] = send_form(sales_settings, FORM | opened)
    assert (record.only, record.cascade, record.parameters, record.keys) == ("all", True, {}, {})


def ask_by_form(settings: Settings, form: Mapping[str, Any], *, by: str | None = None) -> list[Record]:
    catalog = Catalog.load(settings.tables)
    return request_by_form(settings, catalog, form, at=NOON, now=NOON, origin="run", requested_by=by)


def test_a_form_with_nothing_filled_in_asks_for_what_the_clock_asks_for(sales_settings: Settings) -> None:
    form: dict[str, Any] = {"table": None, "start_date": None, "only": "all", "cascade": True, "keys": {}}
    [record] = ask_by_form(sales_settings, form, by="ada")
    assert (record.table, record.mode, record.days.texts()) == ("sales", "daily", [str(YESTERDAY)])
    assert record.requested_by == "ada"
    assert tick(sales_settings, at=NOON + DAY)[0].requested_by is None


def test_a_form_with_a_table_and_days_asks_for_these(sales_settings: Settings) -> None:
    [record] = ask_by_form(sales_settings, FORM)
    assert (record.table, record.mode, record.requested_by) == ("visits", "manual", None)


def test_who_asks_is_the_login_whatever_the_form_says(sales_settings: Settings) -> None:
    [record] = ask_by_form(sales_settings, FORM | {"requested_by": "somebody else"}, by="ada")
    assert record.requested_by == "ada"


def test_days_without_a_table_are_refused_with_a_sentence_and_nothing_is_reloaded(
    sales_settings: Settings, queue: Queue
) -> None:
    catalog = Catalog.load(sales_settings.tables)
    form = {"start_date": "2024-06-01", "table": None}
    ask = partial(request_by_form, sales_settings, catalog, form, at=NOON, origin="run")
    [refusal] = wake_up(sales_settings, now=NOON, ask=ask, asked_at=NOON).refusals
    assert refusal.startswith('the form has no table, but start_date is "2024-06-01"; fill in a table')
    assert queue.records("accepted") == []


def test_a_form_for_two_tables_is_a_request_each(sales_settings: Settings) -> None:
    records = send_form(sales_settings, FORM | {"table": ["visits", "sales"]})
    assert [record.table for record in records] == ["visits", "sales"]


# all together


def wake_up_after(settings: Settings, seconds: float, *, ask: Ask | None = None) -> Intake:
    return wake_up(settings, now=datetime.now(UTC) + timedelta(seconds=seconds), ask=ask)


def test_what_was_asked_for_and_what_was_dropped_is_announced(sales_settings: Settings) -> None:
    (sales_settings.landing / "a.json").write_text(json.dumps(FORM))
    intake = wake_up_after(sales_settings, 5, ask=lambda now: tick(sales_settings, at=now))
    assert [(one.table, one.mode) for one in intake.announce] == [("visits", "landing"), ("sales", "daily")]


def test_a_bad_file_beside_a_good_one_holds_up_nothing(sales_settings: Settings) -> None:
    (sales_settings.landing / "a.json").write_text("bad")
    (sales_settings.landing / "b.json").write_text(json.dumps(FORM))
    intake = wake_up_after(sales_settings, 5)
    assert [record.file for record in intake.files.accepted] == ["b.json"]
    assert [one.table for one in intake.announce] == ["visits"]
    assert list(intake.files.rejected) == ["a.json"]
    assert intake.refusals == (intake.files.rejected["a.json"],)


def test_a_dropped_file_may_ask_up_to_today_in_the_configured_time_zone(sales_settings: Settings) -> None:
    # Somewhere it is another day than in UTC at any time.
    now = datetime.now(UTC) + timedelta(minutes=1)
    zones = ("Pacific/Kiritimati", "Pacific/Pago_Pago")
    zone = next(name for name in zones if in_zone(sales_settings, name).day_of(now) != now.date())
    settings = in_zone(sales_settings, zone)
    for name, day in (("today", settings.day_of(now)), ("tomorrow", settings.day_of(now) + DAY)):
        (settings.landing / f"{name}.json").write_text(json.dumps({"table": "sales", "start_date": str(day)}))
    files = wake_up(settings, now=now).files
    assert [record.file for record in files.accepted] == ["today.json"]
    assert "in the future" in files.rejected["tomorrow.json"]


def in_zone(settings: Settings, time_zone: str) -> Settings:
    return settings.model_copy(update={"time_zone": time_zone})


def test_a_request_nobody_works_on_is_announced_again_and_then_left_for_a_while(sales_settings: Settings) -> None:
    (sales_settings.landing / "a.json").write_text(json.dumps(FORM))
    [record] = wake_up_after(sales_settings, 0).files.accepted
    assert wake_up_after(sales_settings, 30).announce == ()
    long_ago = datetime.now(UTC).timestamp() - 1000
    os.utime(sales_settings.landing / "accepted" / f"{record.id}.json", (long_ago, long_ago))
    assert wake_up_after(sales_settings, 0).announce == tuple(announce([record]))
    assert wake_up_after(sales_settings, 30).announce == ()


def test_a_request_accepted_before_a_crash_is_announced_later(sales_settings: Settings, queue: Queue) -> None:
    [record] = send_form(sales_settings, FORM, now=datetime.now(UTC), origin="run that was killed")
    assert wake_up_after(sales_settings, 300).announce == tuple(announce([record]))
    assert queue.records("accepted") == [record]


def test_a_request_of_a_table_that_is_gone_for_ten_minutes_fails_and_says_why(
    sales_settings: Settings, queue: Queue
) -> None:
    [record] = send_form(sales_settings, FORM)
    shutil.rmtree(sales_settings.tables / "visits")
    for minutes in (60, 65, 69):
        assert wake_up_after(sales_settings, minutes * 60).announce == ()
        assert queue.records("failed") == []
    assert wake_up_after(sales_settings, 70 * 60).announce == ()
    [failed] = queue.records("failed")
    assert failed.id == record.id
    assert failed.failed[0].days == record.days
    assert "the table 'visits' no longer exists" in failed.failed[0].error


def test_a_table_folder_that_is_gone_now_and_then_fails_no_request(sales_settings: Settings, queue: Queue) -> None:
    [record] = send_form(sales_settings, FORM)
    aside = sales_settings.home / "aside"
    for minutes in range(60, 90, 6):
        (sales_settings.tables / "visits").rename(aside)
        assert wake_up_after(sales_settings, minutes * 60).announce == ()
        aside.rename(sales_settings.tables / "visits")
        assert wake_up_after(sales_settings, minutes * 60 + 180).announce == tuple(announce([record]))
        neglect(queue, [record])


def test_a_request_of_a_table_that_is_broken_waits_until_it_is_mended(sales_settings: Settings, queue: Queue) -> None:
    [record] = send_form(sales_settings, FORM)
    (sales_settings.tables / "visits" / "query.sql").write_text("selec")
    wake_up_after(sales_settings, 3600)
    assert queue.records("accepted") == [record]


def test_a_request_is_announced_once_at_a_time(sales_settings: Settings) -> None:
    records = send_form(sales_settings, FORM)
    intake = wake_up_after(sales_settings, 3600, ask=lambda **_: records)
    assert intake.announce == tuple(announce(records))


def test_a_form_that_breaks_a_rule_holds_up_no_file_and_is_refused_with_its_sentence(sales_settings: Settings) -> None:
    (sales_settings.landing / "a.json").write_text(json.dumps(FORM))
    bad_form = FORM | {"end_date": "2024-02-30"}
    intake = wake_up_after(sales_settings, 5, ask=lambda now: send_form(sales_settings, bad_form, now=now))
    assert [one.table for one in intake.announce] == ["visits"]
    assert intake.refusals == ("end_date '2024-02-30' is not in the calendar; write a day that exists",)


def test_what_a_form_asks_for_stands_between_the_files_that_came_before_it_and_those_that_came_after(
    sales_settings: Settings, queue: Queue
) -> None:
    (sales_settings.landing / "z-before.json").write_text(json.dumps(FORM))
    asked_at = datetime.now(UTC)
    (sales_settings.landing / "a-after.json").write_text(json.dumps(FORM))
    wake_up(
        sales_settings,
        now=datetime.now(UTC) + timedelta(minutes=1),
        ask=lambda now: send_form(sales_settings, FORM, now=now),
        asked_at=asked_at,
    )
    assert [record.file or record.mode for record in queue.accepted("visits")] == [
        "z-before.json",
        "manual",
        "a-after.json",
    ]


def test_a_form_for_a_broken_table_holds_up_no_file(sales_settings: Settings) -> None:
    (sales_settings.tables / "sales" / "query.sql").write_text("selec")
    (sales_settings.landing / "a.json").write_text(json.dumps(FORM))
    bad_form = FORM | {"table": "sales"}
    intake = wake_up_after(sales_settings, 5, ask=lambda now: send_form(sales_settings, bad_form, now=now))
    assert [one.table for one in intake.announce] == ["visits"]
    assert "table 'sales' is broken" in intake.refusals[0]


def test_a_look_that_waited_for_another_accepts_later_than_it(sales_settings: Settings, queue: Queue) -> None:
    ticks = count()

    def clock() -> datetime:
        return NOON + next(ticks) * DAY

    with file_lock(sales_settings.landing / ".intake.lock"):
        catalog = Catalog.load(sales_settings.tables)
        second = Thread(
            target=collect_requests,
            args=(sales_settings, catalog),
            kwargs={"clock": clock, "leave_out": leave_out_waiting},
        )
        second.start()
        queue.add_all(send_form(sales_settings, FORM, now=clock()))
        (sales_settings.landing / "later.json").write_text(json.dumps(FORM))
    second.join()
    assert [record.mode for record in queue.accepted("visits")] == ["manual", "landing"]


@pytest.mark.parametrize("name", [".lock", ".intake.lock", ".knock"])
def test_a_folder_that_stands_where_a_file_of_ours_has_to_be_is_moved_aside(
    sales_settings: Settings, name: str
) -> None:
    landing = sales_settings.landing
    (landing / name).mkdir(parents=True)
    (landing / name / "mine.txt").write_text("mine")
    wake_up(sales_settings, now=NOON, ask=lambda now: send_form(sales_settings, FORM, now=now))
    queue = Queue(landing)
    records = queue.records("accepted")
    knock(queue, records)
    assert [queue.cancel(record.id, now=NOON) is not None for record in records] == [True]
    assert (landing / f"{name.strip('.').replace('.', '-')}-moved-aside" / "mine.txt").read_text() == "mine"
