"""Staging folders: where a batch writes before it publishes. They lie in ``warehouse/.staging``, outside every table.

A folder in use is locked by the process that uses it, and the lock ends with the process however that ends. So what a
crash left behind is told apart from what is in use without a clock or a list of processes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from reloads.files import cannot_write
from reloads.locks import take_lock
from reloads.warehouse.layout import staging_root


@contextmanager
def staging_folder(warehouse: Path, label: str) -> Iterator[Path]:
    """An empty folder of one's own on the warehouse's file system, removed at the end whatever happens."""
    name = f"{label}-{uuid4().hex[:12]}"
    root = staging_root(warehouse)
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Locked before it gets the name that remove_abandoned_folders looks for.
        lock = take_lock(root / f".{name}.tmp", os.O_CREAT | os.O_EXCL)
        (root / f".{name}.tmp").rename(root / f"{name}.lock")
        folder = root / name
        folder.mkdir()
    except OSError as error:
        raise cannot_write(root, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (root / f"{name}.lock").unlink(missing_ok=True)
        os.close(lock)


def is_in_use(warehouse: Path, label: str) -> bool:
    """Whether a living process uses a staging folder of that label."""
    for path in staging_root(warehouse).glob(f"{label}-{'[0-9a-f]' * 12}.lock"):
        try:
            os.close(take_lock(path))
        except BlockingIOError:
            return True
        except OSError:
            continue  # just removed
    return False


def remove_abandoned_folders(warehouse: Path) -> list[str]:
    """Remove the staging folders that no living process uses; returns their names."""
    removed: list[str] = []
    for path in sorted(staging_root(warehouse).glob("*.lock")):
        try:
            lock = take_lock(path)
        except OSError:
            continue  # in use, or just removed by its owner
        try:
            folder = path.with_suffix("")
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
            path.unlink(missing_ok=True)
        finally:
            os.close(lock)
    return removed
