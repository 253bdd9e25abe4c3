"""The tables of the page on growing: what was measured, and the arithmetic from that.

    python -m benchmarks.growing

Writes them into `docs/growing.md` from `results.json`, and from the chapters of `RESULTS.md` that are written by hand.
The arithmetic is done with the figures as the page shows them, so that a reader comes to the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import add, mul, sub, truediv
from pathlib import Path

from benchmarks.print_part import show_number
from benchmarks.results import DOCUMENT, Result, read_results

PAGE = Path(__file__).parents[1] / "docs" / "growing.md"
LINK = "../benchmarks/RESULTS.md"
SIGNS: Mapping[str, Callable[[float, float], float]] = {"+": add, "−": sub, "×": mul, "÷": truediv}
BILLION = 1_000_000_000
YEAR_OF_ROWS = 36_500_000
PLANNED_DAYS = 73_000


@dataclass(frozen=True)
class Measured:
    """A figure of what `make bench` measured."""

    what: str
    part: str
    figure: str
    name: str = ""
    """How arithmetic calls it."""


@dataclass(frozen=True)
class Noted:
    """A cell of a table in a chapter that is written by hand."""

    what: str
    chapter: str
    row: str
    column: str
    unit: str = "s"
    name: str = ""


@dataclass(frozen=True)
class Computed:
    """What follows from figures of the lines above it: a start, and then signs and numbers, from left to right."""

    what: str
    unit: str
    steps: tuple[str | float, ...]


Line = Measured | Noted | Computed

LEVEL = "Beside many partitions, commits and ended requests"
WAREHOUSE_PAGE = "The Warehouse page"
DROPS = "The load of the drop folder"

TABLES: Mapping[str, Sequence[Line]] = {
    "tables": (
        Measured("the daily load of 200 tables", "tables200", "daily load of 200 tables, changed", "load"),
        Measured("its processor time", "tables200", "the same, changed, all processes", "load CPU"),
        Computed("cores that it kept at work", "cores", ("load CPU", "÷", "load")),
        Computed("processor time of one table", "CPU s", ("load CPU", "÷", 200)),
        Computed("the daily load of 2,000 tables, at least", "s", ("load", "×", 2_000, "÷", 200)),
        Measured("the same 200 tables, where nothing changed", "tables200", "daily load of 200 tables, unchanged"),
        Measured(
            "reading the DAG file of 200 tables, beyond an empty one",
            "tables200",
            "DAG file beyond the empty one",
            "DAG file",
        ),
        Computed("reading that of 2,000 tables", "CPU s", ("DAG file", "×", 2_000, "÷", 200)),
        Computed(
            "share of a core that this takes, once in 120 s",
            "%",
            ("DAG file", "×", 2_000, "÷", 200, "×", 100, "÷", 120),
        ),
        Measured("all processes at rest, with the seven tables of the clone", "idle", "all processes"),
        Measured("a request for one table, from drop to published", "day", "one day, drop to published, changed"),
        Measured("ten requests for ten tables at once", "day", "ten requests for ten tables at once"),
        Measured("a wave of four tables on three levels", "day", "a wave of four tables on three levels"),
    ),
    "partitions": (
        Measured("the reload of a day in an empty table", "curve", "1 beside 0"),
        Measured("beside 73,000 days", "curve", "1 beside 73,000"),
        Measured("the reload of 1,000 days in an empty table", "curve", "1,000 beside 0"),
        Measured("beside 73,000 days", "curve", "1,000 beside 73,000"),
        Measured("a plan of one day that looks for stale ones", "planning", "a table that reads nothing, a day", "day"),
        Measured("of 73,000 days", "planning", "a table that reads nothing, 73,000 days", "days"),
        Computed("of 1,000,000 days", "CPU s", ("days", "−", "day", "×", 1_000_000, "÷", PLANNED_DAYS, "+", "day")),
        Measured("the same of raw files, one day", "planning", "one of raw files by day, a day", "raw day"),
        Measured("of 73,000 days", "planning", "one of raw files by day, 73,000 days", "raw days"),
        Computed(
            "of 1,000,000 days",
            "CPU s",
            ("raw days", "−", "raw day", "×", 1_000_000, "÷", PLANNED_DAYS, "+", "raw day"),
        ),
        Measured("its memory, one day", "planning", "one of raw files by day, a day, memory", "raw day MB"),
        Measured("of 73,000 days", "planning", "one of raw files by day, 73,000 days, memory", "raw days MB"),
        Computed(
            "of 1,000,000 days",
            "MB",
            ("raw days MB", "−", "raw day MB", "×", 1_000_000, "÷", PLANNED_DAYS, "+", "raw day MB"),
        ),
        Noted(
            "the Warehouse page's first look at 255,650 partitions",
            WAREHOUSE_PAGE,
            "until all tables were looked at once",
            "s",
            name="look",
        ),
        Computed("at 1,000 tables of ten years", "s", ("look", "×", 3_650_000, "÷", 255_650)),
        Noted("its list of all tables after that", WAREHOUSE_PAGE, "the list again", "s"),
        Noted("a year of a table with 20 keys on it", WAREHOUSE_PAGE, "a year of the table with 20 keys", "s"),
    ),
    "rows": (
        Measured("a year of 36,500,000 rows, sorted", "year", "`reloads run`, changed", "sorted"),
        Computed("a billion rows", "s", ("sorted", "×", BILLION, "÷", YEAR_OF_ROWS)),
        Computed("15 years of 10,000 rows a day", "s", ("sorted", "×", 54_750_000, "÷", YEAR_OF_ROWS)),
        Computed("ten billion rows", "s", ("sorted", "×", 10 * BILLION, "÷", YEAR_OF_ROWS)),
        Measured("the year from shuffled rows", "year", "`reloads run`, shuffled rows, changed", "shuffled"),
        Computed("a billion shuffled rows", "s", ("shuffled", "×", BILLION, "÷", YEAR_OF_ROWS)),
        Measured("the year by a dropped file, both DAGs", "year", "dropped file, both DAGs, changed", "dropped"),
        Computed("a billion rows by files of a year each", "s", ("dropped", "×", BILLION, "÷", YEAR_OF_ROWS)),
        Computed("what a batch of 100 minutes writes", "million rows", (36.5, "×", 6_000, "÷", "sorted")),
        Measured("the year in 7,300 files, by 20 keys", "year", "`reloads run` of 20 keys, changed", "keys"),
        Computed("one of these files", "ms", ("keys", "×", 1_000, "÷", 7_300)),
        Measured("most memory of the year, sorted", "year", "`reloads run`, changed, memory"),
        Measured("shuffled", "year", "`reloads run`, shuffled rows, changed, memory"),
        Measured("shuffled, at most 1 GB", "memory", "`reloads run`, shuffled rows, limit 1 GB"),
    ),
    "commits": (
        Noted(
            "to accept, plan and settle a file, beside none",
            LEVEL,
            "accept, plan and settle a file",
            "CPU s beside none",
            "CPU s",
        ),
        Noted("beside many", LEVEL, "accept, plan and settle a file", "beside many", "CPU s"),
        Noted(
            "to plan, rewrite and settle a day, beside none",
            LEVEL,
            "plan, rewrite and settle a day",
            "CPU s beside none",
            "CPU s",
        ),
        Noted("beside many", LEVEL, "plan, rewrite and settle a day", "beside many", "CPU s"),
        Noted(
            "`reloads history` of a day, beside none", LEVEL, "`reloads history` of a day", "CPU s beside none", "CPU s"
        ),
        Noted("beside many", LEVEL, "`reloads history` of a day", "beside many", "CPU s"),
        Noted("`reloads status FILE`, beside none", LEVEL, "`reloads status FILE`", "CPU s beside none", "CPU s"),
        Noted("beside many", LEVEL, "`reloads status FILE`", "beside many", "CPU s"),
        Measured("the reload of a year", "undo", "reload of a year"),
        Measured("its undo", "undo", "its undo"),
        Noted(
            "20,001 requests, from the first drop until all were done", DROPS, "all 20,001 were done", "s", name="drops"
        ),
        Computed("requests a second", "requests", (20_001, "÷", "drops")),
    ),
}
"""The lines of each table of the page, by what it says grows."""


def write_growing(results: Mapping[str, Result], *, page: Path = PAGE, document: Path = DOCUMENT) -> None:
    """Write what the page says of figures anew, each piece between its marks."""
    text, notes = page.read_text(encoding="utf-8"), document.read_text(encoding="utf-8")
    pieces = {name: _draw(lines, results, notes) for name, lines in TABLES.items()}
    for name, piece in {"machine": _describe_machines(results), **pieces}.items():
        begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"{page} has no marks {begin} and {end}; put them where the piece belongs")
        text = f"{before}{begin}\n\n{piece}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")


def _describe_machines(results: Mapping[str, Result]) -> str:
    """Where and when the figures were measured, each machine once."""
    parts = {line.part for lines in TABLES.values() for line in lines if isinstance(line, Measured)}
    return "\n".join(sorted({f"* {results[part].machine.describe()}" for part in parts & results.keys()}))


def _draw(lines: Sequence[Line], results: Mapping[str, Result], notes: str) -> str:
    """The lines as a table of Markdown, but those of which nothing is known yet."""
    known: dict[str, str] = {}
    drawn = ["| | | |", "|---|---|---|"]
    for line in lines:
        if isinstance(line, Computed):
            if known.keys() >= {step for step in line.steps if isinstance(step, str)} - SIGNS.keys():
                value, formula = _compute(line.steps, known), _formula(line.steps, known)
                drawn.append(f"| {line.what} | {value} {line.unit} | = {formula} |")
            continue
        found = _look_up(line, results, notes)
        if found:
            known[line.name] = found.value
            source = f"[{found.chapter}]({LINK}#{_anchor(found.chapter)}), {found.row}"
            drawn.append(f"| {line.what} | {found.value} {found.unit} | measured: {source} |")
    return "\n".join(drawn)


@dataclass(frozen=True)
class _Found:
    """A figure as it is shown, and the chapter and the row where it stands."""

    value: str
    unit: str
    chapter: str
    row: str


def _look_up(line: Measured | Noted, results: Mapping[str, Result], notes: str) -> _Found | None:
    if isinstance(line, Noted):
        cells = [cells[line.column] for cells in _rows(notes, line.chapter) if cells[""].startswith(line.row)]
        return _Found(cells[0], line.unit, line.chapter, line.row) if cells else None
    for figure in results[line.part].part.figures if line.part in results else ():
        if figure.name == line.figure:
            return _Found(show_number(figure.value), figure.unit, results[line.part].part.title, figure.name)
    return None


def _rows(notes: str, chapter: str) -> Iterator[dict[str, str]]:
    """The rows of the first table of a chapter, each cell by its column; the first column is called nothing."""
    _, _, text = notes.partition(f"\n## {chapter}\n")
    table = re.search(r"(?:^\|.*\|\n)+", text.partition("\n## ")[0], flags=re.MULTILINE)
    lines = table[0].splitlines() if table else []
    titles, _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    for row in rows:
        yield dict(zip(titles, row, strict=True))


def _compute(steps: Sequence[str | float], known: Mapping[str, str]) -> str:
    value = _number(steps[0], known)
    for sign, operand in zip(steps[1::2], steps[2::2], strict=True):
        value = SIGNS[str(sign)](value, _number(operand, known))
    return show_number(value)


def _number(operand: str | float, known: Mapping[str, str]) -> float:
    return float(_text(operand, known).replace(",", ""))


def _text(operand: str | float, known: Mapping[str, str]) -> str:
    return known[operand] if isinstance(operand, str) else f"{operand:,}"


def _formula(steps: Sequence[str | float], known: Mapping[str, str]) -> str:
    """The steps as one reads them: a difference that is multiplied stands in brackets."""
    text, last = _text(steps[0], known), "×"
    for sign, operand in zip(map(str, steps[1::2]), steps[2::2], strict=True):
        text = f"({text})" if sign in "×÷" and last in "+−" else text
        text, last = f"{text} {sign} {_text(operand, known)}", sign
    return text


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


if __name__ == "__main__":
    write_growing(read_results())
