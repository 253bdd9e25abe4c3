"""Which requests ended last: ``landing/.ended/newest.jsonl``, so that a look at ten of them does not read all.

The folders say what is true, and this file only where to look: an ending is noted before the record moves, and who
reads it asks the folders whether it did. It holds the newest endings and no more, and is replaced whole. Where it is
missing, the next ending makes it from the times of the files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reloads.files import make_own_folder, write_atomically
from reloads.locks import file_lock

KEPT = 100
NOTE = ".error.txt"
_ENDINGS = {"done": ".json", "failed": ".json", "cancelled": ".json", "rejected": NOTE}
"""The endings of the files by which the folders of ended requests are known."""


@dataclass(frozen=True, order=True)
class Ending:
    """A record that came into a folder of ended requests, or a note that came into ``rejected/``."""

    at: datetime
    is_rejected: bool
    name: str
    """The record's id, or the name of the note's file."""


def note_endings(landing: Path, endings: Iterable[Ending]) -> None:
    """Note requests that are about to end; this outlasts a power cut once it returns."""
    folder = landing / ".ended"
    make_own_folder(folder)
    with file_lock(folder / "lock"):
        known = read_endings(landing)
        if known is None:
            known = sorted(_list_endings(landing))
        newest = {(ending.is_rejected, ending.name): ending for ending in [*known, *endings]}
        lines = [_format(ending) for ending in sorted(newest.values())[-KEPT:]]
        write_atomically(_path(landing), "".join(f"{line}\n" for line in lines))


def note_rejections(landing: Path, notes: Iterable[str]) -> None:
    """Note files that are about to be rejected, each by the name of its note."""
    now = datetime.now(UTC)
    note_endings(landing, [Ending(now, is_rejected=True, name=name) for name in notes])


def read_endings(landing: Path) -> list[Ending] | None:
    """The newest endings, oldest first, at most ``KEPT``; None where the file is missing or not ours."""
    try:
        return [_parse(line) for line in _path(landing).read_bytes().split(b"\n") if line] or None
    except (OSError, ValueError, TypeError):
        return None


def _path(landing: Path) -> Path:
    return landing / ".ended" / "newest.jsonl"


def _format(ending: Ending) -> str:
    # As JSON, in ASCII: the name of a file may hold a newline or stray bytes.
    return json.dumps([ending.at.isoformat(), ending.is_rejected, ending.name])


def _parse(line: bytes) -> Ending:
    at, is_rejected, name = json.loads(line)
    return Ending(datetime.fromisoformat(at).astimezone(UTC), bool(is_rejected), str(name))


def _list_endings(landing: Path) -> Iterator[Ending]:
    """What lies in the folders, each with its time of change."""
    for state, ending in _ENDINGS.items():
        with suppress(OSError):
            yield from _list_folder(landing / state, ending, is_rejected=state == "rejected")


def _list_folder(folder: Path, ending: str, *, is_rejected: bool) -> Iterator[Ending]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith(ending) or entry.name.startswith("."):
                continue
            with suppress(OSError, ValueError, OverflowError):
                at = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
                yield Ending(at, is_rejected, entry.name if is_rejected else entry.name.removesuffix(ending))
