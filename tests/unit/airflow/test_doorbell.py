"""The doorbell: it rings for what is complete, soon and seldom, survives what it sees, and leaves nothing behind."""

# ruff: noqa: ASYNC110, ASYNC240 - the files are what is tested, on a local disk; nobody sets an event when they change

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
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
from airflow.jobs.triggerer_job_runner import TriggerEventEntry, messages
from airflow.sdk.execution_time.comms import _RequestFrame
from airflow.triggers.base import TriggerEvent
from watchdog.utils import BaseThread

from reloads.airflow import doorbell, folder_listener
from reloads.airflow.doorbell import Doorbell
from reloads.requests.conversion import new_record
from reloads.requests.neglect import neglect
from reloads.requests.queue import Queue
from reloads.requests.request import ReloadRequest
from tests.support.watchers import assert_no_watcher_lives, both_observers

Ring = dict[str, list[str]]
HOUR = 3600.0
REQUEST = json.dumps({"table": "sales", "start_date": "2025-01-01"})

FIRST = "0-first.json"


def make_doorbell(landing: Path, *, observer: str, rescan_seconds: float, stable_seconds: float) -> Doorbell:
    """A doorbell of a deployment without raw files."""
    return Doorbell(
        landing=str(landing),
        source=str(landing.parent / "source"),
        tables=str(landing.parent / "tables"),
        observer=observer,
        rescan_seconds=rescan_seconds,
        stable_seconds=stable_seconds,
    )


def run(bell: Doorbell) -> AsyncGenerator[Any, None]:
    """What Airflow calls an iterator is a generator, which can be closed."""
    return cast("AsyncGenerator[Any, None]", bell.run())


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run_test(**fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), timeout=60))
        assert_no_watcher_lives()

    return run_test


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
    bell = make_doorbell(landing, observer=observer, rescan_seconds=rescan, stable_seconds=settle)
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
    bell = make_doorbell(landing, observer=observer, rescan_seconds=HOUR, stable_seconds=0.2)
    async with aclosing(run(bell)) as rings:
        assert (await anext(rings)).payload["files"] == ["a.json", "b.json"]


@both_observers
@in_a_loop
async def test_it_rings_once_for_a_dropped_file(landing: Path, observer: str) -> None:
    async with listening(landing, observer=observer) as rings:
        (landing / "a.json").write_text(REQUEST)
        assert await rings.until("a.json") == ["a.json"]
        (landing / "a.json").unlink()
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
            (landing / "whole.json").unlink()
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
async def test_a_file_that_stays_is_rung_for_again_once_whoever_judges_it_sees_that_it_rested(landing: Path) -> None:
    async with listening(landing, settle=1) as rings:
        (landing / "half.json").write_text(REQUEST[:10])
        assert await rings.until("half.json") == ["half.json"]
        assert await rings.until("half.json") == ["half.json"]
        assert time.time() - (landing / "half.json").stat().st_ctime > 1


@in_a_loop
async def test_a_burst_rings_a_few_times_with_a_few_names(landing: Path) -> None:
    async with listening(landing, settle=HOUR) as rings:
        began = time.monotonic()
        await asyncio.to_thread(write_many, landing, 2_000)
        (landing / ".last").write_text(REQUEST)
        await asyncio.sleep(1.5)  # longer than any gap: whatever is rung for has been rung for
        (landing / ".last").rename(landing / "last.json")
        numbers_of_names: list[int] = []
        while True:
            files = (await rings.next())["files"]
            numbers_of_names.append(len(files))
            if "last.json" in files:
                break
        assert max(numbers_of_names) == 20
        assert len(numbers_of_names) < 7 + (time.monotonic() - began)


def write_many(landing: Path, count: int) -> None:
    for number in range(count):
        (landing / f"{number}.json").write_text(REQUEST)


NAMES = {
    "not UTF-8": b"\xff.json",
    "unprintable": "\n\x1b[31m\u202e\U000e0001.json".encode(),
    "as long as can be": b"\xff" * 250 + b".json",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@both_observers
@in_a_loop
async def test_airflow_can_send_and_show_whatever_a_file_is_called(landing: Path, observer: str, name: bytes) -> None:
    async with listening(landing, observer=observer) as rings:
        Path(os.fsdecode(os.fsencode(landing) + b"/" + name)).write_text(REQUEST)
        ring = await rings.next()
        while ring.get("files") == [FIRST]:
            ring = await rings.next()
    assert " ".join(ring["files"]).isprintable()
    assert len(as_airflow_sends(ring)) < 1_000


@in_a_loop
async def test_an_event_is_small_however_many_files_of_however_long_names_there_are(landing: Path) -> None:
    for number in range(50):
        name = f"{number:02}".encode() + b"\xff" * 248 + b".json"
        Path(os.fsdecode(os.fsencode(landing) + b"/" + name)).write_text(REQUEST)
    bell = make_doorbell(landing, observer="auto", rescan_seconds=HOUR, stable_seconds=0.1)
    async with aclosing(run(bell)) as rings:
        payload = (await anext(rings)).payload
    assert [name[:2] for name in payload["files"]] == [f"{number:02}" for number in range(20)]
    assert len(as_airflow_sends(payload)) < 4_000


def as_airflow_sends(payload: Ring) -> bytes:
    """The frame that the triggerer sends for an event; its process ends where this raises."""
    event = TriggerEvent(payload)  # type: ignore[no-untyped-call]
    entry = TriggerEventEntry(trigger_id=1, event=event, persist_seq=None)
    return bytes(_RequestFrame(id=1, body=messages.TriggerStateChanges(events=[entry]).model_dump()).as_bytes())


@in_a_loop
async def test_whatever_somebody_put_among_the_accepted_requests_it_rings_for_the_others(
    landing: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request = ReloadRequest.model_validate({"table": "sales", "start_date": "2025-01-01"})
    record = new_record(request, "sales", mode="landing", origin="test", now=datetime.now(UTC) - timedelta(hours=1))
    queue = Queue(landing)
    queue.add(record)
    neglect(queue, [record])
    accepted = landing / "accepted"
    Path(os.fsdecode(os.fsencode(accepted) + b"/\xff\n.json")).write_text("{}")
    os.mkfifo(accepted / "pipe.json")
    (accepted / "folder.json").mkdir()
    for path in accepted.iterdir():
        os.utime(path, (0, 0))
    (accepted / "loop.json").symlink_to("loop.json")
    bell = make_doorbell(landing, observer="auto", rescan_seconds=HOUR / 60, stable_seconds=1)
    async with aclosing(run(bell)) as rings:
        assert (await anext(rings)).payload["neglected"] == [record.id]
    assert len(caplog.records) == 4
    assert "".join(entry.getMessage() for entry in caplog.records).isprintable()


@in_a_loop
async def test_it_rings_for_a_request_nobody_takes_care_of(landing: Path) -> None:
    accepted_at = datetime.now(UTC) - timedelta(hours=1)
    request = ReloadRequest.model_validate({"table": "sales", "start_date": "2025-01-01"})
    record = new_record(request, "sales", mode="landing", origin="test", now=accepted_at)
    Queue(landing).add(record)
    long_ago = accepted_at.timestamp()
    os.utime(landing / "accepted" / f"{record.id}.json", (long_ago, long_ago))
    bell = make_doorbell(landing, observer="auto", rescan_seconds=HOUR / 60, stable_seconds=1)
    async with aclosing(run(bell)) as rings:
        ring = await anext(rings)
    assert ring.payload["neglected"] == [record.id]


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
    bell = make_doorbell(tmp_path / "new" / "landing", observer="auto", rescan_seconds=HOUR, stable_seconds=0.2)
    async with aclosing(run(bell)) as rings:
        ring = asyncio.ensure_future(anext(rings))
        while not (tmp_path / "new" / "landing").exists():
            await asyncio.sleep(0.01)
        (tmp_path / "new" / "landing" / "a.json").write_text(REQUEST)
        assert (await ring).payload["files"] == ["a.json"]


@in_a_loop
async def test_a_folder_that_cannot_be_watched_is_said_once_a_rescan_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "landing").write_text("a file")
    bell = make_doorbell(tmp_path / "landing", observer="auto", rescan_seconds=0.3, stable_seconds=0.1)
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
        assert (await ring).payload["files"] == ["a.json"]


@in_a_loop
async def test_a_folder_that_was_a_file_for_a_while_is_watched_again(
    landing: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(landing, rescan=0.2) as rings:
        shutil.rmtree(landing)
        landing.write_text("a file")
        while "the drop folder cannot be watched" not in caplog.text:
            await asyncio.sleep(0.01)
        landing.unlink()
        landing.mkdir()
        (landing / "again.json").write_text(REQUEST)
        assert await rings.until("again.json") == ["again.json"]


@pytest.mark.parametrize("which", ["InotifyObserver", "InotifyEmitter", "InotifyFD"])
@in_a_loop
async def test_a_thread_that_listens_and_ends_is_missed_soon(
    landing: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    monkeypatch.setattr(folder_listener, "HEARING_CHECK_SECONDS", 0.1)
    async with listening(landing, settle=HOUR) as rings:
        [thread] = [thread for thread in threading.enumerate() if type(thread).__name__ == which]
        cast("BaseThread", thread).stop()
        await asyncio.to_thread(thread.join)
        while threads_that_listen() < {"InotifyObserver", "InotifyEmitter", "InotifyFD"}:
            await asyncio.sleep(0.01)
        (landing / ".again").write_text(REQUEST)
        (landing / ".again").rename(landing / "again.json")
        assert await rings.until("again.json") == ["again.json"]


def threads_that_listen() -> set[str]:
    return {type(thread).__name__ for thread in threading.enumerate() if isinstance(thread, BaseThread)}


@in_a_loop
async def test_an_error_that_nobody_thought_of_is_one_sentence_and_it_begins_afresh(
    landing: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folder_listener, "HEARING_CHECK_SECONDS", 0.1)
    async with listening(landing) as rings:
        with monkeypatch.context() as patch:
            patch.setattr(BaseThread, "start", refuse_to_start_a_thread)
            for thread in threading.enumerate():
                if isinstance(thread, BaseThread):
                    thread.stop()
            while not caplog.records:
                await asyncio.sleep(0.01)
        (landing / "again.json").write_text(REQUEST)
        assert await rings.until("again.json") == ["again.json"]
    sentence = """the drop folder cannot be watched, it is tried again: RuntimeError("can't start new thread")"""
    assert [record.getMessage() for record in caplog.records] == [sentence]
    assert caplog.records[0].exc_info is None


def refuse_to_start_a_thread(_: BaseThread) -> None:
    """What Python does once the machine or the container has no thread left."""
    raise RuntimeError("can't start new thread")


@in_a_loop
async def test_an_error_that_stays_does_not_make_it_spin(
    landing: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorbell, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(BaseThread, "start", refuse_to_start_a_thread)
    bell = make_doorbell(landing, observer="auto", rescan_seconds=HOUR, stable_seconds=1)
    with suppress(TimeoutError):
        await asyncio.wait_for(anext(bell.run()), timeout=1)
    # Pauses of 0.1, 0.2, 0.4 … seconds.
    assert 2 <= len(caplog.records) <= 4


@both_observers
@in_a_loop
async def test_no_thread_is_left_when_its_generator_is_closed(landing: Path, observer: str) -> None:
    (landing / "a.json").write_text(REQUEST)
    bell = make_doorbell(landing, observer=observer, rescan_seconds=HOUR, stable_seconds=0.1)
    async with aclosing(run(bell)) as rings:
        await anext(rings)
        assert [thread for thread in threading.enumerate() if isinstance(thread, BaseThread)]
    assert_no_watcher_lives()


@both_observers
@in_a_loop
async def test_no_thread_is_left_whenever_its_task_is_cancelled(landing: Path, observer: str) -> None:
    bell = make_doorbell(landing, observer=observer, rescan_seconds=HOUR, stable_seconds=0.1)
    for steps in range(40):
        task = asyncio.ensure_future(anext(bell.run()))
        for _ in range(steps):
            await asyncio.sleep(0.0001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_the_triggerer_can_make_it_again_from_its_class_path(landing: Path) -> None:
    bell = make_doorbell(landing, observer="polling", rescan_seconds=7.5, stable_seconds=0.5)
    path, arguments = bell.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert type(again) is Doorbell
    assert again.serialize() == (path, arguments)


def test_the_triggerer_loads_no_database_for_it() -> None:
    command = [sys.executable, "-c", "import reloads.airflow.doorbell, sys; print(*sys.modules, sep='\\n')"]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert "reloads.airflow.source_watch" in loaded
    assert loaded & {"duckdb", "pyarrow", "polars"} == set()
