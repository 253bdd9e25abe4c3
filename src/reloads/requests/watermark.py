"""Bookmarks: how far a table has been followed (the last day loaded daily, the last asset event seen).

A bookmark is written after what it stands for is safe, so a crash in between repeats a step that can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from reloads.errors import OperatorError, ReloadsError, shorten
from reloads.files import write_atomically

Kind = Literal["daily", "events"]
Position = TypeVar("Position")


def read_watermark(landing: Path, kind: Kind, table: str, parse: Callable[[str], Position]) -> Position | None:
    """The place last written, or None; raises ``OperatorError`` if ``parse`` cannot make a place of the text."""
    path = _path(landing, kind, table)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    try:
        return parse(text)
    except (ValueError, ReloadsError) as error:
        raise OperatorError(
            f"{path} holds {shorten(text)!r}, which is no bookmark; remove it to start afresh"
        ) from error


def write_watermark(landing: Path, kind: Kind, table: str, text: str) -> None:
    """Replace the bookmark."""
    path = _path(landing, kind, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text + "\n")


def _path(landing: Path, kind: Kind, table: str) -> Path:
    return landing / ".watermarks" / f"{kind}-{table}"
