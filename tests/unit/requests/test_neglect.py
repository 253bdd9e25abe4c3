"""Neglect: an accepted request that nobody took care of for a while is announced again."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta

import pytest

from reloads.days import Days
from reloads.requests.neglect import BEGUN, LONGEST_WAIT, attend, find_neglected, note_begun_run
from reloads.requests.queue import Queue
from reloads.requests.record import Record

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def record(name: str = "r", *, accepted_at: datetime = NOW) -> Record:
    days = Days.between(date(2024, 6, 1), date(2024, 6, 7))
    return Record(id=name, accepted_at=accepted_at, mode="landing", table="sales", days=days)


def is_neglected(queue: Queue, *, age: timedelta, idle: timedelta, after: timedelta = MINUTE) -> bool:
    queue.add(record(accepted_at=NOW - age))
    touched = (NOW - idle).timestamp()
    os.utime(queue.landing / "accepted" / "r.json", (touched, touched))
    return bool(find_neglected(queue, now=NOW, after=after))


@pytest.mark.parametrize(
    ("age", "idle", "neglected"),
    [
        pytest.param(timedelta(), timedelta(), False, id="just accepted"),
        pytest.param(0.9 * MINUTE, 0.9 * MINUTE, False, id="almost a minute old"),
        pytest.param(2 * MINUTE, 2 * MINUTE, True, id="two minutes old and nobody came"),
        pytest.param(2 * MINUTE, 0.9 * MINUTE, False, id="two minutes old and somebody came"),
        pytest.param(60 * MINUTE, 2 * MINUTE, False, id="an hour old: patience has grown"),
        pytest.param(60 * MINUTE, 5 * MINUTE, True, id="an hour old: patience has an end"),
        pytest.param(timedelta(days=7), 10 * MINUTE, False, id="a week old: not every minute"),
        pytest.param(timedelta(days=7), 12 * MINUTE, True, id="a week old: every eleven minutes"),
        pytest.param(timedelta(days=700), MINUTE + LONGEST_WAIT, True, id="years old: no longer than that"),
        pytest.param(2 * MINUTE, timedelta(seconds=-5), False, id="a clock that is ahead a little"),
        pytest.param(2 * MINUTE, timedelta(days=-30), True, id="touched next month"),
        pytest.param(timedelta(hours=-3), timedelta(seconds=1), False, id="accepted in three hours, just now"),
    ],
)
def test_a_request_is_neglected_if_nobody_came_for_a_while_that_grows(
    queue: Queue,
    age: timedelta,
    idle: timedelta,
    neglected: bool,  # noqa: FBT001
) -> None:
    assert is_neglected(queue, age=age, idle=idle) == neglected


@pytest.mark.parametrize(
    ("begun", "idle", "neglected"),
    [
        pytest.param(0.5 * MINUTE, 2 * MINUTE, False, id="runs are begun: its own is in line"),
        pytest.param(0.5 * MINUTE, 9.9 * MINUTE, False, id="that may take long"),
        pytest.param(0.5 * MINUTE, 10.1 * MINUTE, True, id="but not forever"),
        pytest.param(1.1 * MINUTE, 2 * MINUTE, True, id="no run is begun: its own is lost"),
        pytest.param(timedelta(days=-30), 2 * MINUTE, True, id="a run of next month says nothing"),
        pytest.param(0.5 * MINUTE, timedelta(seconds=NOW.timestamp()), True, id="nobody has announced it"),
    ],
)
def test_while_runs_are_begun_a_request_may_wait_ten_times_as_long(
    queue: Queue,
    begun: timedelta,
    idle: timedelta,
    neglected: bool,  # noqa: FBT001
) -> None:
    note_begun_run(queue.landing)
    moment = (NOW - begun).timestamp()
    os.utime(queue.landing / BEGUN, (moment, moment))
    assert is_neglected(queue, age=2 * MINUTE, idle=idle) == neglected


def test_a_slow_rescan_is_not_outrun_by_its_own_patience(queue: Queue) -> None:
    hour, week = timedelta(hours=1), timedelta(days=7)
    assert not is_neglected(queue, age=week, idle=1.9 * hour, after=hour)
    assert is_neglected(queue, age=week, idle=2.1 * hour, after=hour)


def test_who_is_attended_to_is_not_neglected(queue: Queue) -> None:
    now = datetime.now(UTC)
    queue.add(record(accepted_at=now - 2 * MINUTE))
    os.utime(queue.landing / "accepted" / "r.json", (0, 0))
    [neglected] = find_neglected(queue, now=now, after=MINUTE)
    attend(queue, [neglected, record("gone")])
    assert find_neglected(queue, now=now, after=MINUTE) == []


def test_only_accepted_requests_can_be_neglected(queue: Queue) -> None:
    for state in ("done", "failed", "rejected", "cancelled"):
        (queue.folder(state) / "r.json").write_text(record().to_json())
        os.utime(queue.folder(state) / "r.json", (0, 0))
    assert find_neglected(queue, now=NOW, after=MINUTE) == []


def test_a_link_that_leads_nowhere_hides_no_neglected_request(queue: Queue) -> None:
    assert is_neglected(queue, age=10 * MINUTE, idle=10 * MINUTE)
    (queue.folder("accepted") / "loop.json").symlink_to("loop.json")
    assert [each.id for each in find_neglected(queue, now=NOW, after=MINUTE)] == ["r"]
