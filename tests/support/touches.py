"""What an act touches on disk, as counts: files opened, bytes of files opened to be read, and folders listed."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_watched: list[tuple[str, Counter[str]]] = []
_is_hooked = False


@contextmanager
def count_touches(folder: Path) -> Iterator[Counter[str]]:
    """Count what this process touches below ``folder``, like ``{"list done": 1, "open done": 2, "bytes": 900}``."""
    global _is_hooked  # noqa: PLW0603 - an audit hook stays for the life of the process
    if not _is_hooked:
        sys.addaudithook(_on_event)
        _is_hooked = True
    counts: Counter[str] = Counter()
    _watched.append((f"{folder}/", counts))
    try:
        yield counts
    finally:
        _watched.pop()


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched or event not in ("open", "os.scandir", "os.listdir") or not isinstance(arguments[0], str | Path):
        return
    start, counts = _watched[-1]
    path = os.fspath(arguments[0])
    if not f"{path}/".startswith(start):
        return
    inner = path.removeprefix(start) if path.startswith(start) else "."
    if event != "open":
        counts[f"list {inner}"] += 1
        return
    counts[f"open {Path(inner).parent}"] += 1
    if not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY):
        with suppress(OSError):
            counts["bytes"] += Path(path).stat().st_size
