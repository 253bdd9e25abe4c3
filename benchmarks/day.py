"""What a day costs in an Airflow that is up and idle: one, a wave of four tables, ten tables at once.

    python -m benchmarks.day [--rounds 40]

From the rename of the request's file into `landing/` to the rename that publishes the partition, by the times that the
file system keeps. Beside it stands an Airflow run of two tasks that do nothing, from the call that triggers it to its
end, in the same Airflow. A changed day has another value in every row; an unchanged one ends with its record in
`done/`: no partition is published, and no table that follows is asked.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.bench_stack import changed_at, running_pipeline, wait_for_change, wait_for_idle
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, CLONE, lay_out, shift
from tests.support.pipeline import Pipeline

HOME = BENCH / "day"
DAY = "2025-03-01"
WAVE = ("small", "small_by_ten", "small_by_hundred", "small_total")
COPIES = tuple(f"small_{number}" for number in range(1, 11))
EMPTY, EMPTY_LATE = "an Airflow run of two empty tasks", "the same, 95 %"
CHANGED, CHANGED_LATE = "one day, drop to published, changed", "the same, changed, 95 %"
UNCHANGED = "one day, drop to done, unchanged"
WAVE_NAME, TEN = "a wave of four tables on three levels", "ten requests for ten tables at once"
WAVE_UNCHANGED = "the first table of the wave, drop to done, unchanged"
TEN_UNCHANGED = "ten requests for ten tables at once, unchanged"
ROUNDS, FEW, RUNS_OF_NOTHING = 40, 3, 8


def measure(rounds: int) -> Part:
    """So many drops of one day; the rest a few times."""
    lay_out(HOME)
    copy_small_table(HOME, COPIES)
    few = min(rounds, FEW)
    with running_pipeline(HOME, more_dags=CLONE / "benchmarks" / "dags") as pipeline:
        bench = Bench(pipeline, HOME, tables=(*WAVE, *COPIES))
        bench.warm_up()
        changed = bench.repeat(rounds, bench.drop_day)
        unchanged = bench.repeat(few, bench.drop_unchanged)
        empty = bench.repeat(min(rounds, RUNS_OF_NOTHING), bench.run_empty_tasks)
        wave = bench.repeat(few, bench.drop_for_wave)
        wave_unchanged = bench.repeat(few, bench.drop_unchanged_for_wave)
        ten = bench.repeat(few, bench.drop_ten)
        ten_unchanged = bench.repeat(few, bench.drop_ten_unchanged)
    figures = (
        Figure(EMPTY, empty),
        Figure(CHANGED, changed, reference=EMPTY, most=1.8, most_ratio=0.8),
        Figure(CHANGED_LATE, changed, reference=EMPTY, quantile=0.95, most=2.8, most_ratio=1.2),
        Figure(UNCHANGED, unchanged, reference=EMPTY),
        Figure(WAVE_NAME, wave, reference=CHANGED, most_ratio=2.5),
        Figure(WAVE_UNCHANGED, wave_unchanged, reference=UNCHANGED),
        Figure(TEN, ten, reference=CHANGED, most_ratio=2.0),
        Figure(TEN_UNCHANGED, ten_unchanged, reference=UNCHANGED),
    )
    note = (
        f"{rounds} drops of one day, changed, each after a pause of up to a second, and {len(empty)} runs of two empty "
        f"tasks; the others {few} times."
    )
    return Part("day", "A day", figures, (note,))


def copy_small_table(home: Path, names: Sequence[str]) -> None:
    """Give the small table these names, too."""
    for name in names:
        shutil.copytree(home / "tables" / "small", home / "tables" / name, dirs_exist_ok=True)


class Bench:
    """The acts that are timed; each begins when nothing runs."""

    def __init__(self, pipeline: Pipeline, home: Path, *, tables: Sequence[str]) -> None:
        self._pipeline = pipeline
        self._home = home
        self._tables = tables
        self._number = 0

    def warm_up(self) -> None:
        """Load each table once: the first load of a table is no reload."""
        self._drop(self._tables)
        self._wait_for_end_of_work()
        self.drop_day()

    def repeat(self, rounds: int, act: Callable[[], float]) -> tuple[float, ...]:
        """The seconds of each round."""
        seconds: list[float] = []
        for _ in range(rounds):
            self._wait_for_end_of_work()
            # Airflow's processes look round in turns of their own; a drop meets them at any moment of a turn.
            time.sleep(self._number * 0.37 % 1)
            seconds.append(act())
        return tuple(seconds)

    def drop_day(self) -> float:
        """One day, changed, to its partition."""
        return self._drop_and_wait(COPIES[:1], COPIES[:1])

    def drop_unchanged(self) -> float:
        """One day that comes out as it is, to its record in done/; after the same of `drop_day`."""
        return self._drop_unchanged_and_wait(COPIES[:1])

    def drop_for_wave(self) -> float:
        """One day of the first table, changed, to the partition of the last one that follows."""
        return self._drop_and_wait(WAVE[:1], WAVE[-1:])

    def drop_unchanged_for_wave(self) -> float:
        """One day of the first table that comes out as it is, and so asks for nothing more; after `drop_for_wave`."""
        return self._drop_unchanged_and_wait(WAVE[:1])

    def drop_ten(self) -> float:
        """Ten requests, each for another table, changed, to the last of their partitions."""
        return self._drop_and_wait(COPIES, COPIES)

    def drop_ten_unchanged(self) -> float:
        """Ten requests, each for another table that comes out as it is, to the last record; after `drop_ten`."""
        return self._drop_unchanged_and_wait(COPIES)

    def run_empty_tasks(self) -> float:
        """What Airflow takes for nothing."""
        rest = self._pipeline.rest
        begun = time.time()
        run = rest.trigger("empty_tasks")
        state = self._pipeline.wait_for_run("empty_tasks", run)
        if state != "success":
            raise SystemExit(f"the run {run} of empty_tasks ended as {state}; read the logs")
        return datetime.fromisoformat(rest.run("empty_tasks", run)["end_date"]).timestamp() - begun

    def _wait_for_end_of_work(self) -> None:
        self._pipeline.wait_for_end_of_work()
        wait_for_idle(self._pipeline)

    def _drop_and_wait(self, tables: Sequence[str], last: Sequence[str]) -> float:
        begun, _ = self._drop(tables)
        files = [self._home / "warehouse" / table / f"day={DAY}" / "data.parquet" for table in last]
        return max(wait_for_change(file, since=begun) for file in files) - begun

    def _drop_unchanged_and_wait(self, tables: Sequence[str]) -> float:
        begun, files = self._drop(tables, changed=False)
        # One record a file: what follows a table would be a second one.
        records = self._pipeline.wait_for_done(*files)
        if any(not record.unchanged for record in records):
            raise SystemExit(f"a day of {', '.join(tables)} was published, and should have come out as it was")
        done = self._pipeline.landing / "done"
        return max(changed_at(done / f"{record.id}.json") for record in records) - begun

    def _drop(self, tables: Sequence[str], *, changed: bool = True) -> tuple[float, list[str]]:
        """Drop a file for each table; when, and what they are called."""
        self._number += 1
        if changed:
            shift(self._home, self._number)
        files = [f"{table}-{self._number}.json" for table in tables]
        begun = time.time()
        for table, file in zip(tables, files, strict=True):
            self._pipeline.drop(file, table=table, start_date=DAY)
        return begun, files


if __name__ == "__main__":
    run_alone(measure, __doc__, rounds=ROUNDS)
