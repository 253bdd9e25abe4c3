"""What a year costs: 36.5 million rows in 365 days, by plain DuckDB, `reloads run` and a dropped request.

    python -m benchmarks.year [--rounds 3]

Each round rewrites the year by each of them, one after the other, so that a machine that gets slower slows all of them.
A changed year has another value in every row than the round before, so that every partition is published; an unchanged
one has the same. Times are seconds of wall clock: of a whole process for the copy and the command; for a dropped file
from its rename into `landing/` to the last partition, through both DAGs of an Airflow that is up and idle. Beside the
times stands the most memory of the same processes: without a limit DuckDB takes four fifths of the machine's memory if
it wants to; `reloads run` gives a batch what the settings say.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import duckdb

from benchmarks.bench_stack import changed_at, running_pipeline, wait_for_idle
from benchmarks.child import Cost, run_command, run_python
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, FIRST_DAY, LAST_DAY, ROWS, lay_out, plain_code, shift
from tests.support.pipeline import Pipeline

HOME = BENCH / "year"
PLAIN, SHUFFLED, SITES = "plain COPY", "plain COPY, shuffled rows", "plain COPY by day and site, 7,300 files"
CHANGED, UNCHANGED = "`reloads run`, changed", "`reloads run`, unchanged"
DROPPED, DROPPED_UNCHANGED = "dropped file, both DAGs, changed", "dropped file, both DAGs, unchanged"
SHUFFLED_CHANGED = "`reloads run`, shuffled rows, changed"
SHUFFLED_UNCHANGED = "`reloads run`, shuffled rows, unchanged"
SITES_CHANGED, SITES_UNCHANGED = "`reloads run` of 20 keys, changed", "`reloads run` of 20 keys, unchanged"

REFERENCES = {
    CHANGED: (PLAIN, 1.15),
    UNCHANGED: (PLAIN, 1.15),
    DROPPED: (PLAIN, 1.4),
    DROPPED_UNCHANGED: (PLAIN, 1.2),
    SHUFFLED_CHANGED: (SHUFFLED, 1.15),
    SHUFFLED_UNCHANGED: (SHUFFLED, 1.15),
    SITES_CHANGED: (SITES, 1.5),
    SITES_UNCHANGED: (SITES, 1.5),
}
"""What each figure stands beside, and its aim as a multiple of that."""
MOST_MEMORY = {PLAIN: "", CHANGED: PLAIN, SHUFFLED: "", SHUFFLED_CHANGED: SHUFFLED}
"""Whose memory is shown, and beside whose: no more than that."""
SUMS = "select count(*), sum(sensor_id), sum(cast(round(value * 1000) as bigint)) from read_parquet('{}/**/*.parquet')"


def measure(rounds: int) -> Part:
    """A year by each way, in each of the rounds."""
    lay_out(HOME)
    seconds: dict[str, list[float]] = {}
    megabytes: dict[str, list[float]] = {}

    def note(name: str, act: Callable[[], float]) -> None:
        os.sync()  # so that it does not pay for what the last one wrote
        seconds.setdefault(name, []).append(act())
        print(f"{name}: {seconds[name][-1]:.1f} s", flush=True)

    def note_process(name: str, act: Callable[[], Cost]) -> None:
        def run() -> float:
            cost = act()
            megabytes.setdefault(name, []).append(cost.megabytes)
            return cost.seconds

        note(name, run)

    # What the first one makes anew is no reload.
    for table in ("shuffled_readings", "readings_by_site"):
        _run(table)
    with running_pipeline(HOME) as pipeline:
        _drop(pipeline, "first")  # and the first one after a start is slower
        for number in range(1, rounds + 1):
            shift(HOME, 10 * number)
            note_process(PLAIN, _copy)
            note_process(CHANGED, lambda: _run("readings"))
            note_process(UNCHANGED, lambda: _run("readings"))
            shift(HOME, 10 * number + 1)
            note(DROPPED, lambda number=number: _drop(pipeline, f"changed-{number}"))  # type: ignore[misc]
            note(DROPPED_UNCHANGED, lambda number=number: _drop(pipeline, f"same-{number}"))  # type: ignore[misc]
            _compare("readings", moved_by=1)
    for _ in range(rounds):
        number += 1
        shift(HOME, 10 * number)
        note_process(SHUFFLED, lambda: _copy(file="shuffled"))
        note_process(SHUFFLED_CHANGED, lambda: _run("shuffled_readings"))
        note_process(SHUFFLED_UNCHANGED, lambda: _run("shuffled_readings"))
        _compare("shuffled_readings")
        note_process(SITES, lambda: _copy(by_site=True))
        note_process(SITES_CHANGED, lambda: _run("readings_by_site"))
        note_process(SITES_UNCHANGED, lambda: _run("readings_by_site"))
        _compare("readings_by_site")
    figures = [_figure(name, tuple(values)) for name, values in seconds.items()]
    for name, reference in MOST_MEMORY.items():
        figures.append(_memory_figure(name, tuple(megabytes[name]), reference))
    note_of_rows = f"{ROWS:,} rows. An unchanged year is read, written and compared, and then not published."
    return Part("year", "A year", tuple(figures), (note_of_rows,))


def _figure(name: str, values: tuple[float, ...]) -> Figure:
    reference, most_ratio = REFERENCES.get(name, ("", None))
    return Figure(name, values, reference=reference, most_ratio=most_ratio)


def _memory_figure(name: str, values: tuple[float, ...], reference: str) -> Figure:
    if not reference:
        return Figure(f"{name}, memory", values, "MB")
    return Figure(f"{name}, memory", values, "MB", f"{reference}, memory", most_ratio=1.0)


def _copy(*, file: str = "readings", by_site: bool = False) -> Cost:
    return run_python(plain_code(HOME, file=file, by_site=by_site))


def _run(table: str) -> Cost:
    return run_command(HOME, "run", table, str(FIRST_DAY), str(LAST_DAY))


def _drop(pipeline: Pipeline, name: str) -> float:
    """From the rename into the drop folder to the last partition: to its rename, or to the commit that confirms it."""
    wait_for_idle(pipeline)
    begun = time.time()
    pipeline.drop(f"{name}.json", table="readings", start_date=str(FIRST_DAY), end_date=str(LAST_DAY))
    [record] = pipeline.wait_for_done(f"{name}.json")
    pattern = ".log/readings/*.json" if record.unchanged else "readings/reading_date=*/*.parquet"
    return max(changed_at(file) for file in pipeline.warehouse.glob(pattern)) - begun


def _compare(table: str, *, moved_by: int = 0) -> None:
    """Both must have written the same rows, ours moved by so much since, or the times say nothing."""
    [(rows, sensors, thousandths)] = duckdb.execute(SUMS.format(HOME / "plain")).fetchall()
    expected = (rows, sensors, thousandths + 1000 * moved_by * rows)
    [ours] = duckdb.execute(SUMS.format(HOME / "warehouse" / table)).fetchall()
    if ours != expected or rows != ROWS:
        raise SystemExit(f"reloads wrote {ours}, and by plain DuckDB it should be {expected}, of {ROWS:,} rows")


if __name__ == "__main__":
    run_alone(measure, __doc__)
