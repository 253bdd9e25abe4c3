"""A mirror: the folder of one machine for a warehouse in an object store. What holds is the log in the store.

.log/<table>/<number>.json               store and mirror: the commits; one that was trimmed is an empty object
.log/<table>/checkpoints/<number>.json   store: the state as of that commit, for who has not read what was trimmed
.versions/<table>/…                      store: all files that are kept; mirror: those that somebody needed here
<table>/…                                store: the current view
.view/, .cursors/, .failed/              store: as ``layout`` says
.state/, .staging/, *.lock               mirror only; the state follows from the log

Nothing is lost with a mirror, and each machine has one of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

from reloads.files import cannot_write, make_folder, write_atomically
from reloads.stores.address import store_url
from reloads.stores.object_store import ObjectStore
from reloads.stores.probe import probe

LEAST_FREE, ENOUGH_FREE = 0.2, 0.25
"""The share of its disk that a mirror leaves to others, and up to which it makes room once there is less."""

LEAST_SECONDS = 3600
"""So long a version stays that somebody has asked for: it is linked to where it is read soon after that."""

PROBED = ".probed"
"""The note in a mirror that its store was seen to do what a log needs."""


@dataclass(frozen=True)
class Mirror:
    """The mirror in that folder."""

    folder: Path
    store: ObjectStore

    def key_of(self, path: Path | str) -> str:
        """The key in the store of what has this path in the mirror."""
        return os.path.relpath(path, self.folder)

    def path_of(self, key: str) -> Path:
        """The inverse."""
        return self.folder / key

    def probe_once(self) -> None:
        """Raise ``OperatorError`` unless the store does what a log needs; asked once in the life of a mirror."""
        note = self.folder / PROBED
        if not note.exists():
            probe(self.store)
            make_folder(self.folder)
            write_atomically(note, f"{self.store.url}\n")

    def fetch(self, files: Iterable[Path]) -> list[Path]:
        """See that the mirror has these files, which never change; returns those that the store has not."""
        missing: dict[str, Path] = {}
        for file in files:
            try:
                # Who looks for what was not needed for a while finds that this one was.
                os.utime(file)
            except FileNotFoundError:
                make_folder(file.parent)
                missing[self.key_of(file)] = file
        try:
            if missing:
                self.make_room()
            return [missing[key] for key in self.store.fetch(missing)]
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def make_room(self) -> None:
        """Remove versions that were not needed for longest while the disk is almost full; the store has them all."""
        if _free_share(self.folder) >= LEAST_FREE:
            return
        oldest_kept = time.time() - LEAST_SECONDS
        versions = [(file.stat().st_mtime, file) for file in (self.folder / ".versions").rglob("*.parquet")]
        for used_at, file in sorted(versions):
            if used_at > oldest_kept or _free_share(self.folder) >= ENOUGH_FREE:
                return
            file.unlink(missing_ok=True)

    def upload(self, files: Collection[Path]) -> None:
        """Write these files of the mirror to the store."""
        self.store.upload({self.key_of(file): file for file in files})

    def remove(self, files: Collection[Path]) -> None:
        """Remove files, in the store first."""
        self.store.remove([self.key_of(file) for file in files])
        for file in files:
            with suppress(OSError):
                file.unlink()


def _free_share(folder: Path) -> float:
    room = os.statvfs(folder)
    return room.f_bavail / max(room.f_blocks, 1)


@lru_cache(maxsize=256)
def mirror_of(warehouse: Path) -> Mirror | None:
    """The mirror that the folder is; None where the warehouse is the folder itself."""
    url = store_url(warehouse)
    return Mirror(warehouse, ObjectStore(url)) if url else None


def fetch_files(warehouse: Path, files: Iterable[Path]) -> list[Path]:
    """See that these files of the warehouse can be opened here; returns those that the store has not.

    Of a warehouse that is a folder nothing is asked: what is there can be opened.
    """
    mirror = mirror_of(warehouse)
    return mirror.fetch(files) if mirror else []


def name_file() -> str:
    """The name of a file in the store that no other file ever has, whoever else is writing the same partition."""
    return uuid4().hex[:16]
