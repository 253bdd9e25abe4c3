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
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from reloads.airflow.attention import Attention, Pace, Signature
from reloads.errors import ReloadsError, one_line, shorten
from reloads.files import printable_name
from reloads.requests.drop_folder import list_request_files
from reloads.requests.queue import KNOCK, Queue

log = logging.getLogger(__name__)
MAX_NAMES = 20
MAX_NAME_LENGTH = 120
FIRST_PAUSE_SECONDS = 1.0
HEARD = (FileClosedEvent, FileMovedEvent, FileCreatedEvent)
HEARING_CHECK_SECONDS = 5.0
"""How long a listener whose thread or folder is gone stays unnoticed, at most."""


class Doorbell(BaseEventTrigger):
    """Rings for complete request files, and for accepted requests that nobody takes care of.

    ``landing`` is scanned whole at the start, soon after every file event and every ``rescan_seconds``; ``observer`` is
    ``auto`` (the operating system tells) or ``polling`` (for file systems that report nothing).

    It does not end by itself: whatever goes wrong is one sentence in the log, and it begins afresh.
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
        """Yield an event for each ring; its payload names the files and the neglected requests.

        A payload holds at most ``MAX_NAMES`` names of each, shortened and printable: one that Airflow cannot encode
        would end its triggerer, again at every start.
        """
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = loop.time()
            try:
                async with aclosing(self._rings()) as rings:
                    async for ring in rings:
                        yield TriggerEvent(ring)  # type: ignore[no-untyped-call]
            except Exception as error:  # noqa: BLE001 - a trigger that ends sees nothing any more, whatever ended it
                log.error("the drop folder cannot be watched, it is tried again: %s", _sentence(error))  # noqa: TRY400
            has_held = loop.time() - began > pause
            pause = min(FIRST_PAUSE_SECONDS if has_held else 2 * pause, self.rescan_seconds)
            await asyncio.sleep(pause)

    async def _rings(self) -> AsyncGenerator[dict[str, list[str]], None]:
        """The payloads of the rings, until something goes wrong."""
        loop = asyncio.get_running_loop()
        attention = Attention(stable_seconds=self.stable_seconds, rescan_seconds=self.rescan_seconds)
        pace = Pace()
        listener = _FolderListener(Path(self.landing), polling=self.observer == "polling")
        next_rescan = loop.time()
        try:
            while True:
                began = loop.time()
                # Taken before the folder is read: a file heard of later may not be seen by this look.
                finished = listener.take_finished()
                files = await asyncio.to_thread(self._look, listener, attention, finished, loop)
                ring = {"files": _printable_names(files)}
                took = loop.time() - began
                if listener.was_knocked() or loop.time() >= next_rescan:
                    next_rescan = loop.time() + self.rescan_seconds
                    ring["neglected"] = await asyncio.to_thread(self._find_neglected)
                ring = {kind: names for kind, names in ring.items() if names}
                if ring:
                    yield ring
                await asyncio.sleep(pace.gap_after_look(rang=bool(ring), took=took, now=loop.time()))
                now = loop.time()
                await listener.wait(min(attention.seconds_to_next_look(now=now), next_rescan - now))
        finally:
            # Joined in a thread, because the observer's own thread may be in the middle of a slow stat.
            await asyncio.shield(asyncio.to_thread(listener.close))

    def _look(
        self,
        listener: _FolderListener,
        attention: Attention,
        finished: set[str],
        loop: asyncio.AbstractEventLoop,
    ) -> list[str]:
        """The files to ring for. Called in a thread: a folder of 20,000 files takes a tenth of a second."""
        listener.listen(loop.call_soon_threadsafe)
        signatures = _read_signatures(Path(self.landing))
        return attention.look(signatures, finished=finished, now=loop.time())

    def _find_neglected(self) -> list[str]:
        """The ids of accepted requests that nobody takes care of. Trouble with them does not hold up the files."""
        after = timedelta(seconds=self.rescan_seconds)
        try:
            records = Queue(Path(self.landing)).neglected(now=datetime.now(UTC), after=after)
        except Exception as error:  # noqa: BLE001 - anybody may have put a file into accepted/
            log.error("the waiting requests cannot be read, it is tried again: %s", _sentence(error))  # noqa: TRY400
            return []
        return _printable_names([record.id for record in records])


def _printable_names(names: list[str]) -> list[str]:
    """The first names, such that anything can encode and show them."""
    return [shorten(printable_name(name), MAX_NAME_LENGTH) for name in names[:MAX_NAMES]]


def _sentence(error: Exception) -> str:
    """What went wrong, on one line of the log; the kind of an error that is not ours says most of it."""
    text = one_line(error if isinstance(error, ReloadsError | OSError) else repr(error))
    # Not every text comes from a file system: what none can hold is escaped before the rest is.
    return printable_name(text.encode("utf-8", "backslashreplace").decode())


def _read_signatures(landing: Path) -> dict[str, Signature]:
    """What lies in the folder now; an entry that vanishes meanwhile is not there."""
    signatures: dict[str, Signature] = {}
    for entry in list_request_files(landing):
        try:
            status = entry.stat(follow_symlinks=False)
            signatures[entry.name] = Signature(status.st_ino, status.st_size, status.st_ctime_ns)
        except FileNotFoundError:
            continue
        except OSError:
            # Whoever judges it says what is wrong with it; it must not hide the others.
            signatures[entry.name] = Signature(entry.inode(), 0, 0)
    return signatures


def _threads(observer: BaseObserver) -> list[threading.Thread]:
    """All threads by which an observer hears; inotify's reader is private to it (watchdog 7.1)."""
    reader = getattr(observer, "_inotify_fd", None)
    return [observer, *observer.emitters, *([reader] if isinstance(reader, threading.Thread) else [])]


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
