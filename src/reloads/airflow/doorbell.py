"""The doorbell: an Airflow trigger that rings when there is something to do in the drop folder.

It only wakes ``request_partitions``; what is to be done stands in the folders. So a ring too many costs a moment, and a
ring too few is made up for by the next look. Airflow's triggerer loads this class by its path,
``reloads.airflow.doorbell``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from reloads.airflow.attention import Attention, Signature
from reloads.errors import ReloadsError
from reloads.requests.drop_folder import list_request_files
from reloads.requests.queue import KNOCK, Queue

log = logging.getLogger(__name__)
MAX_NAMES = 20


class Doorbell(BaseEventTrigger):
    """Rings for complete request files, and for accepted requests that nobody takes care of.

    ``landing`` is scanned whole at the start, at every file event and every ``rescan_seconds``; ``observer`` is
    ``auto`` (the operating system tells) or ``polling`` (for file systems that report nothing).
    """

    def __init__(self, *, landing: str, observer: str, rescan_seconds: float, stable_seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.landing = landing
        self.observer = observer
        self.rescan_seconds = rescan_seconds
        self.stable_seconds = stable_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and the arguments that make this trigger again."""
        names = ("landing", "observer", "rescan_seconds", "stable_seconds")
        return "reloads.airflow.doorbell.Doorbell", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each ring; its payload names the files and the neglected requests."""
        loop = asyncio.get_running_loop()
        attention = Attention(stable_seconds=self.stable_seconds, rescan_seconds=self.rescan_seconds)
        listener = _FolderListener(Path(self.landing), polling=self.observer == "polling")
        next_rescan = loop.time()
        try:
            while True:
                try:
                    await asyncio.to_thread(listener.listen, loop.call_soon_threadsafe)
                    finished = listener.take_finished()
                    files = await asyncio.to_thread(_read_signatures, Path(self.landing))
                    ring = {"files": attention.look(files, finished=finished, now=loop.time())[:MAX_NAMES]}
                    if listener.was_knocked() or loop.time() >= next_rescan:
                        next_rescan = loop.time() + self.rescan_seconds
                        ring["neglected"] = await asyncio.to_thread(self._neglected)
                    if any(ring.values()):
                        yield _make_event({name: names for name, names in ring.items() if names})
                except (ReloadsError, OSError) as error:
                    log.error("the drop folder cannot be watched, it is tried again: %s", error)  # noqa: TRY400
                    next_rescan = loop.time() + self.rescan_seconds
                pause = min(attention.seconds_to_next_look(now=loop.time()), max(0.05, next_rescan - loop.time()))
                with suppress(TimeoutError):
                    await asyncio.wait_for(listener.woken.wait(), timeout=pause)
        finally:
            # Joined in a thread, because the observer's own thread may be in the middle of a slow stat.
            await asyncio.shield(asyncio.to_thread(listener.close))

    def _neglected(self) -> list[str]:
        after = timedelta(seconds=self.rescan_seconds)
        records = Queue(Path(self.landing)).neglected(now=datetime.now(UTC), after=after)
        return [record.id for record in records[:MAX_NAMES]]


def _make_event(payload: dict[str, list[str]]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]


def _read_signatures(landing: Path) -> dict[str, Signature]:
    """What lies in the folder now; an entry that vanishes meanwhile is not there."""
    signatures: dict[str, Signature] = {}
    for entry in list_request_files(landing):
        with suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            signatures[entry.name] = Signature(status.st_ino, status.st_size, status.st_mtime_ns)
    return signatures


class _FolderListener(FileSystemEventHandler):
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
            self._observer = self._start_observer(PollingObserver if self._polling else Observer)
            self._inode = inode

    def _is_listening(self) -> bool:
        # An emitter ends with its folder while the observer lives on, and a new folder may get the old one's inode.
        observer = self._observer
        return observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)

    def _start_observer(self, kind: Callable[[], BaseObserver]) -> BaseObserver:
        observer = kind()
        observer.schedule(self, str(self._landing), recursive=False)
        try:
            observer.start()
        except OSError as error:
            # An observer that never started has a thread already, which reads events (watchdog 7.1).
            observer.stop()
            # The limit of inotify watches is per user and easily used up by an editor.
            if kind is PollingObserver:
                raise
            log.warning("the system cannot report file events here (%s); the folder is polled instead", error.strerror)
            return self._start_observer(PollingObserver)
        return observer

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
        """Called in the observer's thread; reading a file makes events too, which do not count."""
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
