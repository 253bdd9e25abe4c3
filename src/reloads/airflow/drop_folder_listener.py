"""Hearing of files in the drop folder: which writers are through, and whether somebody knocked."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent
from watchdog.observers.polling import PollingObserver

from reloads.airflow.folder_listener import CallInLoop, FolderListener
from reloads.requests.neglect import KNOCK

log = logging.getLogger(__name__)


class DropFolderListener(FolderListener):
    """Learns of the files in the drop folder; it polls the folder where the system reports nothing."""

    def __init__(self, landing: Path, *, polling: bool) -> None:
        super().__init__([FileClosedEvent, FileMovedEvent, FileCreatedEvent])
        self._landing = landing
        self._polling = polling
        self._finished: set[str] = set()
        self._is_knocked = False

    def listen(self, call_in_loop: CallInLoop) -> None:
        """Start listening, or start again where the observer died or the folder is another one than before."""
        self._landing.mkdir(parents=True, exist_ok=True)
        if not self._polling:
            try:
                self.listen_to([self._landing], call_in_loop)
            except OSError as error:
                # The limits of inotify's watches and instances are per user and easily used up by an editor.
                log.warning(
                    "the system cannot report file events here (%s); the folder is polled instead", error.strerror
                )
            else:
                return
        self.listen_to([self._landing], call_in_loop, kind=PollingObserver)

    def take_finished(self) -> set[str]:
        """The names of the files whose writers finished since the last call."""
        self.woken.clear()
        finished, self._finished = self._finished, set()
        return finished

    def was_knocked(self) -> bool:
        """Whether somebody asked for a look at the requests that wait, since the last call."""
        is_knocked, self._is_knocked = self._is_knocked, False
        return is_knocked

    def note(self, event: FileSystemEvent) -> None:
        """Note a file whose writer is through, and look at one that was just begun."""
        if isinstance(event, FileCreatedEvent):
            self.woken.set()
            return
        name = Path(os.fsdecode(event.dest_path or event.src_path)).name
        if name == KNOCK:
            self._is_knocked = True
            self.woken.set()
        elif name.endswith(".json") and not name.startswith("."):
            self._finished.add(name)
            self.woken.set()
