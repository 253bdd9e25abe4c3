"""Hearing of raw files: in the folders on the way to the files of watched days."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
)

from reloads.airflow.folder_listener import CallInLoop, FolderListener
from reloads.errors import one_line

log = logging.getLogger(__name__)
HEARD = (
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
)
DEAF_LOOK_SECONDS = 5.0
"""How often a look is repeated where nothing is heard."""
MAX_FOLDERS = 256
"""So many folders are listened to, because each takes a thread (watchdog 7.1)."""
MAX_HEARD = 1_000
"""So many paths are kept until somebody asks for them."""


class SourceListener(FolderListener):
    """Learns of raw files; where the system reports nothing, it says so once and is deaf."""

    def __init__(self, *, polling: bool) -> None:
        super().__init__(HEARD)
        self.is_deaf = polling
        self._polling = polling
        self._said = ""
        self._heard_paths: set[Path] = set()

    def listen(self, folders: Collection[Path], call_in_loop: CallInLoop) -> bool:
        """Listen to these folders; returns whether one was added, so that a look must follow."""
        if not folders:
            self.listen_to((), call_in_loop)
            return False
        if self._polling:
            self._say("the raw files are looked at every 5 seconds, because RELOADS_OBSERVER is polling")
            return False
        nearest = sorted(folders, key=lambda folder: (len(folder.parts), folder))[:MAX_FOLDERS]
        try:
            is_added = self.listen_to(nearest, call_in_loop)
        except (OSError, RuntimeError) as error:  # no inotify left, or no thread
            self.is_deaf = True
            reason = error.strerror if isinstance(error, OSError) else one_line(error)
            self._say(
                f"the system cannot report file events here ({reason}); the raw files are looked at every 5 seconds"
            )
            return False
        self.is_deaf = len(nearest) < len(folders)
        if self.is_deaf:
            self._say(
                f"the raw files of the watched days lie in more than {MAX_FOLDERS} folders; "
                "they are looked at every 5 seconds"
            )
        return is_added

    def take_heard(self) -> set[Path]:
        """The paths of the files and folders that came since the last call."""
        self.woken.clear()
        heard, self._heard_paths = self._heard_paths, set()
        return heard

    def note(self, event: FileSystemEvent) -> None:
        """Note a file or a folder that came, and look at whatever else happened."""
        if len(self._heard_paths) < MAX_HEARD and not isinstance(event, FileDeletedEvent | DirDeletedEvent):
            self._heard_paths.add(Path(os.fsdecode(event.dest_path or event.src_path)))
        self.woken.set()

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            log.warning("%s", sentence)
