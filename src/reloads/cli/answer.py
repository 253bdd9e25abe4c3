"""What a command answers: one value, and how a person reads it. ``screen`` draws it, ``console`` prints it.

Answer
├── value      what ``--json`` prints
└── blocks     what a terminal and a pipe show, in this order
    ├── Lines      sentences
    ├── Facts      names, each with a value
    ├── Grid       rows and columns
    ├── Branches   a tree
    └── Picture    signs that draw what another block says; in a terminal only
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from reloads.cli.exit_codes import Exit

Cell = str | int | float | date | datetime | None


@dataclass(frozen=True)
class Column:
    """A column of a grid."""

    name: str
    is_number: bool = False


@dataclass(frozen=True)
class Row:
    """A row, and sentences that belong to it."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grid:
    """Rows and columns, the most important column first: a terminal that is too narrow leaves out the last ones.

    ``rest`` says how to see what was left out.
    """

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    rest: str = "--json shows all"


@dataclass(frozen=True)
class Lines:
    """Sentences, each on a line."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names and values; None is left out. A value of several lines stands below its name."""

    facts: Sequence[tuple[str, Cell | Sequence[str]]]


@dataclass(frozen=True)
class Branch:
    """A label, and what hangs on it."""

    label: str
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True)
class Branches:
    """A tree, or several."""

    roots: Sequence[Branch]


@dataclass(frozen=True)
class Picture:
    """Rows of signs, each row with a label, and what the signs mean. A word of a state gives a sign its colour."""

    rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    """Each sign with its state."""
    legend: Sequence[tuple[str, str]]
    note: str = ""


Block = Lines | Facts | Grid | Branches | Picture


@dataclass(frozen=True)
class Answer:
    """What a command answers, and the exit code."""

    value: object
    blocks: Sequence[Block] = field(default_factory=tuple)
    exit: Exit = Exit.DONE


def count(number: int, noun: str) -> str:
    """``1 day``, ``2 days``, ``1,454 days``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """``0.4 s``, ``2 min 5 s``, ``1 h 59 min``."""
    whole = round(seconds)
    if whole < 100:  # noqa: PLR2004 - up to there seconds say more
        return f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def megabytes(size: int) -> str:
    """``4.2 MB``; of less than a tenth of a megabyte in kB."""
    if size == 0:
        return "0 kB"
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"  # noqa: PLR2004 - a tenth of a MB
