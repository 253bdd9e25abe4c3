"""The doorbell: it rings for what is complete, soon and once, and leaves nothing behind."""

# ruff: noqa: ASYNC110, ASYNC240 - the files are what is tested, on a local disk; nobody sets an event when they change

import asyncio
import errno
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver
from watchdog.utils import BaseThread

from reloads.airflow.doorbell import Doorbell, _FolderListener
from reloads.requests.queue import Queue
from reloads.requests.record import new_record
from reloads.requests.request import ReloadRequest

Ring = dict[str, list[str]]
HOUR = 3600.0
REQUEST = json.dumps({"table": "sales", "start_date": "2025-01-01"})

FIRST = "0-first.json"

both_observers = pytest.mark.parametrize("observer", ["auto", "polling"])


def run(bell: Doorbell) -> AsyncGenerator[Any, None]:
    """What Airflow calls an iterator is a generator, which can be closed."""
    return cast("AsyncGenerator[Any, None]", bell.run())


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run_test(**fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), timeout=60))
        assert_no_watcher_lives()

    return run_test


def assert_no_watcher_lives() -> None:
    assert [thread for thread in threading.enumerate() if isinstance(thread, BaseThread)] == []


class Rings:
    """What a doorbell rang for."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Ring] = asyncio.Queue()

    async def next(self) -> Ring:
        return await asyncio.wait_for(self.queue.get(), timeout=20)

    async def until(self, name: str) -> list[str]:
        """All files rung for, up to ``name``; the one that showed that somebody listens does not count."""
        files: list[str] = []
        while name not in files:
            files += [file for file in (await self.next()).get("files", []) if file != FIRST]
        return files


@asynccontextmanager
async def listening(
    landing: Path, *, observer: str = "auto", rescan: float = HOUR, settle: float = 0.2
) -> AsyncIterator[Rings]:
    """A doorbell in a task, as Airflow's triggerer runs it; it rang once before this returns."""
    bell = Doorbell(landing=str(landing), observer=observer, rescan_seconds=rescan, stable_seconds=settle)
    rings = Rings()

    async def listen() -> None:
        async for event in bell.run():
            rings.queue.put_nowait(event.payload)

    task = asyncio.create_task(listen())
    try:
        ring: Ring = {}
        while not ring:
            (landing / FIRST).write_text(REQUEST)
            # Where nothing rests long enough, only a file that is dropped after the start is heard of.
            with suppress(TimeoutError):
                ring = await asyncio.wait_for(rings.queue.get(), timeout=0.5 if settle == HOUR else 20)
        yield rings
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@both_observers
@in_a_loop
async def test_it_rings_at_the_start_for_what_lies_there(landing: Path, observer: str) -> None:
    (landing / "a.json").write_text(REQUEST)
    (landing / "b.json").write_text(REQUEST)
    bell = Doorbell(landing=str(landing), observer=observer, rescan_seconds=HOUR, stable_seconds=0.2)
    async with aclosing(run(bell)) as rings:
        assert (await anext(rings)).payload == {"files": ["a.json", "b.json"]}


@both_observers
@in_a_loop
async def test_it_rings_once_for_a_dropped_file(landing: Path, observer: str) -> None:
    async with listening(landing, observer=observer) as rings:
        (landing / "a.json").write_text(REQUEST)
        assert await rings.until("a.json") == ["a.json"]
        (landing / "b.json").write_text(REQUEST)
        assert await rings.until("b.json") == ["b.json"]


@in_a_loop
async def test_a_file_being_written_is_rung_for_when_it_is_closed(landing: Path) -> None:
    async with listening(landing, settle=2) as rings:
        with (landing / "half.json").open("w") as file:
            file.write(REQUEST[:10])
            file.flush()
            (landing / "whole.json").write_text(REQUEST)
            assert await rings.until("whole.json") == ["whole.json"]
            file.write(REQUEST[10:])
        assert await rings.until("half.json") == ["half.json"]


@in_a_loop
async def test_where_nothing_tells_of_closing_a_file_is_complete_when_it_rests(landing: Path) -> None:
    async with listening(landing, observer="polling", settle=1) as rings:
        with (landing / "growing.json").open("w") as file:

            async def grow() -> None:
                while True:
                    file.write(" ")
                    file.flush()
                    await asyncio.sleep(0.02)

            growing = asyncio.create_task(grow())
            (landing / "resting.json").write_text(REQUEST)
            assert await rings.until("resting.json") == ["resting.json"]
            growing.cancel()
        assert await rings.until("growing.json") == ["growing.json"]


@both_observers
@in_a_loop
async def test_hidden_files_and_other_endings_are_left_alone(landing: Path, observer: str) -> None:
    async with listening(landing, observer=observer) as rings:
        for name in (".a.json", "a.json.tmp", "a.txt", "json", "a.JSON"):
            (landing / name).write_text(REQUEST)
        (landing / "accepted").mkdir()
        (landing / "accepted" / "a.json").write_text(REQUEST)
        (landing / "z.json").write_text(REQUEST)
        assert await rings.until("z.json") == ["z.json"]


@pytest.mark.parametrize("from_where", ["in the folder", "from outside"])
@both_observers
@in_a_loop
async def test_it_hears_a_file_renamed_into_place(
    landing: Path, tmp_path: Path, observer: str, from_where: str
) -> None:
    async with listening(landing, observer=observer) as rings:
        draft = (landing if from_where == "in the folder" else tmp_path) / ".draft"
        draft.write_text(REQUEST)
        draft.rename(landing / "a.json")
        assert await rings.until("a.json") == ["a.json"]


@in_a_loop
async def test_a_file_that_stays_does_not_ring_with_every_look(landing: Path) -> None:
    async with listening(landing, rescan=0.5) as rings:
        (landing / "stays.json").write_text(REQUEST)
        files: list[str] = []
        for number in range(8):
            (landing / f"{number}.json").write_text(REQUEST)
            files += await rings.until(f"{number}.json")
            (landing / f"{number}.json").unlink()
        # Pauses of 0.5, 1, 2 … seconds: even a slow machine is done before many of them.
        assert files.count("stays.json") < 8


@in_a_loop
async def test_it_rings_for_a_request_nobody_takes_care_of(landing: Path) -> None:
    accepted_at = datetime.now(UTC) - timedelta(hours=1)
    request = ReloadRequest.model_validate({"table": "sales", "start_date": "2025-01-01"})
    record = new_record(request, "sales", mode="landing", origin="test", now=accepted_at)
    Queue(landing).add(record)
    long_ago = accepted_at.timestamp()
    os.utime(landing / "accepted" / f"{record.id}.json", (long_ago, long_ago))
    bell = Doorbell(landing=str(landing), observer="auto", rescan_seconds=HOUR / 60, stable_seconds=1)
    async with aclosing(run(bell)) as rings:
        ring = await anext(rings)
    assert ring.payload == {"neglected": [record.id]}


@pytest.mark.parametrize("how", ["removed", "moved away"])
@both_observers
@in_a_loop
async def test_it_goes_on_with_a_folder_that_went_and_was_made_again(
    landing: Path, tmp_path: Path, observer: str, how: str
) -> None:
    # Nothing rests for an hour, so that only a file that was heard of rings.
    settle = HOUR if observer == "auto" else 0.2
    async with listening(landing, observer=observer, rescan=0.2, settle=settle) as rings:
        if how == "removed":
            shutil.rmtree(landing)
        else:
            landing.rename(tmp_path / "elsewhere")
        landing.mkdir(exist_ok=True)
        files: list[str] = []
        while "again.json" not in files:
            (landing / "again.json").write_text(REQUEST)
            await asyncio.sleep(0.5)
            while not rings.queue.empty():
                files += rings.queue.get_nowait().get("files", [])


@in_a_loop
async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    bell = Doorbell(landing=str(tmp_path / "new" / "landing"), observer="auto", rescan_seconds=HOUR, stable_seconds=0.2)
    async with aclosing(run(bell)) as rings:
        ring = asyncio.ensure_future(anext(rings))
        while not (tmp_path / "new" / "landing").exists():
            await asyncio.sleep(0.01)
        (tmp_path / "new" / "landing" / "a.json").write_text(REQUEST)
        assert (await ring).payload == {"files": ["a.json"]}


@in_a_loop
async def test_a_folder_that_cannot_be_watched_is_said_once_a_rescan_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "landing").write_text("a file")
    bell = Doorbell(landing=str(tmp_path / "landing"), observer="auto", rescan_seconds=0.3, stable_seconds=0.1)
    async with aclosing(run(bell)) as rings:
        with caplog.at_level(logging.ERROR):
            ring = asyncio.ensure_future(anext(rings))
            started = asyncio.get_running_loop().time()
            while len(caplog.records) < 3:
                await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() - started > 0.5
        assert "the drop folder cannot be watched, it is tried again: " in caplog.text
        (tmp_path / "landing").unlink()
        (tmp_path / "landing").mkdir()
        (tmp_path / "landing" / "a.json").write_text(REQUEST)
        assert (await ring).payload == {"files": ["a.json"]}


@both_observers
@in_a_loop
async def test_no_thread_is_left_when_its_generator_is_closed(landing: Path, observer: str) -> None:
    (landing / "a.json").write_text(REQUEST)
    bell = Doorbell(landing=str(landing), observer=observer, rescan_seconds=HOUR, stable_seconds=0.1)
    async with aclosing(run(bell)) as rings:
        await anext(rings)
        assert [thread for thread in threading.enumerate() if isinstance(thread, BaseThread)]
    assert_no_watcher_lives()


@both_observers
@in_a_loop
async def test_no_thread_is_left_whenever_its_task_is_cancelled(landing: Path, observer: str) -> None:
    bell = Doorbell(landing=str(landing), observer=observer, rescan_seconds=HOUR, stable_seconds=0.1)
    for steps in range(40):
        task = asyncio.ensure_future(anext(bell.run()))
        for _ in range(steps):
            await asyncio.sleep(0.0001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@both_observers
def test_a_listener_that_was_closed_does_not_begin_to_listen(landing: Path, observer: str) -> None:
    # A task that is cancelled closes it while a thread may be about to start the observer.
    listener = _FolderListener(landing, polling=observer == "polling")
    listener.close()
    listener.listen(lambda call: call())
    assert_no_watcher_lives()


@both_observers
def test_a_listener_whose_folder_went_listens_anew_even_if_the_new_folder_has_the_old_inode(
    landing: Path, observer: str
) -> None:
    listener = _FolderListener(landing, polling=observer == "polling")
    try:
        listener.listen(lambda call: call())
        shutil.rmtree(landing)
        while listener._is_listening():
            time.sleep(0.01)
        landing.mkdir()
        listener._inode = landing.stat().st_ino
        listener.listen(lambda call: call())
        (landing / "a.json").write_text(REQUEST)
        assert listener._is_listening()
    finally:
        listener.close()
    assert_no_watcher_lives()


def refuse_to_start(_: BaseObserver) -> None:
    """What watchdog does once the user's inotify watches are used up."""
    raise OSError(errno.ENOSPC, "inotify watch limit reached")


def test_where_the_system_has_no_watch_left_the_folder_is_polled_and_the_log_says_so(
    landing: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Observer, "start", refuse_to_start)
    listener = _FolderListener(landing, polling=False)
    try:
        listener.listen(lambda call: call())
        assert isinstance(listener._observer, PollingObserver)
        assert listener._is_listening()
    finally:
        listener.close()
    sentence = "the system cannot report file events here (inotify watch limit reached); the folder is polled instead"
    assert [record.getMessage() for record in caplog.records] == [sentence]
    assert_no_watcher_lives()


def test_the_triggerer_can_make_it_again_from_its_class_path(landing: Path) -> None:
    bell = Doorbell(landing=str(landing), observer="polling", rescan_seconds=7.5, stable_seconds=0.5)
    path, arguments = bell.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert type(again) is Doorbell
    assert again.serialize() == (path, arguments)
