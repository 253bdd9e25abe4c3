"""A small file of our own in somebody's folder, by which is tried what can be done there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


@contextmanager
def probe_file(folder: Path) -> Iterator[Path]:
    """Write a hidden file that nobody takes for theirs, flushed; it is gone at the end. Raises ``OSError``."""
    path = folder / f".doctor-{uuid4().hex}"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write("reloads doctor\n")
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
