"""How long it took to recover from each fault, for the end of the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

COLUMNS = ("all healthy", "request done", "year done")
Row = tuple[str, Mapping[str, float]]
"""A fault, and the seconds by column."""


class Recoveries:
    """Seconds by fault, counted from the end of the fault: from the kill, or from the first step of mending it."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._notes: list[Callable[[], str]] = []

    def add(self, fault: str, seconds: Mapping[str, float]) -> None:
        self.rows.append((fault, seconds))

    def note(self, text: Callable[[], str]) -> None:
        """A line below the table, as it reads at the end of the test."""
        self._notes.append(text)

    def notes(self) -> list[str]:
        return [text() for text in self._notes]


def as_table(rows: Iterable[Row]) -> list[str]:
    """The lines of a table."""
    listed = list(rows)
    width = max((len(fault) for fault, _ in listed), default=0)
    lines = [" " * width + "".join(f"{column:>15}" for column in COLUMNS)]
    for fault, seconds in listed:
        cells = (f"{seconds[column]:.0f} s" if column in seconds else "" for column in COLUMNS)
        lines.append(f"{fault:<{width}}" + "".join(f"{cell:>15}" for cell in cells))
    return lines
