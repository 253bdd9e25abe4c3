"""The pictures, light and dark: what a reload costs as a multiple of plain DuckDB, and where its time goes.

Drawn here rather than by a library: it is a dozen bars, and a picture that a text tool can compare.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks import year
from benchmarks.peers import ours
from benchmarks.results import Result

FOLDER = Path(__file__).parent
WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM = 840, 330, 70, 30, 54, 40
TICKS = (1, 2, 5, 10, 20, 50, 100)
YEAR = {year.CHANGED: "reloads run, a year", year.DROPPED: "a dropped file, a year"}
PEERS = ("peers", "peers_airflow")
OURS = (ours.COMMAND, ours.FILE)
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Colours:
    """Of one of the two pictures."""

    text: str
    faint: str
    ours: str
    others: str


LIGHT = Colours(text="#1f2328", faint="#d1d9e0", ours="#0b7285", others="#9aa4af")
DARK = Colours(text="#e6edf3", faint="#3d444d", ours="#3bc9db", others="#656d76")


@dataclass(frozen=True)
class Bar:
    """One way to reload days, as a multiple of plain DuckDB."""

    name: str
    ratio: float
    is_ours: bool


def write_charts(results: Mapping[str, Result], folder: Path = FOLDER) -> None:
    """Draw each picture of which something is known."""
    bars = find_bars(results)
    for name, colours in (("light", LIGHT), ("dark", DARK)):
        if bars:
            (folder / f"chart-{name}.svg").write_text(draw(bars, colours), encoding="utf-8")
        if "breakdown" in results:
            (folder / f"breakdown-{name}.svg").write_text(draw_stages(results["breakdown"], colours), encoding="utf-8")


def find_bars(results: Mapping[str, Result]) -> list[Bar]:
    """A bar for each way that was measured beside plain DuckDB, the fastest first."""
    bars: list[Bar] = []
    for name, result in results.items():
        for figure in result.part.figures:
            ratios = result.part.ratios(figure)
            if name == "year" and figure.name in YEAR:
                bars.append(Bar(YEAR[figure.name], statistics.median(ratios), is_ours=True))
            elif name in PEERS and ratios:
                days = result.part.title.partition(" in ")[0]
                shown = f"{figure.name.replace('`', '')}, {days}"
                bars.append(Bar(shown, statistics.median(ratios), is_ours=figure.name in OURS))
    return sorted(bars, key=lambda bar: bar.ratio)


def draw(bars: Sequence[Bar], colours: Colours) -> str:
    """The picture as SVG. Its scale is logarithmic, because the ways differ by more than ten times."""
    height = TOP + ROW * len(bars) + BOTTOM
    most = max(TICKS[1], *(bar.ratio for bar in bars))
    ticks = [tick for tick in TICKS if tick <= 1.5 * most]
    described = "; ".join(f"{bar.name}: {bar.ratio:.1f} times" for bar in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="{FONT}" role="img">',
        f"<title>What a reload costs as a multiple of plain DuckDB: {escape(described)}</title>",
        _text(16, 24, "What a reload of changed days costs, as a multiple of plain DuckDB", colours.text, size=16),
    ]
    for tick in ticks:
        x = _place(tick, ticks[-1])
        lines.append(f'<path d="M{x:.1f} {TOP - 8}V{height - BOTTOM + 4}" stroke="{colours.faint}"/>')
        lines.append(_text(x, height - 16, f"{tick} ×", colours.text, anchor="middle"))
    for position, bar in enumerate(bars):
        y = TOP + ROW * position
        x = _place(bar.ratio, ticks[-1])
        fill = colours.ours if bar.is_ours else colours.others
        width = max(2.0, x - LEFT)
        lines.append(_text(LEFT - 12, y + 15, bar.name, colours.text, anchor="end", bold=bar.is_ours))
        lines.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 9}" rx="2" fill="{fill}"/>')
        lines.append(_text(LEFT + width + 8, y + 15, f"{bar.ratio:.1f} ×", colours.text, bold=bar.is_ours))
    return "\n".join([*lines, "</svg>", ""])


def draw_stages(result: Result, colours: Colours) -> str:
    """The stages of each reload, one below the other, each from where the one before it ended."""
    stages_by_kind: dict[str, dict[str, float]] = {}
    for figure in result.part.figures:
        kind, _, stage = figure.name.partition(": ")
        if figure.reference:
            stages_by_kind.setdefault(kind, {})[stage] = figure.value
    lines: list[str] = []
    y = TOP - 20
    for kind, stages in stages_by_kind.items():
        total = sum(stages.values())
        lines.append(_text(16, y + 14, f"{kind}: {total:.1f} s", colours.text, size=15, bold=True))
        y += 24
        scale, begun = (WIDTH - LEFT - RIGHT) / total, 0.0
        for stage, seconds in stages.items():
            # What runs in DuckDB or in our code, beside what Airflow takes.
            is_ours = ": " in stage and "process, imports" not in stage
            x, width = LEFT + begun * scale, max(1.0, seconds * scale)
            fill = colours.ours if is_ours else colours.others
            lines.append(_text(LEFT - 12, y + 13, stage, colours.text, anchor="end", size=12))
            lines.append(f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="14" rx="2" fill="{fill}"/>')
            lines.append(_text(x + width + 6, y + 13, f"{seconds:.2f} s", colours.text, size=12))
            begun += seconds
            y += 20
        y += 24
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="{FONT}" role="img">',
        "<title>Where the time of a reload goes, from the dropped file to its record in done/</title>",
        _text(16, 20, "From the dropped file to its record in done/", colours.text, size=16),
    ]
    return "\n".join([*head, *lines, "</svg>", ""])


def _place(ratio: float, last_tick: float) -> float:
    """Where a multiple lies, in pixels from the left."""
    share = math.log(max(ratio, 1.0)) / math.log(last_tick)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _text(
    x: float, y: float, text: str, fill: str, *, anchor: str = "start", size: int = 13, bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:.1f}" y="{y}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}"{weight} fill="{fill}">{escape(text)}</text>'
