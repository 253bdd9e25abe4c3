"""Watermarks: how far a table has been followed (the last day loaded daily, the newest asset event seen).

One more says since when the folder of a table that has requests is missing, one which days of which sources a table
waits for, and one how long a day of it took.

A watermark is written after what it stands for is safe, so a crash in between repeats a step that can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar, get_args

from reloads.errors import OperatorError, ReloadsError, shorten
from reloads.files import cannot_write, make_own_folder, write_atomically

Kind = Literal["daily", "events", "missing", "waiting", "arrivals", "pace"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Position = TypeVar("Position")


def read_watermark(landing: Path, kind: Kind, table: str, parse: Callable[[str], Position]) -> Position | None:
    """The position last written, or None; raises ``OperatorError`` if ``parse`` refuses the text."""
    path = watermark_file(landing, kind, table)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    try:
        return parse(text)
    except (ValueError, ReloadsError) as error:
        raise OperatorError(
            f"{path} holds {shorten(text)!r}, which is not a watermark; remove it to start afresh"
        ) from error


def write_watermark(landing: Path, kind: Kind, table: str, text: str) -> None:
    """Replace the watermark; a crash leaves the old one or the new one."""
    path = watermark_file(landing, kind, table)
    make_own_folder(path.parent)
    write_atomically(path, text + "\n")


def list_watermarks(landing: Path, kind: Kind) -> list[str]:
    """The tables that have a watermark of this kind, sorted."""
    return sorted(path.name.removeprefix(f"{kind}-") for path in (landing / ".watermarks").glob(f"{kind}-*"))


def remove_watermark(landing: Path, kind: Kind, table: str) -> None:
    """Forget the position, if there is one."""
    path = watermark_file(landing, kind, table)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def watermark_file(landing: Path, kind: Kind, table: str) -> Path:
    """Where it is kept."""
    return landing / ".watermarks" / f"{kind}-{table}"
