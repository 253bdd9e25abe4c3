"""Delivery by the real Apprise to a real listener: what is taken, what is not and why, and no secret anywhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from reloads.runs.delivery import deliver, mask
from reloads.runs.messages import Message
from reloads.runs.receivers import Receiver
from tests.support.message_listener import MessageListener, message_listener

SECRETS = ("some-user", "some-password", "some-token")


@pytest.fixture
def listener() -> Iterator[MessageListener]:
    with message_listener() as up:
        yield up


def message(number: int = 1) -> Message:
    return Message(frozenset({"failed"}), "flights", "failure", f"title {number}", "a line\nanother")


def receiver(url: str) -> Receiver:
    return Receiver("URL 1 of RELOADS_NOTIFY", SecretStr(url))


def test_messages_arrive_in_their_order_with_title_text_and_kind(listener: MessageListener) -> None:
    assert deliver(receiver(listener.url), [message(1), message(2)]) == (2, None)
    assert listener.titles == ["title 1", "title 2"]
    path, body = listener.bodies[0]
    assert (path.split("?")[0], body["message"], body["type"]) == ("/some-token", "a line\nanother", "failure")


def test_what_is_refused_is_told_and_the_rest_is_not_tried(listener: MessageListener) -> None:
    listener.mood = "refuses"
    taken, fault = deliver(receiver(listener.url), [message(1), message(2)])
    assert (taken, listener.tries) == (0, 1)
    assert fault
    assert "500" in fault


def test_a_listener_that_is_down_is_told(listener: MessageListener) -> None:
    listener.stop()
    taken, fault = deliver(receiver(listener.url), [message()])
    assert taken == 0
    assert fault
    assert "onnection" in fault


def test_a_listener_that_hangs_costs_no_more_than_the_time_that_is_given(listener: MessageListener) -> None:
    listener.mood = "hangs"
    begun = time.monotonic()
    taken, fault = deliver(receiver(f"json://127.0.0.1:{listener.port}/?rto=300"), [message()], seconds=3)
    assert (taken, fault) == (0, "no answer within 3 s")
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("url", ["nosuch://some-user:some-password@host/some-token", "json://"])
def test_a_url_that_apprise_does_not_know_is_told(url: str) -> None:
    assert deliver(receiver(url), [message()]) == (0, "it is not a URL that Apprise knows")


@pytest.mark.parametrize("mood", ["takes", "refuses", "down"])
def test_no_secret_stands_in_a_log_an_output_or_a_fault(
    listener: MessageListener, mood: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    if mood == "down":
        listener.stop()
    elif mood == "refuses":
        listener.mood = "refuses"
    with caplog.at_level(logging.DEBUG):
        result = deliver(receiver(listener.url), [message()])
    texts = [repr(result), caplog.text, *capfd.readouterr()]
    assert [secret for secret in SECRETS for text in texts if secret in text] == []


def test_no_command_line_shows_the_url(listener: MessageListener) -> None:
    listener.mood = "hangs"
    shown: list[str] = []

    def look() -> None:
        for name in ("cmdline", "environ"):
            for file in Path("/proc").glob(f"[0-9]*/{name}"):
                with suppress(OSError):
                    shown.append(file.read_bytes().decode(errors="replace"))

    thread = Thread(target=deliver, args=(receiver(listener.url), [message()]), kwargs={"seconds": 5})
    thread.start()
    while not listener.tries:
        time.sleep(0.01)
    look()
    thread.join()
    assert any("reloads.runs.delivery" in text for text in shown)
    assert [secret for secret in SECRETS for text in shown if secret in text] == []


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no route to slack://T1AB/B2CD/xyz", "no route to ***"),
        ("T1AB is not a token", "*** is not a token"),
        ("it was not taken", "it was not taken"),
    ],
)
def test_any_part_of_a_url_is_masked(text: str, masked: str) -> None:
    assert mask(text, "slack://T1AB/B2CD/xyz") == masked
