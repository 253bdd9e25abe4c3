"""How long it took to recover from each fault, for the end of the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

ROW, NOTE = "recovery", "recovery note"
COLUMNS = ("all healthy", "request done", "year done")


class Recoveries:
    """Seconds by fault, counted from the end of the fault: from the kill, or from the first step of mending it."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, dict[str, float]]] = []
        self._notes: list[Callable[[], str]] = []

    def add(self, fault: str, seconds: Mapping[str, float]) -> None:
        self._rows.append((fault, dict(seconds)))

    def note(self, text: Callable[[], str]) -> None:
        """A line below the table, as it reads at the end of the test."""
        self._notes.append(text)

    def properties(self) -> list[tuple[str, Any]]:
        """For the report of the test: that reaches the end of the session from whichever process it ran in."""
        return [*((ROW, row) for row in self._rows), *((NOTE, text()) for text in self._notes)]


def summary(properties: Iterable[tuple[str, Any]]) -> list[str]:
    """A table and notes, from the properties of all tests; nothing where no fault was tried."""
    rows: list[tuple[str, dict[str, float]]] = []
    notes: list[str] = []
    for name, value in properties:
        if name == ROW:
            rows.append(value)
        elif name == NOTE:
            notes.append(str(value))
    if not rows:
        return notes
    width = max(len(fault) for fault, _ in rows)
    lines = [" " * width + "".join(f"{column:>15}" for column in COLUMNS)]
    for fault, seconds in rows:
        cells = (f"{seconds[column]:.0f} s" if column in seconds else "" for column in COLUMNS)
        lines.append(f"{fault:<{width}}" + "".join(f"{cell:>15}" for cell in cells))
    return [*lines, *notes]
