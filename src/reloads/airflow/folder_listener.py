"""Hearing of files in a folder: watchdog's threads, started again where one ends, and the event loop that they wake."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from reloads.requests.neglect import KNOCK

log = logging.getLogger(__name__)
HEARD = (FileClosedEvent, FileMovedEvent, FileCreatedEvent)
HEARING_CHECK_SECONDS = 5.0
"""How long a listener whose thread or folder is gone stays unnoticed, at most."""


def _threads(observer: BaseObserver) -> list[threading.Thread]:
    """All threads by which an observer hears; inotify's reader is private to it (watchdog 7.1)."""
    reader = getattr(observer, "_inotify_fd", None)
    return [observer, *observer.emitters, *([reader] if isinstance(reader, threading.Thread) else [])]


class FolderListener(FileSystemEventHandler):
    """Learns of files through watchdog, in the observer's thread, and wakes the event loop."""

    def __init__(self, landing: Path, *, polling: bool) -> None:
        self.woken = asyncio.Event()
        self._landing = landing
        self._polling = polling
        self._finished: set[str] = set()
        self._is_knocked = False
        self._observer: BaseObserver | None = None
        self._inode = 0
        self._lock = threading.Lock()
        self._is_closed = False
        self._call_in_loop: Callable[[Callable[[], None]], object] = lambda _: None

    def listen(self, call_in_loop: Callable[[Callable[[], None]], object]) -> None:
        """Start listening, or start again where the observer died or the folder is another one than before."""
        # A task that is cancelled while this runs closes the listener meanwhile, in another thread.
        with self._lock:
            if self._is_closed:
                return
            self._landing.mkdir(parents=True, exist_ok=True)
            inode = self._landing.stat().st_ino
            if self._is_listening() and inode == self._inode:
                return
            self._stop()
            self._call_in_loop = call_in_loop
            self._observer = self._start_observer()
            self._inode = inode

    def hears(self) -> bool:
        """Whether all threads live and the folder is still the one they listen to."""
        try:
            return self._is_listening() and self._landing.stat().st_ino == self._inode
        except OSError:
            return False

    def _is_listening(self) -> bool:
        # An emitter ends with its folder while the observer lives on, and a new folder may get the old one's inode.
        observer = self._observer
        return observer is not None and all(thread.is_alive() for thread in _threads(observer))

    def _start_observer(self) -> BaseObserver:
        if self._polling:
            return self._start(PollingObserver)
        try:
            return self._start(Observer)
        except OSError as error:
            # The limits of inotify's watches and instances are per user and easily used up by an editor.
            log.warning("the system cannot report file events here (%s); the folder is polled instead", error.strerror)
            return self._start(PollingObserver)

    def _start(self, kind: Callable[[], BaseObserver]) -> BaseObserver:
        observer = kind()
        try:
            observer.schedule(self, str(self._landing), event_filter=[*HEARD])
            observer.start()
        except BaseException:
            # An observer that never started has a thread already, which reads events (watchdog 7.1).
            observer.stop()
            raise
        return observer

    async def wait(self, seconds: float) -> None:
        """Wait until something is heard, the listener has gone deaf, or the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self.woken.is_set() and (left := end - loop.time()) > 0:
            try:
                await asyncio.wait_for(self.woken.wait(), timeout=min(left, HEARING_CHECK_SECONDS))
            except TimeoutError:
                if not await asyncio.to_thread(self.hears):
                    return

    def take_finished(self) -> set[str]:
        """The names of the files whose writers finished since the last call."""
        self.woken.clear()
        finished, self._finished = self._finished, set()
        return finished

    def was_knocked(self) -> bool:
        """Whether somebody asked for a look at the requests that wait, since the last call."""
        is_knocked, self._is_knocked = self._is_knocked, False
        return is_knocked

    def close(self) -> None:
        """End the observer's thread for good and wait until it has ended."""
        with self._lock:
            self._is_closed = True
            self._stop()

    def _stop(self) -> None:
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
        self._observer = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called in the observer's thread; reading a file makes events too, which are not asked for."""
        if isinstance(event, FileClosedEvent | FileMovedEvent):
            self._call_in_loop(lambda: self._note_finished(Path(os.fsdecode(event.dest_path or event.src_path)).name))
        elif isinstance(event, FileCreatedEvent):
            self._call_in_loop(self.woken.set)

    def _note_finished(self, name: str) -> None:
        """Called in the event loop, so that the set needs no lock."""
        if name == KNOCK:
            self._is_knocked = True
            self.woken.set()
        elif name.endswith(".json") and not name.startswith("."):
            self._finished.add(name)
            self.woken.set()
