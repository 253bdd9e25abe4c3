"""The ways to watch a folder, and whether a thread of one is left."""

from __future__ import annotations

import threading

import pytest
from watchdog.utils import BaseThread

both_observers = pytest.mark.parametrize("observer", ["auto", "polling"])


def assert_no_watcher_lives() -> None:
    assert [thread for thread in threading.enumerate() if isinstance(thread, BaseThread)] == []
