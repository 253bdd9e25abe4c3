"""How long it took to recover from each fault, for the end of the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping

COLUMNS = ("all healthy", "request done", "year done")


class Recoveries:
    """Seconds by fault, counted from the end of the fault: from the kill, or from the first step of mending it."""

    def __init__(self) -> None:
        self._notes: list[Callable[[], str]] = []
        self._rows: list[tuple[str, Mapping[str, float]]] = []

    def add(self, fault: str, seconds: Mapping[str, float]) -> None:
        self._rows.append((fault, seconds))

    def note(self, text: Callable[[], str]) -> None:
        """A line below the table, as it reads in the end."""
        self._notes.append(text)

    def lines(self) -> list[str]:
        """A table, and the notes."""
        notes = [text() for text in self._notes]
        if not self._rows:
            return notes
        width = max(len(fault) for fault, _ in self._rows)
        lines = [" " * width + "".join(f"{column:>15}" for column in COLUMNS)]
        for fault, seconds in self._rows:
            cells = (f"{seconds[column]:.0f} s" if column in seconds else "" for column in COLUMNS)
            lines.append(f"{fault:<{width}}" + "".join(f"{cell:>15}" for cell in cells))
        return [*lines, *notes]
