"""What an act touches on disk, as counts: files opened, bytes of files opened to be read, and folders listed."""

from __future__ import annotations

import builtins
import io
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest


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
    """Count what this process touches below ``folder``, like ``{"list done": 1, "open done": 2, "bytes": 900}``.

    The functions that open and list are replaced for as long as it lasts. An audit hook would see the same, but stays
    for the life of the process: in Python 3.11 a thread that starts under coverage while a hook runs dies.
    """
    counts: Counter[str] = Counter()
    start = f"{folder}/"

    def count_open(path: Any, *, reads: bool) -> None:
        text = _path_below(path, start)
        if text is None:
            return
        counts[f"open {Path(text).parent}"] += 1
        if reads:
            with suppress(OSError):
                status = Path(start, text).stat()
                # A folder that is flushed is opened, too.
                counts["bytes"] += status.st_size if stat.S_ISREG(status.st_mode) else 0

    def count_list(path: Any) -> None:
        text = _path_below(path, start)
        if text is not None:
            counts[f"list {text}"] += 1

    with pytest.MonkeyPatch.context() as patch:
        _count_calls(patch, count_open, count_list)
        yield counts


def _count_calls(patch: pytest.MonkeyPatch, count_open: Callable[..., None], count_list: Callable[[Any], None]) -> None:
    open_file, open_number, scandir, listdir = io.open, os.open, os.scandir, os.listdir

    def counted_open_file(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        count_open(path, reads=mode.startswith("r") and "+" not in mode)
        return open_file(path, mode, *arguments, **options)

    def counted_open_number(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        count_open(path, reads=not flags & (os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY))
        return open_number(path, flags, *arguments, **options)

    def counted_scandir(path: Any = ".") -> Any:
        count_list(path)
        return scandir(path)

    def counted_listdir(path: Any = ".") -> Any:
        count_list(path)
        return listdir(path)

    patch.setattr(io, "open", counted_open_file)
    patch.setattr(builtins, "open", counted_open_file)
    patch.setattr(os, "open", counted_open_number)
    patch.setattr(os, "scandir", counted_scandir)
    patch.setattr(os, "listdir", counted_listdir)


def _path_below(path: Any, start: str) -> str | None:
    """The path from the folder on, ``.`` for the folder itself; None for what lies elsewhere or is only a number."""
    if not isinstance(path, str | os.PathLike):
        return None
    text = os.fspath(path)
    if not f"{text}/".startswith(start):
        return None
    return text.removeprefix(start) if text.startswith(start) else "."
