"""What ended while somebody collects it: so who counts need not be told by every step that may end a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from reloads.requests.record import Record


@dataclass
class Collected:
    """What this thread ended."""

    records: list[tuple[Record, str]] = field(default_factory=list)
    """Each record that came into a folder of ended requests, and the name of that folder."""
    rejected: int = 0
    """How many dropped files were rejected."""


_collecting: ContextVar[Collected | None] = ContextVar("collecting", default=None)


@contextmanager
def collected_endings() -> Iterator[Collected]:
    """Collect what ends in this thread until the end of the block."""
    collected = Collected()
    token = _collecting.set(collected)
    try:
        yield collected
    finally:
        _collecting.reset(token)


def collect_ended(record: Record, state: str) -> None:
    """Tell whoever collects that a record has ended."""
    if collected := _collecting.get():
        collected.records.append((record, state))


def collect_rejected(count: int) -> None:
    """Tell whoever collects that files were rejected."""
    if collected := _collecting.get():
        collected.rejected += count
