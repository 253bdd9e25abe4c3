"""Bookmarks: how far a table has been followed (the last day loaded daily, the last asset event seen).

A bookmark is written after what it stands for is safe, so a crash in between repeats a step that can be repeated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from reloads.files import write_whole

Kind = Literal["daily", "events"]


def read_bookmark(landing: Path, kind: Kind, table: str) -> str | None:
    """The text last written, or None."""
    try:
        return _path(landing, kind, table).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def write_bookmark(landing: Path, kind: Kind, table: str, text: str) -> None:
    """Replace the bookmark."""
    path = _path(landing, kind, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text + "\n")


def _path(landing: Path, kind: Kind, table: str) -> Path:
    return landing / ".bookmarks" / f"{kind}-{table}"
