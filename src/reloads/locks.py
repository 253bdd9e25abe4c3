"""Locks: one process at a time does something, and a lock ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reloads.files import cannot_write, make_folder, move_aside


@contextmanager
def file_lock(path: Path) -> Iterator[int]:
    """Hold the lock of that file, made if it is missing; waits for whoever holds it. Yields its descriptor.

    The lock ends with the process, however that ends; a child that inherits the descriptor holds it on.
    """
    make_folder(path.parent)
    try:
        try:
            handle = take_lock(path, os.O_CREAT, wait=True)
        except IsADirectoryError:
            move_aside(path)
            handle = take_lock(path, os.O_CREAT, wait=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield handle
    finally:
        os.close(handle)


def take_lock(path: Path, flags: int = 0, *, wait: bool = False) -> int:
    """Open the file with these flags of ``os.open`` and lock it; closing the descriptor ends the lock.

    Without waiting it raises ``BlockingIOError`` while another process holds the lock.
    """
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o664)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        raise
    return handle


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of that file. Any number of processes may ask at once."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # A shared lock, so that nobody who asks is taken for the holder.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
