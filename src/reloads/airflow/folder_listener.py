"""Hearing of files in folders: watchdog's threads, started again where one ends, and the event loop that they wake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

HEARING_CHECK_SECONDS = 5.0
"""How long a listener whose thread or folder is gone stays unnoticed, at most."""

CallInLoop = Callable[[Callable[[], None]], object]


def _threads(observer: BaseObserver) -> list[threading.Thread]:
    """All threads by which an observer hears; inotify's reader is private to it (watchdog 7.1)."""
    return [*_shared_threads(observer), *observer.emitters]


def _shared_threads(observer: BaseObserver) -> list[threading.Thread]:
    reader = getattr(observer, "_inotify_fd", None)
    return [observer, *([reader] if isinstance(reader, threading.Thread) else [])]


@dataclass(frozen=True)
class _Watched:
    """A folder that is listened to: one of the same path may be another one later."""

    watch: ObservedWatch
    inode: int


class FolderListener(FileSystemEventHandler):
    """Learns of files through watchdog, in the observer's thread, and wakes the event loop.

    It listens to folders and not to what lies in their folders. ``heard`` are the kinds of events asked for.
    """

    def __init__(self, heard: Sequence[type[FileSystemEvent]]) -> None:
        self.woken = asyncio.Event()
        self._heard = list(heard)
        self._observer: BaseObserver | None = None
        self._wanted: frozenset[Path] = frozenset()
        self._watched: dict[Path, _Watched] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        self._call_in_loop: CallInLoop = lambda _: None

    def listen_to(
        self, folders: Collection[Path], call_in_loop: CallInLoop, *, kind: Callable[[], BaseObserver] = Observer
    ) -> bool:
        """Listen to these folders and to no others; to those anew that are other ones now, or whose thread ended.

        Returns whether there is one that was not listened to before: what came meanwhile was not heard. A folder that
        is not there is left out. Raises ``OSError`` where the system refuses; those heard before are still heard then.
        """
        # A task that is cancelled while this runs closes the listener meanwhile, in another thread.
        with self._lock:
            if self._is_closed:
                return False
            self._call_in_loop = call_in_loop
            self._wanted = frozenset(folders)
            inodes = _read_inodes(self._wanted)
            self._drop_watches(inodes)
            added = sorted(inodes.keys() - self._watched.keys())
            if added and self._observer is None:
                self._observer = _start(kind)
            for folder in added:
                with suppress(FileNotFoundError):  # it went just now
                    self._watched[folder] = _Watched(self._schedule(folder), inodes[folder])
            if not self._watched:
                self._stop()
            return bool(added)

    def hears(self) -> bool:
        """Whether all threads live and the folders are still those that are listened to."""
        return self._is_listening() and _read_inodes(self._wanted) == {
            folder: watched.inode for folder, watched in self._watched.items()
        }

    def _is_listening(self) -> bool:
        # An emitter ends with its folder while the observer lives on, and a new folder may get the old one's inode.
        observer = self._observer
        if observer is None:
            return not self._wanted
        return all(thread.is_alive() for thread in _threads(observer))

    def _drop_watches(self, inodes: dict[Path, int]) -> None:
        """Stop listening to what is not wanted, to other folders of the same path, and where a thread ended."""
        if self._observer is None:
            return
        if not all(thread.is_alive() for thread in _shared_threads(self._observer)):
            self._stop()
            return
        living = {emitter.watch for emitter in self._observer.emitters if emitter.is_alive()}
        for folder, watched in list(self._watched.items()):
            if inodes.get(folder) != watched.inode or watched.watch not in living:
                del self._watched[folder]
                self._observer.unschedule(watched.watch)

    def _schedule(self, folder: Path) -> ObservedWatch:
        if self._observer is None:
            raise RuntimeError("a listener without an observer listens to nothing")
        return self._observer.schedule(self, str(folder), event_filter=self._heard, follow_symlink=True)

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

    def close(self) -> None:
        """End the observer's thread for good and wait until it has ended."""
        with self._lock:
            self._is_closed = True
            self._stop()

    def _stop(self) -> None:
        self._watched = {}
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
        self._observer = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called in the observer's thread."""
        self._call_in_loop(partial(self.note, event))

    def note(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - those who want to know more override it
        """Called in the event loop, so that what is noted needs no lock."""
        self.woken.set()


def _start(kind: Callable[[], BaseObserver]) -> BaseObserver:
    observer = kind()
    try:
        observer.start()
    except BaseException:
        # An observer that never started has a thread already, which reads events (watchdog 7.1).
        observer.stop()
        raise
    return observer


def _read_inodes(folders: Collection[Path]) -> dict[Path, int]:
    """Those that are there."""
    inodes: dict[Path, int] = {}
    for folder in folders:
        try:
            inodes[folder] = folder.stat().st_ino
        except OSError:
            continue
    return inodes
