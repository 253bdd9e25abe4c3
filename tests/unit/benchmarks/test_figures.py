"""What is said of a measurement: ratios are taken round by round, and an aim is held or missed by the figure itself."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import chart, year
from benchmarks.figures import Figure, Part, quantile
from benchmarks.guard import MARGIN, find_worse
from benchmarks.print_part import draw_table, show_number
from benchmarks.results import BEGIN, END, Machine, Result, read_results, write_results

MACHINE = Machine("2026-01-02", "2 cores", {"DuckDB": "2.0.0"})
BASE = Figure("base", (1.0, 2.0, 4.0))


def part_of(*figures: Figure, name: str = "some") -> Part:
    return Part(name, "Some figures", (BASE, *figures), ("A note.",))


def test_a_ratio_is_taken_round_by_round() -> None:
    figure = Figure("ours", (2.0, 2.0, 2.0), reference="base")
    assert part_of(figure).ratios(figure) == (2.0, 1.0, 0.5)


def test_figures_of_unequal_rounds_stand_beside_each_other_as_wholes() -> None:
    figure = Figure("ours", (3.0, 5.0), reference="base")
    assert part_of(figure).ratios(figure) == (2.0,)


@pytest.mark.parametrize(
    ("most", "most_ratio", "answer"),
    [
        (None, None, None),
        (3.0, None, True),
        (2.9, None, False),
        (None, 1.5, True),
        (None, 1.4, False),
        (2.9, 1.5, True),
    ],
)
def test_one_of_two_aims_is_enough(most: float | None, most_ratio: float | None, answer: object) -> None:
    figure = Figure("ours", (1.5, 3.0, 6.0), reference="base", most=most, most_ratio=most_ratio)
    assert part_of(figure).is_reached(figure) is answer


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_has_its_share_of_the_values_at_or_below_it(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert min(values) <= found <= max(values)
    at_or_below = sum(value <= found for value in values)
    assert at_or_below >= share * (len(values) - 1)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "0.01"), (1.236, "1.24"), (12.36, "12.4"), (123.6, "124"), (12345.6, "12,346")]
)
def test_a_number_has_three_digits_or_all_before_the_point(value: float, text: str) -> None:
    assert show_number(value) == text


def test_a_table_says_of_each_figure_whether_its_aim_is_held() -> None:
    figures = (
        Figure("good", (1.0, 2.0, 4.0), reference="base", most_ratio=1.0),
        Figure("bad", (2.0, 4.0, 8.0), reference="base", most_ratio=1.0),
    )
    lines = draw_table(part_of(*figures)).splitlines()
    assert "| good | 2.00 s | 1.00 to 4.00 | 1.00 | base | ≤ 1 × | held |" in lines
    assert "| bad | 4.00 s | 2.00 to 8.00 | 2.00 | base | ≤ 1 × | missed |" in lines
    assert lines[-1] == "A note."


def test_what_was_found_is_read_as_it_was_written_and_other_parts_stay(tmp_path: Path) -> None:
    file, document = tmp_path / "results.json", tmp_path / "RESULTS.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    one, two = part_of(Figure("ours", (2.0,), most=3.0)), part_of(name="other")
    for part in (one, two, replace(two, title="Again")):
        write_results(part, machine=MACHINE, file=file, document=document)
    assert read_results(file) == {"some": Result(one, MACHINE), "other": Result(replace(two, title="Again"), MACHINE)}
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert text.count("### ") == 2
    json.loads(file.read_text())


def test_the_guard_names_what_is_worse_than_the_margin_allows() -> None:
    kept = part_of(Figure("ours", (1.0, 2.0, 4.0), reference="base"))
    as_good = part_of(Figure("ours", tuple(0.99 * MARGIN * value for value in BASE.values), reference="base"))
    worse = part_of(Figure("ours", tuple(1.01 * MARGIN * value for value in BASE.values), reference="base"))
    assert find_worse(as_good, kept) is None
    assert str(find_worse(worse, kept)).startswith("ours is 1.31 × its reference and was 1.00 ×")


def test_the_chart_has_a_bar_for_each_way_the_fastest_first() -> None:
    ours = Part(
        "year", "A year", (BASE, Figure(year.CHANGED, (1.0, 2.0, 4.0), reference="base"), Figure("no bar", (9.0,)))
    )
    others = Part("peers", "9 days in others", (BASE, Figure("<slow>", (30.0, 60.0, 120.0), reference="base")))
    results = {part.name: Result(part, MACHINE) for part in (others, ours)}
    bars = chart.find_bars(results)
    assert [(bar.name, bar.ratio, bar.is_ours) for bar in bars] == [
        ("reloads run, a year", 1, True),
        ("<slow>, 9 days", 30, False),
    ]
    for colours in (chart.LIGHT, chart.DARK):
        root = ET.fromstring(chart.draw(bars, colours))
        assert len(root.findall("{http://www.w3.org/2000/svg}rect")) == 2


def test_a_picture_of_stages_has_each_begin_where_the_one_before_it_ended() -> None:
    part = Part(
        "breakdown",
        "Where",
        (
            Figure("a day: first", (1.0,), reference="a day: all"),
            Figure("a day: second", (3.0,), reference="a day: all"),
            Figure("a day: all", (4.0,)),
        ),
    )
    root = ET.fromstring(chart.draw_stages(Result(part, MACHINE), chart.LIGHT))
    first, second = (bar.attrib for bar in root.findall("{http://www.w3.org/2000/svg}rect"))
    assert float(second["x"]) == pytest.approx(float(first["x"]) + float(first["width"]), abs=0.2)
    assert float(second["width"]) == pytest.approx(3 * float(first["width"]), abs=0.2)
