"""Events on ``requested/<table>``: those of this pipeline only wake, a foreign one becomes a request once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from reloads.days import Days
from reloads.outcome import Outcome
from reloads.requests.announcement import Announcement
from reloads.requests.events import (
    LOOK_BACK,
    RequestEvent,
    accept_foreign_events,
    publication_extra,
    unseen_since,
)
from reloads.requests.intake import request_by_hand
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
JUNE = {"start_date": "2024-06-01", "end_date": "2024-06-30"}


def event(extra: dict[str, Any], *, at: datetime = NOW, number: int = 1) -> RequestEvent:
    return RequestEvent(timestamp=at, origin=f"event/{number}", extra=extra)


def accept(settings: Settings, *events: RequestEvent) -> list[Record]:
    return accept_foreign_events(settings, Catalog.load(settings.tables), "sales", events, now=NOW)


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


# how far the log was read


def test_events_are_read_from_a_little_before_the_newest_seen(sales_settings: Settings) -> None:
    older, newer = event({}, at=NOW - 30 * MINUTE), event(JUNE, at=NOW - 20 * MINUTE, number=2)
    accept(sales_settings, newer, older)
    assert unseen_since(sales_settings, "sales", now=NOW) == NOW - 20 * MINUTE - LOOK_BACK


def test_before_the_first_event_a_day_is_looked_through(sales_settings: Settings) -> None:
    assert unseen_since(sales_settings, "sales", now=NOW) == NOW - timedelta(days=1) - LOOK_BACK
    accept(sales_settings)
    assert unseen_since(sales_settings, "sales", now=NOW) == NOW - timedelta(days=1) - LOOK_BACK


def test_events_of_this_pipeline_move_the_watermark_too(sales_settings: Settings) -> None:
    accept(sales_settings, event({"request": "r"}, at=NOW - 5 * MINUTE))
    assert unseen_since(sales_settings, "sales", now=NOW) == NOW - 5 * MINUTE - LOOK_BACK


def test_the_watermark_never_moves_back(sales_settings: Settings) -> None:
    accept(sales_settings, event(JUNE, at=NOW))
    accept(sales_settings, event(JUNE, at=NOW - 5 * MINUTE, number=2))
    assert unseen_since(sales_settings, "sales", now=NOW) == NOW - LOOK_BACK


def test_tables_are_followed_apart(sales_settings: Settings) -> None:
    accept(sales_settings, event(JUNE))
    assert unseen_since(sales_settings, "visits", now=NOW) == NOW - timedelta(days=1) - LOOK_BACK


# what this pipeline's events say


def test_a_publication_names_its_ranges() -> None:
    published = Days.parse(["2024-06-01..2024-06-03", "2024-06-30"])
    assert publication_extra("sales", published) == JUNE | {"table": "sales", "ranges": published.texts()}
