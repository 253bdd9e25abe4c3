"""Files that are written whole or not at all, and by one command at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.errors import StackError


def write_private(path: Path, text: str) -> None:
    """Put ``text`` in the place of the file; only its owner can read it, and a reader sees the old text or the new."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def last_lines(path: Path, count: int = 8) -> str:
    """The end of a log, indented, for the error that tells to read it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64 * 1024))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return "  (nothing)"
    return "\n".join(f"  {line[:240]}" for line in lines[-count:]) or "  (nothing)"


@contextmanager
def exclusive_lock(lock: Path) -> Iterator[None]:
    """Hold the lock file, so that two commands never start or stop the same stack at once."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError("another up, down or demo works on this folder; wait for it, then try again") from error
        yield
