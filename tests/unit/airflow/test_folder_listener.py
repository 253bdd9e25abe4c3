"""The folder listener: it hears whatever happens to its threads, and leaves none behind."""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import FileCreatedEvent
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify_c import InotifyFD
from watchdog.observers.polling import PollingObserver

from reloads.airflow.drop_folder_listener import DropFolderListener
from reloads.airflow.folder_listener import FolderListener
from tests.support.watchers import assert_no_watcher_lives, both_observers


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@both_observers
def test_a_listener_that_was_closed_does_not_begin_to_listen(landing: Path, observer: str) -> None:
    # A task that is cancelled closes it while a thread may be about to start the observer.
    listener = DropFolderListener(landing, polling=observer == "polling")
    listener.close()
    listener.listen(lambda call: call())
    assert_no_watcher_lives()


@both_observers
def test_a_listener_whose_folder_went_listens_anew_even_if_the_new_folder_has_the_old_inode(
    landing: Path, observer: str
) -> None:
    listener = DropFolderListener(landing, polling=observer == "polling")
    try:
        listener.listen(lambda call: call())
        shutil.rmtree(landing)
        while listener._is_listening():
            time.sleep(0.01)
        landing.mkdir()
        watched = listener._watched[landing]
        listener._watched[landing] = replace(watched, inode=landing.stat().st_ino)
        listener.listen(lambda call: call())
        (landing / "a.json").write_text("{}")
        assert listener._is_listening()
    finally:
        listener.close()
    assert_no_watcher_lives()


def refuse_a_watch(_: BaseObserver) -> None:
    """What watchdog does once the user's inotify watches are used up."""
    raise OSError(errno.ENOSPC, "inotify watch limit reached")


def refuse_an_instance(_: InotifyFD) -> None:
    """What watchdog does once the user's inotify instances are used up."""
    raise OSError(errno.EMFILE, "inotify instance limit reached")


@pytest.mark.parametrize(
    ("broken", "method", "refuse", "limit"),
    [
        pytest.param(Observer, "start", refuse_a_watch, "watch", id="no watch left"),
        pytest.param(InotifyFD, "__init__", refuse_an_instance, "instance", id="no instance left"),
    ],
)
def test_where_the_system_has_no_listener_left_the_folder_is_polled_and_the_log_says_so(
    landing: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: type,
    method: str,
    refuse: Callable[[Any], None],
    limit: str,
) -> None:
    monkeypatch.setattr(broken, method, refuse)
    listener = DropFolderListener(landing, polling=False)
    try:
        listener.listen(lambda call: call())
        assert isinstance(listener._observer, PollingObserver)
        assert listener.hears()
    finally:
        listener.close()
    sentence = (
        f"the system cannot report file events here (inotify {limit} limit reached); the folder is polled instead"
    )
    assert [record.getMessage() for record in caplog.records] == [sentence]
    assert_no_watcher_lives()


@pytest.fixture
def listener() -> Iterator[FolderListener]:
    listener = FolderListener([FileCreatedEvent])
    try:
        yield listener
    finally:
        listener.close()
        assert_no_watcher_lives()


def listened_to(listener: FolderListener) -> set[str]:
    observer = listener._observer
    return {emitter.watch.path for emitter in observer.emitters} if observer else set()


def test_folders_are_added_and_dropped_and_each_new_one_is_said(tmp_path: Path, listener: FolderListener) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    assert listener.listen_to([first, second], lambda call: call())
    assert listened_to(listener) == {str(first)}
    assert not listener.listen_to([first], lambda call: call())
    second.mkdir()
    assert listener.listen_to([first, second], lambda call: call())
    assert listened_to(listener) == {str(first), str(second)}
    assert not listener.listen_to([second], lambda call: call())
    assert listened_to(listener) == {str(second)}
    assert listener.hears()
    assert not listener.listen_to([], lambda call: call())
    assert_no_watcher_lives()


@pytest.mark.parametrize("how", ["moved away", "removed"])
def test_another_folder_of_the_same_path_is_listened_to_and_said(
    tmp_path: Path, listener: FolderListener, how: str
) -> None:
    folder, heard = tmp_path / "folder", threading.Event()
    folder.mkdir()
    listener.listen_to([folder, tmp_path], lambda call: call())
    if how == "removed":
        folder.rmdir()
        while listener._is_listening():
            time.sleep(0.01)
    else:
        folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    assert listener.listen_to([folder, tmp_path], lambda _: heard.set())
    (folder / "a.json").write_text("{}")
    assert heard.wait(timeout=20)


def test_it_is_missed_that_a_wanted_folder_is_not_there_or_not_heard(tmp_path: Path, listener: FolderListener) -> None:
    folder = tmp_path / "folder"
    assert listener.hears()
    listener.listen_to([folder], lambda call: call())
    assert not listener.hears()
    folder.mkdir()
    assert not listener.hears()
    listener.listen_to([folder], lambda call: call())
    assert listener.hears()
