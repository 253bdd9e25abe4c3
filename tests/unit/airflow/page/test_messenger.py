"""The API server tells people what happened: each thing once, however many servers there are."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from reloads.airflow.page.messenger import Messenger
from reloads.outcome import Failure, Outcome
from reloads.requests.record import Record
from tests.support.chain import JANUARY, NOW, Chain
from tests.support.message_listener import MessageListener, message_listener

NO_ROOM = Outcome(failed=(Failure(days=JANUARY, error="no room"),))


@pytest.fixture
def listener() -> Iterator[MessageListener]:
    with message_listener() as up:
        yield up


def test_the_server_tells_what_ended_and_which_days_are_late(
    chain: Chain, listener: MessageListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    monkeypatch.setenv("RELOADS_NOTIFY", listener.url)
    monkeypatch.setenv("RELOADS_PAGE_URL", "https://airflow.example.org/")
    chain.define("a", "select day, amount from raw", 'daily = true\ndue = "00:00"')
    messenger = Messenger()
    messenger.send()
    [late] = listener.messages
    assert re.fullmatch(r"a: \d{4}-\d\d-\d\d is late", late["title"])
    record = Record(id="r1", mode="landing", table="b", days=JANUARY, accepted_at=NOW)
    chain.queue.file_away(record.with_outcome(NO_ROOM, run="run/1", now=NOW))
    messenger.send()
    messenger.send()
    [_, failed] = listener.messages
    assert failed["title"] == "b: 31 of 31 days failed"
    assert failed["message"].endswith("https://airflow.example.org/plugin/reloads?view=requests&id=r1")


def test_two_servers_tell_a_thing_once(
    chain: Chain, listener: MessageListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    monkeypatch.setenv("RELOADS_NOTIFY", listener.url)
    first, second = Messenger(), Messenger()
    first.send()
    for number in range(3):
        record = Record(id=f"r{number}", mode="landing", table="b", days=JANUARY, accepted_at=NOW)
        chain.queue.file_away(record.with_outcome(NO_ROOM, run="run/1", now=NOW))
    threads = [threading.Thread(target=messenger.send) for messenger in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(listener.titles) == 3


def test_without_a_receiver_nothing_is_written(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    Messenger().send()
    assert not (chain.settings.landing / ".notify").exists()


def test_a_name_that_nobody_set_is_told_once(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    chain.define("a", "select day, amount from raw", 'notify = ["TEAM"]')
    messenger = Messenger()
    messenger.send()
    messenger.send()
    assert caplog.text.count("a: notify names TEAM, which nobody set; set RELOADS_NOTIFY_TEAM") == 1
