"""What a year costs on workers: the rows of ``benchmarks.year``, by plain DuckDB, and by one and two workers.

    python -m benchmarks.workers [--rounds 3]

Needs Docker. A worker is a container of its own that gets its batches from Redis, as `make stack WORKERS=2` starts it.
All of them are on this machine, so two have no more processors than one: what shows is what it costs to hand a year to
machines, and not what machines add. A dropped file counts from its rename into `landing/` to its record in `done/`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.child import run_python
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, FIRST_DAY, LAST_DAY, ROWS, lay_out, plain_code, shift
from tests.integration.container_stack import PROJECT, ContainerStack, running_stack
from tests.support.clone import make
from tests.support.pipeline import Pipeline

HOME = BENCH / "workers"
PLAIN = "plain COPY"
COUNTS = {1: "dropped file, one worker", 2: "dropped file, two workers"}
PAUSE_SECONDS = 0.05


def measure(rounds: int) -> Part:
    """A year by each way, in each of the rounds."""
    lay_out(HOME)
    seconds: dict[str, list[float]] = {}
    with _stack() as stack:
        for count, name in COUNTS.items():
            make("stack", f"WORKERS={count}", clone=stack.clone)
            pipeline = Pipeline(stack)
            # The first one after a start is slower.
            _drop(pipeline, f"first-{count}.json")
            for number in range(1, rounds + 1):
                shift(HOME, 10 * count + number)
                os.sync()
                seconds.setdefault(PLAIN, []).append(run_python(plain_code(HOME)).seconds)
                os.sync()
                seconds.setdefault(name, []).append(_drop(pipeline, f"round-{count}-{number}.json"))
                print(f"{name}: {seconds[name][-1]:.1f} s, {PLAIN}: {seconds[PLAIN][-1]:.1f} s", flush=True)
    figures: list[Figure] = []
    for name, some in seconds.items():
        figures.append(Figure(name, tuple(some), reference="" if name == PLAIN else PLAIN))
    return Part("workers", "A year on workers", tuple(figures), (f"{ROWS:,} rows, 365 partitions.",))


@contextmanager
def _stack() -> Iterator[ContainerStack]:
    settings = {
        "RELOADS_SOURCE": str(HOME / ".local" / "source"),
        "RELOADS_TABLES": str(HOME / "tables"),
        "RELOADS_DAILY_SCHEDULE": "0 0 29 2 *",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder), settings=settings, project=f"{PROJECT}-bench", make_values=("WORKERS=1",)) as stack,
    ):
        yield stack


def _drop(pipeline: Pipeline, name: str) -> float:
    """The seconds until the year that the file asks for is done."""
    since = time.monotonic()
    pipeline.drop(name, table="readings", start_date=str(FIRST_DAY), end_date=str(LAST_DAY))
    while not pipeline.are_done(name):
        time.sleep(PAUSE_SECONDS)
    return time.monotonic() - since


if __name__ == "__main__":
    run_alone(measure, __doc__)
