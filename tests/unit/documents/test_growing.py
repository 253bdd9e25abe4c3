"""Every figure of the page on growing was measured and stands in the results, or follows by arithmetic from those."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest

from benchmarks.growing import TABLES, write_growing
from benchmarks.results import read_results
from reloads.days import Days
from reloads.warehouse.piece import PartitionForm
from tests.unit.documents.pages import CLONE, Page

GROWING = Page("docs/growing.md")
RESULTS = Page("benchmarks/RESULTS.md")
AIRFLOW = (CLONE / "stack" / "airflow.env").read_text(encoding="utf-8")
NUMBER = r"\d[\d,]*(?:\.\d+)?"
SETTINGS = (
    Page("docs/reference/settings.md").text + Page("docs/reference/table.md").text + Page("docs/operations.md").text
)

FROM_ELSEWHERE = {
    "120 s": AIRFLOW.replace("MIN_FILE_PROCESS_INTERVAL=120", "read again every 120 s"),
    "10 s": AIRFLOW.replace("REFRESH_INTERVAL=10\n", "looked at every 10 s\n"),
    "100 minutes": Page("docs/architecture.md").text,
    "90 days": Page("docs/operations.md").text,
    "60 %": SETTINGS,
}
"""Figures of the prose that nobody measured here, each with the text that says them."""


@dataclass(frozen=True)
class Line:
    """A line of one of the tables of figures."""

    what: str
    value: str
    unit: str
    source: str

    @property
    def formula(self) -> str:
        """The arithmetic, or nothing."""
        return self.source.removeprefix("= ") if self.source.startswith("= ") else ""


def lines_of(table: str) -> list[Line]:
    _, _, rest = GROWING.text.partition(f"<!-- {table}: written by make bench -->")
    lines: list[Line] = []
    for row in rest.partition(f"<!-- end of {table} -->")[0].strip().splitlines()[2:]:
        what, figure, source = (cell.strip() for cell in row[1:-1].split("|"))
        value, _, unit = figure.partition(" ")
        lines.append(Line(what, value, unit, source))
    return lines


ALL = [(table, line) for table in TABLES for line in lines_of(table)]
MEASURED = [line for _, line in ALL if not line.formula]
COMPUTED = [(table, line) for table, line in ALL if line.formula]


def prose() -> str:
    """The page without what `make bench` writes."""
    return re.sub(r"<!-- (\w+): written .*?<!-- end of \1 -->", "", GROWING.text, flags=re.DOTALL)


def test_the_page_has_what_the_results_say_today(tmp_path: Path) -> None:
    page = tmp_path / "growing.md"
    page.write_text(GROWING.text, encoding="utf-8")
    write_growing(read_results(), page=page)
    assert page.read_text(encoding="utf-8") == GROWING.text, "run python -m benchmarks.growing"


def test_each_table_has_all_of_its_figures_of_both_kinds() -> None:
    for table in TABLES:
        shown = lines_of(table)
        assert {bool(line.formula) for line in shown} == {True, False}, table
        assert [line.what for line in shown] == [line.what for line in TABLES[table]], "run make bench"


@pytest.mark.parametrize("line", MEASURED, ids=lambda line: line.source.partition("#")[2])
def test_a_measured_figure_stands_in_its_row_of_the_results(line: Line) -> None:
    match = re.fullmatch(r"measured: \[(.*)\]\(\.\./benchmarks/RESULTS\.md#[\w-]+\), (.*)", line.source)
    assert match, line.source
    [chapter] = re.findall(rf"^##+ {re.escape(match[1])}\n(.*?)(?=^##|\Z)", RESULTS.text, re.DOTALL | re.MULTILINE)
    # The first cell of a chapter that is written by hand may go on.
    exact, begun = (re.escape(match[2]) + end for end in (" ", "[^|]*"))
    rows = [re.findall(rf"^\| {name}\|(.*)\|$", chapter, re.MULTILINE) for name in (exact, begun)]
    cells = {cell.strip() for row in rows[0] or rows[1] for cell in row.split("|")}
    assert {line.value, f"{line.value} {line.unit}".strip()} & cells, cells


@pytest.mark.parametrize(("table", "line"), COMPUTED, ids=lambda value: getattr(value, "what", None))
def test_a_computed_figure_follows_from_the_figures_above_it(table: str, line: Line) -> None:
    calculation = line.formula.replace("−", "-").replace("×", "*").replace("÷", "/").replace(",", "")
    with duckdb.connect() as db:
        [(exact,)] = db.execute(f"select ({calculation})::double").fetchall()
    last_digit = 10 ** -len(line.value.partition(".")[2])
    assert float(line.value.replace(",", "")) == pytest.approx(exact, abs=0.5001 * last_digit)
    above = lines_of(table)[: lines_of(table).index(line)]
    measured = {each.value for each in above if not each.formula}
    assert measured & set(re.findall(NUMBER, line.formula)), "it follows from nothing"
    # Everything else is a number of things, which nobody has to measure; 36.5 million are the rows of a year.
    counts = set(re.findall(NUMBER, line.formula)) - measured
    assert {count for count in counts if "." in count} <= {"36.5"}


def test_every_figure_in_the_prose_is_measured_or_said_elsewhere() -> None:
    units = "s|ms|MB|GB|%|minutes|rows|tables|commits|partitions|ended requests|days"
    text = re.sub(rf"{NUMBER} × {NUMBER} = {NUMBER}", "", prose())
    figures = set(re.findall(rf"(?<![\w.,])({NUMBER} (?:{units}))(?![\w])", text))
    assert figures > {"120 s", "12.5 s", "100 minutes", "73,000 partitions"}
    said = RESULTS.text + " ".join(line.what for _, line in ALL)
    assert [figure for figure in figures if figure not in FROM_ELSEWHERE.get(figure, said)] == []


def test_every_product_in_the_prose_is_right() -> None:
    products = re.findall(rf"({NUMBER}) × ({NUMBER}) = ({NUMBER})", prose())
    assert products
    for factors in products:
        first, second, product = (int(factor.replace(",", "")) for factor in factors)
        assert first * second == product


def test_the_interval_of_the_arithmetic_is_that_of_airflow() -> None:
    [line] = [line for line in lines_of("tables") if "once in" in line.what]
    [interval] = re.findall(r"MIN_FILE_PROCESS_INTERVAL=(\d+)", AIRFLOW)
    assert f"once in {interval} s" in line.what
    assert line.formula.endswith(f"÷ {interval}")


def test_the_state_has_as_many_files_as_the_page_says() -> None:
    days = Days.between(date(1820, 1, 1), date(2019, 12, 31))
    counts = [len(list(PartitionForm("day", keys).pieces_of(days))) for keys in ((), ("key",))]
    said = re.search(
        r"The state of 200 years is ([\d,]+)\s+files without keys, .* and ([\d,]+) files with keys", prose()
    )
    assert said
    assert [int(text.replace(",", "")) for text in said.groups()] == counts


def test_every_setting_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:RELOADS|AIRFLOW)_[A-Z_]+|[a-z]+_[a-z_]+|parallelism)`", prose()))
    assert len(named) > 9
    assert [name for name in named if f"`{name}`" not in SETTINGS and f"{name}=" not in AIRFLOW] == []
