"""How an answer looks: drawn for a terminal of some width, as plain lines for a pipe, or as one JSON document.

No text of a person steers a terminal, ends a line or a cell: what is not printable is escaped before it is drawn.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from io import StringIO
from pathlib import Path
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from reloads.cli.answer import Answer, Block, Branch, Branches, Cell, Column, Facts, Grid, Lines, Picture, Row
from reloads.days import Days
from reloads.errors import printable

GAP = "  "
NOTE_INDENT = "    "
STYLES = {
    "done": "green",
    "running": "cyan",
    "fresh": "green",
    "published": "green",
    "failed": "red",
    "refused": "red",
    "rejected": "red",
    "wrong": "red",
    "paused": "yellow",
    "waiting": "yellow",
    "stale": "yellow",
    "open": "cyan",
    "empty": "green",
    "missing": "dim",
    "cancelled": "dim",
}
"""Colours of the words that say how something stands; everything can be read without them."""


def to_json(value: object) -> str:
    """One document. Times are in UTC, to the second; what is not printable is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_to_json)
    if all(map(str.isprintable, text.split("\n"))):
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _to_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds") if value.tzinfo else value.isoformat()
    if isinstance(value, Days):
        return value.texts()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta | Path):
        return str(value)
    return str(value)


def plain_lines(answer: Answer, *, zone: tzinfo | None) -> Iterator[str]:
    """For programs and ``grep``: one line a row, cells apart by tabs, nothing cut and no header."""
    for block in answer.blocks:
        if isinstance(block, Lines):
            yield from map(printable, block.lines)
        elif isinstance(block, Facts):
            for name, value in block.facts:
                for text in _texts(value, zone, is_plain=True):
                    yield f"{printable(name)}\t{text}"
        elif isinstance(block, Grid):
            for row in block.rows:
                texts = [_format(cell, zone, is_plain=True) for cell in row.cells]
                texts += ["; ".join(map(printable, row.notes))] if row.notes else []
                yield "\t".join(texts)
        elif isinstance(block, Branches):
            for root in block.roots:
                yield from _plain_branch(root, 0)


def draw(answer: Answer, *, width: int, zone: tzinfo | None, has_colors: bool) -> str:
    """For a terminal of that width. No word is broken, and no column is cut: those that do not fit are named."""
    out = StringIO()
    system: Literal["standard"] | None = "standard" if has_colors else None
    console = Console(file=out, width=width, force_terminal=has_colors, color_system=system, legacy_windows=False)
    for block in answer.blocks:
        texts = list(_draw_block(block, width, zone))
        if texts and out.tell():
            console.print()
        for text in texts:
            console.print(text, soft_wrap=True, markup=False, highlight=False)
    return out.getvalue()


def _draw_block(block: Block, width: int, zone: tzinfo | None) -> Iterator[Text | Tree]:
    if isinstance(block, Lines):
        for line in block.lines:
            yield from _wrap(printable(line), width)
    elif isinstance(block, Facts):
        yield from _draw_facts(block, width, zone)
    elif isinstance(block, Grid):
        yield from _draw_grid(block, width, zone)
    elif isinstance(block, Picture):
        yield from _draw_picture(block, width)
    else:
        for root in block.roots:
            yield _draw_branch(root, Tree(Text(printable(root.label))))


def _draw_facts(block: Facts, width: int, zone: tzinfo | None) -> Iterator[Text]:
    facts = [(printable(name), _texts(value, zone, is_plain=False)) for name, value in block.facts]
    indent = max((cell_len(name) for name, texts in facts if texts), default=0) + len(GAP)
    for name, texts in facts:
        for number, text in enumerate(texts):
            head = name if number == 0 else ""
            for place, line in enumerate(wrap_words(text, width - indent)):
                start = head if place == 0 else ""
                yield Text.assemble((start.ljust(indent), "bold"), (line, STYLES.get(line, "")))


def _draw_grid(grid: Grid, width: int, zone: tzinfo | None) -> Iterator[Text]:
    if not grid.rows:
        return
    table = [[_format(cell, zone, is_plain=False) for cell in row.cells] for row in grid.rows]
    widths = [
        max(cell_len(column.name), *(cell_len(texts[place]) for texts in table))
        for place, column in enumerate(grid.columns)
    ]
    shown = _count_fitting(widths, width)
    yield _draw_row([column.name for column in grid.columns], grid.columns, widths, shown, style="bold")
    for row, texts in zip(grid.rows, table, strict=True):
        yield _draw_row(texts, grid.columns, widths, shown)
        yield from _draw_notes(row, width)
    left_out = [column.name for column in grid.columns[shown:]]
    if left_out:
        yield from _wrap(f"too narrow for: {', '.join(map(printable, left_out))}; {grid.rest}", width, style="dim")


def _count_fitting(widths: Sequence[int], width: int) -> int:
    """How many of the columns fit, from the first on; the first is shown whatever its width."""
    used = 0
    for place, each in enumerate(widths):
        used += each + (len(GAP) if place else 0)
        if used > width:
            return max(place, 1)
    return len(widths)


def _draw_row(
    texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int], shown: int, style: str = ""
) -> Text:
    line = Text()
    for place in range(shown):
        text = printable(texts[place]) if style else texts[place]
        space = " " * (widths[place] - cell_len(text))
        if columns[place].is_number:
            line.append(space)
        line.append(text, style or STYLES.get(text.partition(" ")[0], "") if place == 0 or style else "")
        if not columns[place].is_number:
            line.append(space)
        line.append(GAP if place + 1 < shown else "")
    line.rstrip()
    return line


def _draw_picture(picture: Picture, width: int) -> Iterator[Text]:
    for label, signs in picture.rows:
        line = Text(f"{printable(label)}{GAP}")
        for sign, state in signs:
            line.append(sign, STYLES.get(state, ""))
        yield line
    words = ", ".join(f"{sign} {word}" for sign, word in picture.legend)
    for text in (words, picture.note):
        if text:
            yield from _wrap(text, width, style="dim")


def _draw_notes(row: Row, width: int) -> Iterator[Text]:
    for note in row.notes:
        for line in wrap_words(printable(note), width - len(NOTE_INDENT)):
            yield Text(NOTE_INDENT + line, style="dim")


def _draw_branch(branch: Branch, tree: Tree) -> Tree:
    for each in branch.branches:
        _draw_branch(each, tree.add(Text(printable(each.label))))
    return tree


def _plain_branch(branch: Branch, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}{printable(branch.label)}"
    for each in branch.branches:
        yield from _plain_branch(each, depth + 1)


def _wrap(text: str, width: int, style: str = "") -> Iterator[Text]:
    for line in wrap_words(text, width):
        yield Text(line, style=style)


def wrap_words(text: str, width: int) -> list[str]:
    """The lines of a text; a word that is longer than a line stays whole."""
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False) or [""]


def _texts(value: Cell | Sequence[str], zone: tzinfo | None, *, is_plain: bool) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str | int | float | date):
        return [_format(value, zone, is_plain=is_plain)]
    return [printable(text) for text in value]


def _format(cell: Cell, zone: tzinfo | None, *, is_plain: bool) -> str:
    """A cell as a text; numbers have thousands separators for people only."""
    if cell is None:
        return "" if is_plain else "-"
    if isinstance(cell, datetime):
        return format_time(cell, zone)
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int) and not is_plain:
        return f"{cell:,}"
    return printable(str(cell))


def format_time(time: datetime, zone: tzinfo | None) -> str:
    """In the zone of the person who looks, to the second, with the zone's name."""
    local = time.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
