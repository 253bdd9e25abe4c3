"""Raw files on real folders: a doorbell rings for what comes, changes and goes, and leaves a note before it does."""

# ruff: noqa: ASYNC110 - the files are what is tested; nobody sets an event when they change

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import quote

import pytest
from watchdog.observers.inotify_c import InotifyFD
from watchdog.utils import BaseThread

from reloads.airflow import folder_listener, source_listener, source_watch
from reloads.airflow.doorbell import Doorbell
from reloads.airflow.folder_listener import CallInLoop
from reloads.airflow.source_listener import SourceListener
from reloads.airflow.source_watch import SourceWatch
from reloads.requests.doorbell_notes import arrived
from reloads.requests.watermark import write_watermark
from tests.support.raw_bucket import RawBucket
from tests.support.s3_proxy import S3Proxy, no_fault
from tests.support.s3_server import S3Server
from tests.support.watchers import assert_no_watcher_lives, both_observers

HOUR = 3600.0
DAY = "2013-01-05"
FILE = f"flights/{DAY}/a.csv"
BUCKET_FOLDER = f"/mirrors/{quote('s3://lake/raw', safe='')}"
SOURCES = '[flight_files]\nfiles = "flights/{day}/*.csv"\n'


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run_test(**fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), timeout=60))
        assert_no_watcher_lives()

    return run_test


class Home:
    """The folders of a deployment in which somebody waits for a day."""

    def __init__(self, folder: Path) -> None:
        self.source, self.tables, self.landing = folder / "source", folder / "tables", folder / "landing"
        self.tables.mkdir()
        self.write_sources(SOURCES)
        self.await_days(DAY, "2013-01-07..2013-01-09")
        self.write("flights/readme.txt")

    def write_sources(self, text: str) -> None:
        (self.tables / "sources.toml").write_text(text)

    def await_days(self, *days: str) -> None:
        write_watermark(self.landing, "waiting", "flights", json.dumps({"flight_files": days}))

    def write(self, path: str, text: str = "x") -> Path:
        full = self.source / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
        return full

    def notes(self) -> list[str]:
        return [path.name for path in (self.landing / ".arrived").glob("[!.]*")]

    def doorbell(self, *, observer: str = "auto", rescan: float = HOUR, stable: float = 0.2) -> Doorbell:
        return Doorbell(
            landing=str(self.landing),
            source=str(self.source),
            tables=str(self.tables),
            observer=observer,
            rescan_seconds=rescan,
            stable_seconds=stable,
        )


class Rings:
    """What a doorbell rang for since somebody asked last."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[dict[str, list[str]]] = asyncio.Queue()

    async def until(self, names: Iterable[str], *, kind: str = "arrived") -> list[list[str]]:
        """The rings of a kind, up to the one by which all of these names were rung for."""
        rings: list[list[str]] = []
        missing = set(names)
        while missing:
            ring = await asyncio.wait_for(self.queue.get(), timeout=30)
            rings.append(ring.get(kind, []))
            missing -= set(rings[-1])
        return [ring for ring in rings if ring]


@asynccontextmanager
async def ringing(bell: Doorbell) -> AsyncIterator[Rings]:
    """A doorbell in a task, as Airflow's triggerer runs it."""
    rings = Rings()

    async def listen() -> None:
        async for event in bell.run():
            rings.queue.put_nowait(event.payload)

    task = asyncio.create_task(listen())
    try:
        yield rings
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(source_watch, "DEAF_LOOK_SECONDS", 0.2)
    return Home(tmp_path)


@both_observers
@in_a_loop
async def test_it_rings_for_what_lies_there_at_the_start_and_left_a_note_before(home: Home, observer: str) -> None:
    home.write(FILE)
    home.write("flights/2013-01-06/nobody-waits.csv")
    async with aclosing(cast("AsyncGenerator[Any, None]", home.doorbell(observer=observer).run())) as rings:
        assert (await anext(rings)).payload["arrived"] == [FILE]
        assert home.notes() == ["flight_files"]


@both_observers
@in_a_loop
async def test_it_rings_for_each_change_of_a_file_in_the_folder_of_a_day(home: Home, observer: str) -> None:
    home.write(f"flights/{DAY}/first.csv")
    async with ringing(home.doorbell(observer=observer)) as rings:
        await rings.until([f"flights/{DAY}/first.csv"])
        home.write(FILE)
        assert await rings.until([FILE]) == [[FILE]]
        with (home.source / FILE).open("a") as file:
            file.write("more")
        assert await rings.until([FILE]) == [[FILE]]
        draft = home.landing.parent / "draft"
        draft.write_text("another")
        draft.rename(home.source / FILE)
        assert await rings.until([FILE]) == [[FILE]]
        renamed = f"flights/{DAY}/renamed.csv"
        (home.source / FILE).rename(home.source / renamed)
        assert await rings.until([FILE, renamed]) == [[FILE, renamed]]
        (home.source / renamed).unlink()
        assert await rings.until([renamed]) == [[renamed]]


@both_observers
@in_a_loop
async def test_it_rings_for_files_in_new_folders_of_days_once(home: Home, observer: str) -> None:
    first, second = "flights/2013-01-07/a.csv", "flights/2013-01-08/a.csv"
    home.write(FILE)
    async with ringing(home.doorbell(observer=observer, stable=1)) as rings:
        await rings.until([FILE])
        home.write(first)
        (home.source / "draft").mkdir()
        home.write("draft/a.csv")
        (home.source / "draft").rename(home.source / "flights/2013-01-08")
        assert await rings.until([first, second]) == [[first, second]]
        # Heard only by whoever listens to the new folders.
        third = "flights/2013-01-08/b.csv"
        home.write(third)
        assert await rings.until([third]) == [[third]]


class ListenerThatComesLate(SourceListener):
    """A file falls between the look at a folder and the moment from which it is listened to."""

    home: ClassVar[Home]

    def listen(self, folders: Collection[Path], call_in_loop: CallInLoop) -> bool:
        if not self._watched:
            self.home.write(FILE)
        return super().listen(folders, call_in_loop)


@in_a_loop
async def test_a_file_that_comes_between_a_look_and_the_listening_rings(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ListenerThatComesLate.home = home
    monkeypatch.setattr(source_watch, "SourceListener", ListenerThatComesLate)
    (home.source / "flights" / DAY).mkdir()
    async with ringing(home.doorbell()) as rings:
        await rings.until([FILE])


@pytest.mark.parametrize("how", ["removed", "moved away"])
@in_a_loop
async def test_a_folder_of_a_day_that_is_replaced_is_listened_to_again(home: Home, how: str) -> None:
    home.write(FILE)
    async with ringing(home.doorbell()) as rings:
        await rings.until([FILE])
        for number in range(3):
            if how == "removed":
                shutil.rmtree(home.source / f"flights/{DAY}")
            else:
                (home.source / f"flights/{DAY}").rename(home.source / f"old-{number}")
            home.write(FILE)
            await rings.until([FILE])
            beside = f"flights/{DAY}/{number}.csv"
            home.write(beside)
            await rings.until([beside])


@in_a_loop
async def test_a_file_that_is_being_written_is_not_rung_for(home: Home) -> None:
    home.write(FILE)
    async with ringing(home.doorbell(stable=1)) as rings:
        await rings.until([FILE])
        with home.write("flights/2013-01-07/growing.csv").open("w") as file:
            for _ in range(20):
                file.write("x")
                file.flush()
                home.write("flights/2013-01-09/x.tmp")  # somebody hears something all the time
                (home.source / "flights/2013-01-09/x.tmp").unlink()
                await asyncio.sleep(0.1)
            assert rings.queue.empty()
        assert await rings.until(["flights/2013-01-07/growing.csv"]) == [["flights/2013-01-07/growing.csv"]]


@in_a_loop
async def test_a_marker_rings_at_once(home: Home) -> None:
    home.write_sources('[flight_files]\nfiles = "flights/{day}/*.csv"\nmarker = "flights/{day}/_DONE"\n')
    home.write(FILE)
    async with ringing(home.doorbell(stable=HOUR)) as rings:
        while len(listening_threads()) < 4:  # the drop folder, the source folder, that of the flights, that of the day
            await asyncio.sleep(0.01)
        home.write(f"flights/{DAY}/_DONE")
        assert await rings.until([FILE]) == [[f"flights/{DAY}/_DONE", FILE]]


@both_observers
@in_a_loop
async def test_a_source_folder_that_was_away_is_said_twice_and_rings_for_what_lies_in_it(
    home: Home, tmp_path: Path, observer: str, caplog: pytest.LogCaptureFixture
) -> None:
    home.write(FILE)
    stays = "flights/2013-01-07/stays.csv"
    home.write(stays)
    async with ringing(home.doorbell(observer=observer, rescan=0.3)) as rings:
        await rings.until([FILE, stays])
        home.source.rename(tmp_path / "away")
        while "cannot be read (No such file or directory)" not in caplog.text:
            await asyncio.sleep(0.01)
        home.source.mkdir()  # a mount point without its file system
        (home.source / "flights").mkdir()
        while "flights is empty; mount it" not in caplog.text:
            await asyncio.sleep(0.01)
        shutil.rmtree(home.source)
        with (tmp_path / "away" / FILE).open("a") as file:
            file.write("more")
        (tmp_path / "away").rename(home.source)
        arrived(home.landing).take()
        await rings.until([FILE, stays])
    folder = home.source / "flights"
    sentences = [record.getMessage() for record in caplog.records]
    assert sentences.count(f"the folder {folder} is there again") == 1
    assert sentences.count(f"the folder {folder} is empty; mount it, or put its files there") == 1


@in_a_loop
async def test_a_doorbell_that_was_killed_is_made_up_for_by_the_next(home: Home) -> None:
    home.write(FILE)
    async with ringing(home.doorbell()) as rings:
        await rings.until([FILE])
    arrived(home.landing).take()
    home.write("flights/2013-01-07/meanwhile.csv")
    async with ringing(home.doorbell()) as rings:
        await rings.until(["flights/2013-01-07/meanwhile.csv"])
    assert home.notes() == ["flight_files"]


@in_a_loop
async def test_a_note_that_nobody_takes_rings_again_and_one_that_is_taken_does_not(home: Home) -> None:
    arrived(home.landing).leave("flight_files")
    arrived(home.landing).leave("weather")
    [taken] = [note for note in arrived(home.landing).take() if note.name == "weather"]
    arrived(home.landing).forget(taken)
    arrived(home.landing).leave("flight_files")
    async with ringing(home.doorbell(rescan=0.2)) as rings:
        for _ in range(2):
            assert await rings.until(["flight_files"], kind="untaken") == [["flight_files"]]


@in_a_loop
async def test_a_day_that_is_awaited_from_now_on_is_watched_and_what_lies_there_rings(home: Home) -> None:
    late = "flights/2012-12-31/a.csv"
    home.write(FILE)
    home.write(late)
    async with ringing(home.doorbell(rescan=0.2)) as rings:
        await rings.until([FILE])
        home.await_days("2012-12-31")
        await rings.until([late])


def refuse_an_instance(_: InotifyFD) -> None:
    """What watchdog does once the user's inotify instances are used up."""
    raise OSError(24, "inotify instance limit reached")


def refuse_a_watch(*_: object) -> int:
    """What watchdog does once the user's inotify watches are used up."""
    raise OSError(28, "inotify watch limit reached")


@pytest.mark.parametrize(
    ("method", "refuse", "limit"),
    [("__init__", refuse_an_instance, "instance"), ("add_callback", refuse_a_watch, "watch")],
)
@in_a_loop
async def test_where_the_system_has_no_listener_left_it_looks_again_and_again_and_says_so_once(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str, refuse: Any, limit: str
) -> None:
    monkeypatch.setattr(InotifyFD, method, refuse)
    async with ringing(home.doorbell()) as rings:
        for number in range(3):
            path = f"flights/{DAY}/{number}.csv"
            home.write(path)
            await rings.until([path])
    sentences = [entry.getMessage() for entry in caplog.records if "raw files" in entry.getMessage()]
    reason = f"inotify {limit} limit reached"
    assert sentences == [
        f"the system cannot report file events here ({reason}); the raw files are looked at every 5 seconds"
    ]


@in_a_loop
async def test_of_more_folders_than_can_be_listened_to_all_are_looked_at(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source_listener, "MAX_FOLDERS", 2)
    home.write(FILE)
    async with ringing(home.doorbell()) as rings:
        await rings.until([FILE])
        home.write(f"flights/{DAY}/b.csv")
        await rings.until([f"flights/{DAY}/b.csv"])
    assert [entry.getMessage() for entry in caplog.records if "more than 2 folders" in entry.getMessage()] != []


@in_a_loop
async def test_a_listening_thread_that_ends_is_missed_soon(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_listener, "HEARING_CHECK_SECONDS", 0.1)
    home.write(FILE)
    async with ringing(home.doorbell()) as rings:
        await rings.until([FILE])
        for thread in listening_threads():
            cast("BaseThread", thread).stop()
        home.write(f"flights/{DAY}/b.csv")
        await rings.until([f"flights/{DAY}/b.csv"])


def listening_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if type(thread).__name__ == "InotifyEmitter"]


@in_a_loop
async def test_a_folder_of_a_day_may_be_a_link(home: Home, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (home.source / "flights" / DAY).symlink_to(tmp_path / "elsewhere")
    home.write(FILE)
    async with ringing(home.doorbell()) as rings:
        await rings.until([FILE])
        home.write(f"flights/{DAY}/b.csv")
        await rings.until([f"flights/{DAY}/b.csv"])


@in_a_loop
async def test_a_file_of_a_day_that_does_not_exist_is_warned_of_once(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.write_sources('[flight_files]\nfiles = "flights/{day}.csv"\n')
    home.write("flights/2013-01-05.csv")
    async with ringing(home.doorbell()) as rings:
        await rings.until(["flights/2013-01-05.csv"])
        for day in ("2013-02-31", "2013-01-07"):
            home.write(f"flights/{day}.csv")
        await rings.until(["flights/2013-01-07.csv"])
        home.write("flights/2013-02-31.csv", "again")
        home.write("flights/2013-01-08.csv")
        await rings.until(["flights/2013-01-08.csv"])
    assert [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING] == [
        "flights/2013-02-31.csv fits flights/{day}.csv, but there is no such day; rename it"
    ]


@in_a_loop
async def test_recent_days_are_watched_for_a_table_that_loads_what_arrives(home: Home) -> None:
    home.await_days()
    (home.tables / "flights").mkdir()
    (home.tables / "flights" / "table.toml").write_text("on_arrival = true\n")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    async with ringing(home.doorbell()) as rings:
        home.write(f"flights/{yesterday}/a.csv")
        await rings.until([f"flights/{yesterday}/a.csv"])


@in_a_loop
async def test_trouble_with_the_raw_files_does_not_hold_up_the_drop_folder(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(home.tables)
    home.tables.write_text("a file")
    async with ringing(home.doorbell()) as rings:
        (home.landing / "a.json").write_text("{}")
        await rings.until(["a.json"], kind="files")
    assert "sources.toml cannot be read: " in caplog.text


@in_a_loop
async def test_trouble_with_the_drop_folder_does_not_hold_up_the_raw_files(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    (home.tables / "flights").mkdir()
    (home.tables / "flights" / "table.toml").write_text("on_arrival = true\n")
    shutil.rmtree(home.landing)
    home.landing.write_text("a file")
    today = datetime.now(UTC).date()
    home.write(f"flights/{today}/a.csv")
    async with ringing(home.doorbell(rescan=0.3)) as rings:
        await rings.until([f"flights/{today}/a.csv"])
        assert "no note of arrived files can be left: " in caplog.text
        home.landing.unlink()
        while home.notes() != ["flight_files"]:
            await asyncio.sleep(0.01)


@in_a_loop
async def test_an_error_that_nobody_thought_of_is_one_sentence_and_what_was_told_is_not_told_again(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home.write(FILE)
    async with ringing(home.doorbell()) as rings:
        await rings.until([FILE])
        with monkeypatch.context() as patch:
            patch.setattr("reloads.airflow.source_look.FileSources.load", refuse_anything)
            home.write(f"flights/{DAY}/b.csv")
            while "cannot be watched" not in caplog.text:
                await asyncio.sleep(0.01)
        assert await rings.until([f"flights/{DAY}/b.csv"]) == [[f"flights/{DAY}/b.csv"]]
    assert "the source folder cannot be watched, it is tried again: RuntimeError('odd')" in caplog.text


def refuse_anything(_: Path) -> None:
    raise RuntimeError("odd")


@in_a_loop
async def test_names_that_are_no_text_can_be_sent_and_there_are_at_most_twenty(home: Home) -> None:
    for number in range(30):
        home.write(os.fsdecode(b"flights/2013-01-05/\xff\n%02d.csv" % number))
    async with ringing(home.doorbell()) as rings:
        ring = await asyncio.wait_for(rings.queue.get(), timeout=30)
    assert len(ring["arrived"]) == 20
    assert "".join(ring["arrived"]).isprintable()
    assert ring["arrived"][0] == r"flights/2013-01-05/\xff\n00.csv"


@in_a_loop
async def test_it_rings_for_what_comes_changes_and_goes_in_a_bucket(home: Home, s3: S3Server) -> None:
    assert s3.endpoint
    raw = RawBucket()
    home.source = raw.folder
    raw.put("flights/readme", FILE)
    async with ringing(home.doorbell(rescan=0.2)) as rings:
        await rings.until([FILE])
        assert home.notes() == ["flight_files"]
        arrived(home.landing).take()
        raw.put(FILE, text="more")
        await rings.until([FILE])
        raw.put("flights/2013-01-07/b.csv", "flights/2013-01-10/not-awaited.csv")
        assert await rings.until(["flights/2013-01-07/b.csv"]) == [["flights/2013-01-07/b.csv"]]
        raw.remove(FILE)
        await rings.until([FILE])


@in_a_loop
async def test_a_bucket_that_refuses_is_said_twice_and_rings_for_what_came_meanwhile(
    home: Home, proxy: S3Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    raw = RawBucket()
    home.source = raw.folder
    raw.put("flights/readme", FILE)
    async with ringing(home.doorbell(rescan=0.2)) as rings:
        await rings.until([FILE])
        proxy.fault = lambda request: 403 if request.act == "LIST" else None
        while "refuses access" not in caplog.text:
            await asyncio.sleep(0.01)
        raw.put("flights/2013-01-07/b.csv")
        proxy.fault = no_fault
        await rings.until(["flights/2013-01-07/b.csv"])
    sentences = [record.getMessage() for record in caplog.records]
    assert len([sentence for sentence in sentences if "refuses access" in sentence]) == 1
    assert sentences.count(f"the folder {raw.url}/flights is there again") == 1


@pytest.mark.parametrize(("place", "seconds"), [("/source", source_listener.DEAF_LOOK_SECONDS), (BUCKET_FOLDER, 60.0)])
def test_who_hears_nothing_looks_at_a_folder_often_and_asks_a_bucket_as_often_as_it_is_told(
    tmp_path: Path, place: str, seconds: float
) -> None:
    watch = SourceWatch(
        source=Path(place),
        tables=tmp_path,
        landing=tmp_path,
        polling=True,
        rescan_seconds=60,
        stable_seconds=3,
        time_zone="UTC",
    )
    assert watch._pause(SourceListener(polling=True), next_round=HOUR, now=0) == seconds
