"""Sending: each message once to each who wants it, again after a pause where it was not taken, and for a day."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reloads.days import Days
from reloads.outcome import Failure, Outcome
from reloads.requests.outbox import Note, Outbox
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.messages import Message
from reloads.runs.receivers import Receiver, Receivers
from reloads.runs.sending import Pauses, Sender
from reloads.settings import EVENTS, Settings
from tests.support.message_listener import MessageListener, message_listener
from tests.support.process_kill import Killed, killed_after

NOW = datetime(2025, 2, 1, 12, tzinfo=UTC)
DAYS = Days.parse(["2025-01-01..2025-01-03"])


class Clock:
    """A time that tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def listener() -> Iterator[MessageListener]:
    with message_listener() as up:
        yield up


@pytest.fixture
def other() -> Iterator[MessageListener]:
    with message_listener() as up:
        yield up


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    box = Outbox(tmp_path)
    box.open(EVENTS)
    return box


Send = Callable[..., None]


@pytest.fixture
def send(box: Outbox, clock: Clock) -> Send:
    """Send to these listeners what is there, by one sender that remembers."""
    sender = Sender(box)

    def send(*listeners: MessageListener, sender: Sender = sender) -> None:
        sender.send(receivers_of(*listeners), page_url="", clock=clock)

    return send


def receivers_of(*listeners: MessageListener) -> Receivers:
    environment = {"RELOADS_NOTIFY": " ".join(each.url for each in listeners), "RELOADS_NOTIFY_ON": " ".join(EVENTS)}
    return Receivers.of(Settings.from_environment(environment), [], {})


def end(box: Outbox, name: str = "r1", error: str = "no") -> None:
    """A request ends, which leaves a note."""
    record = Record(id=name, mode="landing", table="flights", days=DAYS, accepted_at=NOW)
    queue = Queue(box.landing)
    queue.add(record)
    queue.settle(name, Outcome(failed=(Failure(days=DAYS, error=error),)), run="run/1", now=NOW)


def test_a_message_is_sent_once_to_each(
    box: Outbox, send: Send, listener: MessageListener, other: MessageListener
) -> None:
    end(box)
    send(listener, other)
    send(listener, other)
    assert listener.titles == other.titles == ["flights: 3 of 3 days failed"]
    assert box.notes() == []


def test_what_nobody_wants_any_more_is_forgotten(box: Outbox, send: Send) -> None:
    end(box)
    send()
    assert box.notes() == []


@pytest.mark.parametrize("trouble", ["refuses", "hangs", "down"])
def test_a_message_that_was_not_taken_comes_once_the_listener_is_back(
    box: Outbox, send: Send, listener: MessageListener, clock: Clock, trouble: Any
) -> None:
    end(box)
    if trouble == "down":
        listener.stop()
    else:
        listener.mood = trouble
    send(listener)
    assert (listener.titles, len(box.notes())) == ([], 1)
    listener.mood = "takes"
    if trouble == "down":
        listener.start()
    clock.wait(seconds=9)
    send(listener)
    assert listener.titles == []
    clock.wait(seconds=1)
    send(listener)
    assert listener.titles == ["flights: 3 of 3 days failed"]
    assert box.notes() == []


def test_one_listener_in_trouble_holds_up_no_other_and_nobody_is_told_twice(
    box: Outbox, send: Send, listener: MessageListener, other: MessageListener, clock: Clock
) -> None:
    other.mood = "refuses"
    end(box)
    send(listener, other)
    assert (len(listener.titles), len(other.titles)) == (1, 0)
    other.mood = "takes"
    clock.wait(minutes=1)
    send(listener, other)
    assert (len(listener.titles), len(other.titles)) == (1, 1)


def test_a_listener_in_trouble_is_tried_once_a_pause_however_many_messages_wait(
    box: Outbox, send: Send, listener: MessageListener, clock: Clock
) -> None:
    listener.mood = "refuses"
    for number in range(5):
        end(box, f"r{number}")
    for _ in range(10):
        send(listener)
    assert listener.tries == 1
    clock.wait(seconds=10)
    send(listener)
    clock.wait(seconds=19)
    send(listener)
    assert listener.tries == 2


def test_the_pauses_grow_to_a_quarter_of_an_hour() -> None:
    pauses = [Pauses().after(faults).total_seconds() for faults in (1, 2, 3, 7, 8, 1000)]
    assert pauses == [10, 20, 40, 640, 900, 900]


def test_after_a_day_a_message_is_given_up_with_a_line_in_the_log(
    box: Outbox, send: Send, listener: MessageListener, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    listener.mood = "refuses"
    end(box)
    for _ in range(6):
        send(listener)
        clock.wait(hours=4)
    assert len(box.notes()) == 1
    clock.wait(hours=1)
    send(listener)
    assert box.notes() == []
    assert "'flights: 3 of 3 days failed' is given up after a day" in caplog.text


def test_messages_that_waited_longer_than_a_day_for_a_sender_are_tried_some_times(
    box: Outbox, send: Send, listener: MessageListener, clock: Clock
) -> None:
    for number in range(12):
        end(box, f"r{number}")
    clock.wait(days=3)
    listener.mood = "refuses"
    for _ in range(4):
        send(listener)
        clock.wait(hours=1)
    listener.mood = "takes"
    send(listener)
    send(listener)
    assert len(listener.titles) == 12


def test_a_message_that_is_never_taken_holds_up_no_other(box: Outbox, clock: Clock) -> None:
    for name in ("r1", "r2", "r3"):
        end(box, name)
    taken: list[str] = []

    def take_others(_: Receiver, messages: Sequence[Message]) -> tuple[int, str | None]:
        for place, message in enumerate(messages):
            if "Request r1 " in message.body:
                return place, "too long"
            taken.append(message.body.split()[1])
        return len(messages), None

    sender = Sender(box, deliver=take_others)
    receivers = Receivers.of(Settings.from_environment({"RELOADS_NOTIFY": "json://a"}), [], {})
    for _ in range(2):
        sender.send(receivers, page_url="", clock=clock)
        clock.wait(minutes=1)
    assert sorted(taken) == ["r2", "r3"]
    assert [note.content["id"] for note in box.notes()] == ["r1"]


def test_a_fault_is_one_line_in_the_log_and_holds_no_secret(
    box: Outbox, send: Send, listener: MessageListener, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    listener.mood = "refuses"
    end(box)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            send(listener)
            clock.wait(hours=1)
    lines = [record.getMessage() for record in caplog.records if "takes no messages" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith("URL 1 of RELOADS_NOTIFY takes no messages")
    assert "some-" not in caplog.text


def test_a_request_that_is_about_to_end_is_not_told_yet(box: Outbox, send: Send, listener: MessageListener) -> None:
    end(box)
    failed = box.landing / "failed" / "r1.json"
    failed.rename(box.landing / "accepted" / "r1.json")
    send(listener)
    assert listener.titles == []
    (box.landing / "accepted" / "r1.json").rename(failed)
    send(listener)
    assert len(listener.titles) == 1


def test_a_request_that_was_asked_for_again_is_told_all_the_same(
    box: Outbox, send: Send, listener: MessageListener
) -> None:
    end(box)
    (box.landing / "failed" / "r1.json").unlink()
    send(listener)
    assert len(listener.titles) == 1


def test_more_messages_than_one_process_takes_all_come_in_their_order(
    box: Outbox, send: Send, listener: MessageListener
) -> None:
    box.put(
        Note("rejected", str(n), NOW + timedelta(seconds=n), {"file": f"{n}.json", "sentence": "no", "path": "-"})
        for n in range(-100, -76)
    )
    for _ in range(3):
        send(listener)
    assert listener.titles == [f"request file {n}.json rejected" for n in range(-100, -76)]


def test_a_note_of_another_release_is_dropped_with_a_line(
    box: Outbox, send: Send, listener: MessageListener, caplog: pytest.LogCaptureFixture
) -> None:
    box.put([Note("late", "x", NOW, {"what": 1}), Note("ended", "y", NOW, {"id": "r9"})])
    end(box)
    send(listener)
    assert len(listener.titles) == 1
    assert box.notes() == []
    assert "is dropped" in caplog.text


def test_wherever_a_sender_is_killed_nothing_is_lost_and_nothing_comes_twice_but_where_it_was_just_taken(
    tmp_path: Path, clock: Clock
) -> None:
    counts: list[int] = []
    for steps in range(100):
        box = Outbox(tmp_path / str(steps))
        box.landing.mkdir()
        box.open(EVENTS)
        end(box, "r1")
        end(box, "r2")
        taken: list[str] = []

        def take(_: Receiver, messages: Sequence[Message], taken: list[str] = taken) -> tuple[int, None]:
            taken += [message.body.split()[1] for message in messages]
            return len(messages), None

        receivers = Receivers.of(Settings.from_environment({"RELOADS_NOTIFY": "json://a"}), [], {})
        try:
            with killed_after(steps, box.landing):
                Sender(box, deliver=take).send(receivers, page_url="", clock=clock)
            break
        except Killed:
            Sender(box, deliver=take).send(receivers, page_url="", clock=clock)
        assert set(taken) == {"r1", "r2"}
        assert box.notes() == []
        counts.append(len(taken))
    # Killed before the first was marked, between the two, before the removals.
    assert counts[0] == 4
    assert 3 in counts
    assert counts[-1] == 2
