"""What an act touches on disk, as counts: files opened, bytes of files opened to be read, and folders listed."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

_watched: list[tuple[str, Counter[str]]] = []
_is_hooked = False


class _CountedNames:
    """A listing that counts the names that somebody takes from it."""

    def __init__(self, entries: Any, take: Callable[[], None]) -> None:
        self._entries, self._take = entries, take

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> os.DirEntry[str]:
        entry: os.DirEntry[str] = next(self._entries)
        self._take()
        return entry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries.close()


@contextmanager
def count_names(folder: Path) -> Iterator[Counter[str]]:
    """Count the names that are taken from listings of folders below ``folder``, like ``{"done": 3}``."""
    counts: Counter[str] = Counter()
    scandir = os.scandir

    def scan(path: Any = ".") -> Any:
        entries, text = scandir(path), str(path)
        if not f"{text}/".startswith(f"{folder}/"):
            return entries
        inner = os.path.relpath(text, folder)
        return _CountedNames(entries, lambda: counts.update([inner]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scan)
        yield counts


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
            status = Path(path).stat()
            # A folder that is flushed is opened, too.
            counts["bytes"] += status.st_size if stat.S_ISREG(status.st_mode) else 0
