"""What the API server does from time to time goes on whatever goes wrong, and ends with the server."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from sqlalchemy.orm import Session

from reloads.airflow.page.keeper import Keeper, KeeperInServer, make_messages_of_server, make_works_of_server
from reloads.airflow.page.kept_overview import KeptOverview
from reloads.requests.paused_tables import read_paused
from reloads.tables.catalog import Catalog
from tests.support.chain import NOW, Chain

PATIENCE = 30


def do_all() -> None:
    for work in (*make_works_of_server().values(), *make_messages_of_server().values()):
        work()


def test_it_works_again_and_again_until_it_is_stopped() -> None:
    thrice, count = Event(), 0

    def work() -> None:
        nonlocal count
        count += 1
        if count == 3:
            thrice.set()

    keeper = Keeper({"working": work}, every_seconds=0.001)
    keeper.start()
    assert thrice.wait(PATIENCE)
    keeper.stop()
    ended_with = count
    assert not [thread for thread in threading.enumerate() if thread.name == "reloads-keeper"]
    assert count == ended_with


def test_what_is_done_at_once_waits_for_no_round_and_is_done_once() -> None:
    begun, rounds = list[bool](), list[int]()
    thrice = Event()

    def work() -> None:
        rounds.append(len(begun))
        if len(rounds) == 3:
            thrice.set()

    keeper = Keeper({"working": work}, at_once=lambda: begun.append(True), every_seconds=0.001)
    keeper.start()
    assert thrice.wait(PATIENCE)
    keeper.stop()
    assert begun == [True]
    assert set(rounds) == {1}


LIVE_AND_ASK_NOTHING = """
import asyncio, sys
from reloads.airflow.page.keeper import KeeperInServer

ANSWERS = "reloads.airflow.page.app"

async def app(*_):
    while ANSWERS not in sys.modules:
        await asyncio.sleep(0.01)

asyncio.run(KeeperInServer(app, make_works=dict, make_messages=dict)({"type": "lifespan"}, None, None))
"""


def test_the_first_who_opens_the_page_waits_for_no_import() -> None:
    # It ends once the server could answer.
    subprocess.run([sys.executable, "-c", LIVE_AND_ASK_NOTHING], capture_output=True, timeout=PATIENCE, check=True)


def test_an_error_is_told_in_one_line_and_once_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    often, count = Event(), 0

    def work() -> None:
        nonlocal count
        count += 1
        if count >= 5:
            often.set()
        raise OSError("no\nroom")

    keeper = Keeper({"working": work}, every_seconds=0.001)
    with caplog.at_level(logging.WARNING, logger="reloads.airflow.page.keeper"):
        keeper.start()
        assert often.wait(PATIENCE)
        keeper.stop()
    assert [record.getMessage() for record in caplog.records] == ["working failed (OSError: no); it is tried again"]
    assert not caplog.records[0].exc_info


def test_what_fails_keeps_nothing_else_from_being_done() -> None:
    done = Event()

    def fail() -> None:
        raise OSError

    keeper = Keeper({"failing": fail, "working": done.set}, every_seconds=0.001)
    keeper.start()
    assert done.wait(PATIENCE)
    keeper.stop()


def run_scope(kind: str, app: Any, make_works: Callable[[], dict[str, Callable[[], object]]]) -> None:
    async def nothing(*_: Any) -> Any:
        return {}

    asyncio.run(KeeperInServer(app, make_works=make_works, make_messages=make_works)({"type": kind}, nothing, nothing))


def test_it_lives_as_long_as_the_server_and_begins_with_no_request() -> None:
    alive: dict[str, bool] = {}

    def make_app(kind: str) -> Any:
        async def app(*_: Any) -> None:
            alive[kind] = any(thread.name == "reloads-keeper" for thread in threading.enumerate())

        return app

    for kind in ("http", "websocket", "lifespan"):
        run_scope(kind, make_app(kind), dict)
    assert alive == {"http": False, "websocket": False, "lifespan": True}
    assert not [thread for thread in threading.enumerate() if thread.name == "reloads-keeper"]


def test_it_ends_with_a_server_that_fails() -> None:
    async def app(*_: Any) -> None:
        raise RuntimeError("the port is taken")

    with pytest.raises(RuntimeError):
        run_scope("lifespan", app, dict)
    assert not [thread for thread in threading.enumerate() if thread.name == "reloads-keeper"]


def test_the_server_notes_which_tables_are_paused(
    chain: Chain, database: Session, paused: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    paused("rewrite_b")
    paused("something_else")
    do_all()
    assert read_paused(chain.settings.landing, now=datetime.now(UTC)) == {"b"}


@pytest.mark.usefixtures("database")
def test_a_server_that_starts_again_begins_with_what_was_looked_at(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    chain.load()
    do_all()
    catalog = Catalog.load(chain.settings.tables)
    restarted = KeptOverview(chain.settings).overview
    summaries = restarted.summarize(catalog, now=NOW, patience=0)
    assert {name: summary and len(summary.published) for name, summary in summaries.items()} == dict.fromkeys(
        "abcd", 31
    )


def test_a_server_without_the_folders_does_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(tmp_path))
    monkeypatch.setenv("RELOADS_NOTIFY", "json://127.0.0.1:1")
    do_all()
    assert list(tmp_path.iterdir()) == []
