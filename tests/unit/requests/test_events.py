"""Events on ``requested/<table>``: those of this pipeline only wake, a foreign one becomes a request once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.outcome import Outcome
from reloads.requests import event_pages
from reloads.requests import events as events_module
from reloads.requests.announcement import Announcement, look_again_extra
from reloads.requests.event_pages import RequestEvent, UnreadableEventError
from reloads.requests.events import LOOK_BACK, FollowedEvents, accept_foreign_events
from reloads.requests.intake import request_by_hand
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from tests.conftest import THREE_ROWS_A_DAY, define_table

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
JUNE = {"start_date": "2024-06-01", "end_date": "2024-06-30"}


class Log:
    """Airflow's log of the events of one table, in the order in which they became visible."""

    def __init__(self, *events: RequestEvent) -> None:
        self.events = list(events)
        self.reads: list[datetime] = []

    def read_page(self, after: datetime, limit: int, before: datetime | None = None) -> Sequence[RequestEvent]:
        self.reads.append(after)
        visible = [each for each in self.events if after <= each.timestamp and (not before or each.timestamp <= before)]
        page = sorted(visible, key=lambda each: each.timestamp)[:limit]
        if any(each.fault for each in page):
            raise UnreadableEventError("it is nested too deep")
        return page


def event(extra: dict[str, Any], *, at: datetime = NOW, number: int = 1) -> RequestEvent:
    return RequestEvent(timestamp=at, origin=f"event/{number}", extra=extra)


def follow(settings: Settings, log: Log, *, now: datetime = NOW) -> FollowedEvents:
    return accept_foreign_events(settings, Catalog.load(settings.tables), "sales", log.read_page, now=now)


def accept(settings: Settings, *events: RequestEvent) -> list[Record]:
    return follow(settings, Log(*events)).accepted


def send_form(settings: Settings, fields: dict[str, Any]) -> list[Record]:
    return request_by_hand(settings, Catalog.load(settings.tables), fields, now=NOW, origin="run")


def notes(queue: Queue) -> list[str]:
    return sorted(path.read_text() for path in (queue.landing / "rejected").glob("*"))


def test_a_foreign_event_becomes_a_request(sales_settings: Settings, queue: Queue) -> None:
    [record] = accept(sales_settings, event(JUNE | {"reason": "rates came late", "team": "finance"}))
    assert (record.mode, record.table, record.reason) == ("event", "sales", "rates came late")
    assert record.days == Days.between(date(2024, 6, 1), date(2024, 6, 30))
    assert queue.accepted("sales") == [record]


def test_an_event_of_this_pipeline_only_wakes(sales_settings: Settings, queue: Queue) -> None:
    [record] = send_form(sales_settings, {"table": "sales"} | JUNE)
    assert accept(sales_settings, event(Announcement.of(record).extra())) == []
    assert queue.accepted("sales") == [record]


def test_an_event_seen_twice_is_accepted_once(sales_settings: Settings, queue: Queue) -> None:
    assert len(accept(sales_settings, event(JUNE), event(JUNE))) == 1
    assert accept(sales_settings, event(JUNE)) == []
    assert len(queue.accepted("sales")) == 1


def test_an_event_seen_again_after_its_request_is_done_is_not_accepted_again(
    sales_settings: Settings, queue: Queue
) -> None:
    [record] = accept(sales_settings, event(JUNE))
    queue.settle(record.id, Outcome(published=record.days), run="run", now=NOW)
    assert accept(sales_settings, event(JUNE)) == []


def test_two_events_for_the_same_days_are_two_requests(sales_settings: Settings) -> None:
    assert len(accept(sales_settings, event(JUNE, number=1), event(JUNE, number=2))) == 2


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        pytest.param({}, 'the field "start_date" is missing; write an object like', id="nothing"),
        pytest.param(JUNE | {"start_date": "1.6.2024"}, "start_date '1.6.2024' is not a day of the form", id="no day"),
        pytest.param(JUNE | {"end_date": "2024-05-01"}, "end_date 2024-05-01 is before", id="inverted"),
        pytest.param(JUNE | {"end_date": "2024-07-02"}, "end_date 2024-07-02 is in the future", id="future"),
        pytest.param(JUNE | {"start_date": "2023-12-31"}, "begin at 2024-01-01", id="before the first day"),
        pytest.param(
            JUNE | {"table": "visits"}, "'visits' is not the one whose asset the event is on", id="other table"
        ),
        pytest.param(JUNE | {"table": None}, "None is not the one whose asset the event is on", id="null for a table"),
        pytest.param(JUNE | {"table": "x" * 10**6}, "is not the one whose asset the event is on", id="long table"),
        pytest.param(
            JUNE | {"keys": {"shop": [1]}}, "'sales' has no key \"shop\"; it has none, leave keys out", id="keys"
        ),
    ],
)
def test_a_bad_event_is_rejected_with_a_sentence_and_the_good_one_beside_it_is_accepted(
    sales_settings: Settings, queue: Queue, extra: dict[str, Any], words: str
) -> None:
    assert len(accept(sales_settings, event(extra), event(JUNE, number=2))) == 1
    [note] = notes(queue)
    assert note.startswith(f"event on requested/sales of {NOW.isoformat()} by event/1: ")
    assert words in note
    assert note.removesuffix("\n").isprintable()
    assert len(note) < 400


def test_a_bad_event_seen_twice_is_rejected_once(sales_settings: Settings, queue: Queue) -> None:
    accept(sales_settings, event({}))
    accept(sales_settings, event({}))
    assert len(notes(queue)) == 1


def test_two_bad_events_of_one_moment_are_both_rejected(sales_settings: Settings, queue: Queue) -> None:
    accept(sales_settings, event({}, number=1), event({}, number=2))
    assert len(notes(queue)) == 2


# how far the log is read


def first_read(settings: Settings, *events: RequestEvent) -> datetime:
    """From which time on a plan reads, after these events were seen."""
    if events:
        accept(settings, *events)
    log = Log()
    follow(settings, log)
    return log.reads[0]


def test_events_are_read_from_a_little_before_the_newest_seen(sales_settings: Settings) -> None:
    older, newer = event({}, at=NOW - 30 * MINUTE), event(JUNE, at=NOW - 20 * MINUTE, number=2)
    assert first_read(sales_settings, newer, older) == NOW - 20 * MINUTE - LOOK_BACK


def test_before_the_first_event_a_day_is_looked_through(sales_settings: Settings) -> None:
    for _ in range(2):
        assert first_read(sales_settings) == NOW - timedelta(days=1) - LOOK_BACK


def test_events_of_this_pipeline_move_the_mark_too(sales_settings: Settings) -> None:
    assert first_read(sales_settings, event({"request": "r"}, at=NOW - 5 * MINUTE)) == NOW - 5 * MINUTE - LOOK_BACK


def test_the_mark_never_moves_back(sales_settings: Settings) -> None:
    accept(sales_settings, event(JUNE, at=NOW))
    assert first_read(sales_settings, event(JUNE, at=NOW - 5 * MINUTE, number=2)) == NOW - LOOK_BACK


def test_tables_are_followed_apart(sales_settings: Settings) -> None:
    accept(sales_settings, event(JUNE))
    log = Log()
    accept_foreign_events(sales_settings, Catalog.load(sales_settings.tables), "visits", log.read_page, now=NOW)
    assert log.reads == [NOW - timedelta(days=1) - LOOK_BACK]


def test_a_mark_of_an_earlier_version_is_a_time_alone(sales_settings: Settings) -> None:
    mark = sales_settings.landing / ".watermarks" / "events-sales"
    mark.parent.mkdir()
    mark.write_text(f"{(NOW - MINUTE).isoformat()}\n")
    assert first_read(sales_settings) == NOW - MINUTE - LOOK_BACK


# whatever one event holds


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"start_date": float("nan")}, id="not a number"),
        pytest.param(JUNE | {"reason": "\ud83d"}, id="half a character"),
        pytest.param(JUNE | {"parameters": {"a": [[]] * 10**6}}, id="huge"),
        pytest.param(JUNE | {"reason": {"a": object()}}, id="no JSON"),
        pytest.param(JUNE | {"table": "\x1b[2J\n\u202e"}, id="control characters"),
        pytest.param(["start_date"], id="a list"),
    ],
)
def test_an_event_that_nobody_can_judge_is_rejected_in_one_printable_line_and_holds_up_no_other(
    sales_settings: Settings, queue: Queue, extra: Any
) -> None:
    followed = follow(sales_settings, Log(event(extra), event(JUNE, number=2)))
    assert len(followed.accepted) == 1
    [note], [sentence] = notes(queue), followed.rejected
    assert note == f"{sentence}\n"
    assert sentence.isprintable()
    assert len(sentence) <= 1000


def test_an_event_that_the_log_cannot_hand_out_is_rejected_once_and_the_others_are_accepted(
    sales_settings: Settings, queue: Queue
) -> None:
    unreadable = RequestEvent(NOW - 5 * MINUTE, "event/deep", {}, fault="deep")
    others = [event(JUNE, at=NOW - minutes * MINUTE, number=minutes) for minutes in (9, 7, 3, 1)]
    log = Log(*others, unreadable)
    assert len(follow(sales_settings, log).accepted) == 4
    [note] = notes(queue)
    assert "its extra cannot be read (it is nested too deep)" in note
    assert follow(sales_settings, log) == FollowedEvents()


def test_while_the_table_is_broken_an_event_waits_as_a_file_in_the_drop_folder(
    sales_settings: Settings, queue: Queue
) -> None:
    query = sales_settings.tables / "sales" / "query.sql"
    query.write_text("selec")
    log = Log(event(JUNE | {"reason": "late"}), event({"start_date": "1.6.2024"}, number=2))
    followed = follow(sales_settings, log)
    assert (followed.accepted, len(followed.rejected)) == ([], 1)
    [file] = queue.landing.glob("event-sales-*.json")
    assert json.loads(file.read_text()) == JUNE | {"table": "sales", "reason": "late"}
    file.unlink()
    assert follow(sales_settings, log) == FollowedEvents()
    assert list(queue.landing.glob("event-*")) == []


# many events


def test_more_events_of_one_moment_than_a_page_holds_are_all_accepted(sales_settings: Settings) -> None:
    count = 3 * event_pages.PAGE_SIZE
    log = Log(*(event(JUNE, number=number) for number in range(count)))
    assert len(follow(sales_settings, log).accepted) == count
    assert follow(sales_settings, log).accepted == []


def test_after_a_crowd_what_is_new_is_served_without_reading_the_crowd_again(sales_settings: Settings) -> None:
    crowd = [event(JUNE, at=NOW - MINUTE, number=number) for number in range(events_module.CROWD + 1)]
    log = Log(*crowd)
    follow(sales_settings, log)
    log.events.append(event(JUNE, number=10**6))
    log.reads.clear()
    followed = follow(sales_settings, log)
    assert (len(followed.accepted), followed.look_again) == (1, True)
    assert min(log.reads) >= NOW - MINUTE

    late = event(JUNE, at=NOW - 2 * MINUTE, number=10**7)
    log.events += [late, event(look_again_extra("sales"), number=10**8)]
    followed = follow(sales_settings, log)
    assert ([record.days for record in followed.accepted], followed.look_again) == (
        [Days.parse(["2024-06-01..2024-06-30"])],
        False,
    )


class Killed(BaseException):
    """The process ends while it reads."""


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[int, bool, bool]]]:
    """Events by the plan before which they become visible: seconds before that plan, whether good, whether ours."""
    one = st.tuples(st.integers(0, int(LOOK_BACK.total_seconds())) | st.integers(0, 3), st.booleans(), st.booleans())
    return draw(st.lists(st.lists(one, max_size=8), min_size=1, max_size=5))


@given(histories(), st.integers(1, 4), st.integers(1, 12), st.data())
def test_every_foreign_event_is_accepted_or_rejected_once_whenever_it_becomes_visible_and_whatever_is_killed(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[list[tuple[int, bool, bool]]],
    page_size: int,
    crowd: int,
    data: st.DataObject,
) -> None:
    home = tmp_path_factory.mktemp("home")
    define_table(home / "tables", "sales", THREE_ROWS_A_DAY)
    (home / "landing").mkdir()
    settings = Settings.from_environment({"RELOADS_HOME": str(home)})
    log, now = Log(), NOW
    good: set[str] = set()
    bad: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_pages, "PAGE_SIZE", page_size)
        patch.setattr(events_module, "CROWD", crowd)
        for arriving in history:
            now += 2 * MINUTE
            for seconds, is_good, is_ours in arriving:
                number = len(log.events) + 1
                extra: dict[str, Any] = {"request": "ours"} if is_ours else JUNE if is_good else {}
                log.events.append(event(extra, at=now - timedelta(seconds=seconds), number=number))
                if not is_ours:
                    (good if is_good else bad).add(f"event/{number}")
            if data.draw(st.booleans(), label="killed"):
                kill_at(settings, log, reads=data.draw(st.integers(1, 4), label="reads"), now=now)
            while follow(settings, log, now=now).look_again:
                log.events.append(event(look_again_extra("sales"), at=now, number=len(log.events) + 1))
        accepted = Queue(settings.landing).accepted("sales")
        sentences = notes(Queue(settings.landing))
    assert len(accepted) == len(good)
    assert len({record.id for record in accepted}) == len(good)
    assert {sentence.partition(" by ")[2].partition(":")[0] for sentence in sentences} == bad
    assert len(sentences) == len(bad)


def kill_at(settings: Settings, log: Log, *, reads: int, now: datetime) -> None:
    """Follow the log, and be killed at that read."""
    left = reads

    def read_page(after: datetime, limit: int, before: datetime | None = None) -> Sequence[RequestEvent]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return log.read_page(after, limit, before)

    try:
        accept_foreign_events(settings, Catalog.load(settings.tables), "sales", read_page, now=now)
    except Killed:
        return


def test_a_log_that_does_not_answer_is_tried_again_from_where_it_was(sales_settings: Settings, queue: Queue) -> None:
    log = Log(*(event(JUNE, at=NOW - 9 * MINUTE + n * timedelta(seconds=1), number=n) for n in range(500)))

    def fails_at_the_third(after: datetime, limit: int, before: datetime | None = None) -> Sequence[RequestEvent]:
        if len(log.reads) == 2:
            raise OperatorError("the API server does not answer")
        return log.read_page(after, limit, before)

    catalog = Catalog.load(sales_settings.tables)
    with pytest.raises(OperatorError):
        accept_foreign_events(sales_settings, catalog, "sales", fails_at_the_third, now=NOW)
    seen = len(queue.accepted("sales"))
    assert 0 < seen < 500
    assert len(follow(sales_settings, log).accepted) == 500 - seen
