"""A part of the suite as a table of Markdown, and as a command of its own."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from benchmarks.figures import Benchmark, Figure, Part

ROUNDS = 3


def run_alone(measure: Benchmark, document: str | None, *, rounds: int = ROUNDS) -> None:
    """The command line of one benchmark: measure it, and print its table."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    print(draw_table(measure(parser.parse_args().rounds)))


def draw_table(part: Part) -> str:
    """The figures of the part, a line each, and its notes."""
    lines = [f"| {part.title} | median | least to most | × | beside | aim | |", "|---|---|---|---|---|---|---|"]
    for figure in part.figures:
        cells = [figure.name, _show_value(figure), _show_spread(figure), _show_ratio(part, figure), figure.reference]
        cells += [_show_aim(figure), {True: "held", False: "missed", None: ""}[part.is_reached(figure)]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *(f"\n{note}" for note in part.notes)])


def _show_value(figure: Figure) -> str:
    return f"{show_number(figure.value)} {figure.unit}"


def _show_spread(figure: Figure) -> str:
    if len(figure.values) == 1:
        return ""
    return f"{show_number(min(figure.values))} to {show_number(max(figure.values))}"


def _show_ratio(part: Part, figure: Figure) -> str:
    ratios = part.ratios(figure)
    return f"{statistics.median(ratios):.2f}" if ratios else ""


def _show_aim(figure: Figure) -> str:
    aims: list[str] = []
    if figure.most is not None:
        aims.append(f"≤ {show_number(figure.most)} {figure.unit}")
    if figure.most_ratio is not None:
        aims.append(f"≤ {figure.most_ratio:g} ×")
    return " or ".join(aims)


def show_number(value: float) -> str:
    """Three digits, or all of those before the point."""
    digits_before_point = len(str(int(abs(value))))
    return f"{value:,.{max(0, 3 - digits_before_point)}f}"


def join_tables(parts: Sequence[Part]) -> str:
    """The tables of all parts, each below its title."""
    return "\n\n".join(draw_table(part) for part in parts)
