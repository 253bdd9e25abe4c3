"""The guard before a release: a few ratios, measured in two minutes, beside those that the repository keeps.

    make bench ONLY=guard

Ratios, because a machine has good and bad days: each figure is divided by its reference of the same rounds. It fails
if one is more than the margin above what `results.json` says. `make bench` measures and keeps them anew: the reload of
60 days as a part of its own, and the dropped day as that of `day`.
"""

from __future__ import annotations

import statistics
from datetime import date

from benchmarks.bench_stack import running_pipeline
from benchmarks.child import run_command, run_python
from benchmarks.day import CHANGED, COPIES, EMPTY, Bench, copy_small_table
from benchmarks.figures import Figure, Part
from benchmarks.print_part import draw_table, run_alone
from benchmarks.readings import BENCH, CLONE, FIRST_DAY, lay_out, plain_code, shift
from benchmarks.results import read_results

HOME = BENCH / "guard"
LAST = date(2025, 3, 1)
DROPS = 6
MARGIN = 1.3
"""How much worse than kept a ratio may be. A quiet machine gives the same ratio within a tenth."""
PLAIN = "plain COPY of 60 days"


def measure(rounds: int) -> Part:
    """The ratios of a reload of 60 days, by CPU seconds."""
    lay_out(HOME)
    plain: list[float] = []
    changed: list[float] = []
    unchanged: list[float] = []
    words = ("run", "readings", str(FIRST_DAY), str(LAST))
    run_command(HOME, *words)
    for number in range(1, rounds + 1):
        shift(HOME, number)
        plain.append(run_python(plain_code(HOME, last=LAST)).cpu_seconds)
        changed.append(run_command(HOME, *words).cpu_seconds)
        unchanged.append(run_command(HOME, *words).cpu_seconds)
    figures = (
        Figure(PLAIN, tuple(plain), unit="CPU s"),
        Figure("`reloads run` of 60 days, changed", tuple(changed), unit="CPU s", reference=PLAIN),
        Figure("`reloads run` of 60 days, unchanged", tuple(unchanged), unit="CPU s", reference=PLAIN),
    )
    return Part("guard", "What the guard compares", figures)


def measure_day() -> Part:
    """The ratio of a dropped day by the clock, as a few rounds of `day`."""
    lay_out(HOME)
    copy_small_table(HOME, COPIES[:1])
    with running_pipeline(HOME, more_dags=CLONE / "benchmarks" / "dags") as pipeline:
        bench = Bench(pipeline, HOME, tables=COPIES[:1])
        bench.warm_up()
        empty = bench.repeat(DROPS, bench.run_empty_tasks)
        days = bench.repeat(DROPS, bench.drop_day)
    figures = (Figure(EMPTY, empty), Figure(CHANGED, days, reference=EMPTY))
    return Part("day", "A dropped day", figures)


def compare(rounds: int) -> str | None:
    """What is worse than it was, in one sentence, as an exit status: None if nothing is."""
    kept = read_results()
    if "guard" not in kept or "day" not in kept:
        return "benchmarks/results.json has no ratios of the guard to compare with; run make bench first"
    worse: list[str] = []
    for part in (measure(rounds), measure_day()):
        print(draw_table(part))
        if found := find_worse(part, kept[part.name].part):
            worse.append(found)
    return "; ".join(worse) or None


def find_worse(part: Part, kept: Part) -> str | None:
    """The figures whose ratio is more than the margin above the kept one, in one sentence; None if there are none."""
    kept_ratios = {figure.name: kept.ratios(figure) for figure in kept.figures if figure.reference}
    worse: list[str] = []
    for figure in part.figures:
        if figure.name not in kept_ratios:
            continue
        before, now = statistics.median(kept_ratios[figure.name]), statistics.median(part.ratios(figure))
        if now > MARGIN * before:
            worse.append(f"{figure.name} is {now:.2f} × its reference and was {before:.2f} ×")
    if not worse:
        return None
    return f"{'; '.join(worse)}; more than {MARGIN} × of what was kept is too much: find what got slower"


if __name__ == "__main__":
    run_alone(measure, __doc__)
