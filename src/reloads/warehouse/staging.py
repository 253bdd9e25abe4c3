"""Staging folders: where a batch writes before it publishes. They lie in ``warehouse/.staging``, outside every table.

A folder in use is locked by the process that uses it, and the lock ends with the process however that ends. So what a
crash left behind is told apart from what is in use without a clock or a list of processes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from reloads.errors import OperatorError

STAGING = ".staging"


@contextmanager
def staging_folder(warehouse: Path, label: str) -> Iterator[Path]:
    """An empty folder of one's own on the warehouse's file system, removed at the end whatever happens."""
    name = f"{label}-{uuid4().hex[:12]}"
    root = warehouse / STAGING
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Locked before it gets the name that remove_abandoned_folders looks for.
        lock = _lock(root / f".{name}.tmp")
        (root / f".{name}.tmp").rename(root / f"{name}.lock")
        folder = root / name
        folder.mkdir()
    except OSError as error:
        raise OperatorError(f"{root} cannot be written ({error.strerror}); make room or grant access") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (root / f"{name}.lock").unlink(missing_ok=True)
        os.close(lock)


def is_in_use(warehouse: Path, label: str) -> bool:
    """Whether a living process uses a staging folder of that label."""
    for path in (warehouse / STAGING).glob(f"{label}-{'[0-9a-f]' * 12}.lock"):
        try:
            os.close(_lock(path, create=False))
        except BlockingIOError:
            return True
        except OSError:
            continue  # just removed
    return False


def remove_abandoned_folders(warehouse: Path) -> list[str]:
    """Remove the staging folders that no living process uses; returns their names."""
    root = warehouse / STAGING
    removed = []
    for path in sorted(root.glob("*.lock")):
        try:
            lock = _lock(path, create=False)
        except OSError:
            continue  # in use, or just removed by its owner
        try:
            if (folder := root / path.stem).exists():
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(path.stem)
            path.unlink(missing_ok=True)
        finally:
            os.close(lock)
    return removed


def _lock(path: Path, *, create: bool = True) -> int:
    """Take the lock without waiting; raises ``BlockingIOError`` while a process holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0), 0o664)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
