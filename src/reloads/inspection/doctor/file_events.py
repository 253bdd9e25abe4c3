"""Does the file system tell when a file is dropped?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from reloads.inspection.doctor.finding import Finding, good, warning, wrong
from reloads.inspection.doctor.probe import probe_file
from reloads.settings import Settings

SECONDS = 3.0
POLLING = "set RELOADS_OBSERVER=polling"
SHARED = re.compile(r"nfs\d?|cifs|smb\w*|9p|virtiofs|vboxsf|prl_fs|ceph|glusterfs|lustre|osxfs|fuse\..*|grpcfuse")
"""Types of file systems on which somebody else may write, of which nothing is told here."""


def examine_events(settings: Settings, *, mounts: Path = Path("/proc/self/mounts")) -> Iterator[Finding]:
    """Whether a file that is dropped is heard of at once; ``mounts`` is the kernel's list."""
    landing = settings.landing
    if settings.observer == "polling":
        yield good("file events", f"{landing} is looked at every second, whatever the file system tells")
        return
    if not landing.is_dir():
        return
    try:
        fault = find_deafness(landing)
    except OSError:
        return  # what keeps us from writing there is said elsewhere
    if fault:
        sentence = f"a file dropped into {landing} is met only every {settings.rescan_seconds:g} s"
        yield wrong("file events", f"{fault}, so {sentence}; {POLLING}")
    elif (kind := _type_of_mount(landing, mounts)) and SHARED.fullmatch(kind):
        sentence = f"{landing} lies on {kind}, which tells nothing of what other machines write"
        yield warning("file events", f"{sentence}; {POLLING}")
    else:
        yield good("file events", f"a file dropped into {landing} is heard of at once")


def find_deafness(folder: Path, *, drop: Callable[[Path], None] | None = None, seconds: float = SECONDS) -> str | None:
    """Why nothing is heard of a file in the folder; None if it is. ``drop`` puts one there, by default this process.

    Raises ``OSError`` where no file can be put there.
    """
    heard = Event()
    try:
        observer = _listen(folder, heard)
    except OSError as error:
        return f"{folder} cannot be watched ({error.strerror or error})"
    try:
        (drop or _drop)(folder)
        return None if heard.wait(seconds) else f"no event came within {seconds:g} s of a file written to {folder}"
    finally:
        observer.stop()
        observer.join()


def _listen(folder: Path, heard: Event) -> BaseObserver:
    observer = Observer()
    try:
        observer.schedule(_Listener(heard), str(folder))
        observer.start()
    except BaseException:
        # An observer that never started has a thread already, which reads events (watchdog 7.1).
        observer.stop()
        raise
    return observer


class _Listener(FileSystemEventHandler):
    def __init__(self, heard: Event) -> None:
        self._heard = heard

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - any will do
        self._heard.set()


def _drop(folder: Path) -> None:
    with probe_file(folder) as path, suppress(FileNotFoundError):
        path.chmod(0o600)


def _type_of_mount(folder: Path, mounts: Path) -> str | None:
    """The type of the file system that the folder lies on; None where the kernel has no such list."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = folder.resolve()
    found: tuple[int, str] = 0, ""
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        # The kernel writes a blank as \040.
        path = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point))
        if place.is_relative_to(path):
            found = max(found, (len(path.parts), kind))
    return found[1] or None
