"""The folder listener: it hears whatever happens to its threads, and leaves none behind."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify_c import InotifyFD
from watchdog.observers.polling import PollingObserver

from reloads.airflow.drop_folder_listener import DropFolderListener
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
