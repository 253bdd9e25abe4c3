"""What the embedded stack takes while nothing is asked for: the processor time of its processes over a minute.

    python -m benchmarks.idle [--rounds 3]

The tables are those of the clone; the stack is one of its own below `.local/bench/idle`. The rest begins when what the
start set off is over: no run is at work, and none was for a while.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, CLONE
from stack.native.folders import Folders
from stack.native.shutdown import stop
from stack.native.stack import NativeStack
from stack.native.startup import start

HOME = BENCH / "idle"
SETTLED_SECONDS = 60
SECONDS = 60
MOST_PERCENT = 10.0
ALL = "all processes"
NEVER = "0 0 29 2 *"

CpuSeconds = dict[str, float]
"""By program."""


def measure(rounds: int) -> Part:
    """Take so many minutes of rest."""
    percents: dict[str, list[float]] = defaultdict(list)
    with idle_stack(HOME) as stack:
        time.sleep(SETTLED_SECONDS)
        for _ in range(rounds):
            used = measure_rest(stack, seconds=SECONDS)
            for program, seconds in used.items():
                percents[program].append(100 * seconds / SECONDS)
            percents[ALL].append(100 * sum(used.values()) / SECONDS)
    figures: list[Figure] = []
    for program in sorted(percents, key=lambda name: -max(percents[name])):
        most = MOST_PERCENT if program == ALL else None
        figures.append(Figure(program, tuple(percents[program]), unit="% of a core", most=most))
    notes = (f"Processor time of the whole process tree over {SECONDS} s, ended children of a program included.",)
    return Part("idle", "The embedded stack at rest", tuple(figures), notes)


@contextmanager
def idle_stack(home: Path) -> Iterator[NativeStack]:
    """The stack of this home with the tables of the clone; nothing is asked for by the clock."""
    shutil.rmtree(home / "tables", ignore_errors=True)
    shutil.copytree(CLONE / "tables", home / "tables")
    folders = Folders(home=home, clone=CLONE)
    os.environ |= {"RELOADS_DAILY_SCHEDULE": NEVER, "RELOADS_TABLES": "tables", "RELOADS_SOURCE": "source"}
    (home / "source").mkdir(exist_ok=True)
    try:
        yield start(folders, say=print)
    finally:
        stop(folders)


def measure_rest(stack: NativeStack, *, seconds: float) -> CpuSeconds:
    """The processor time that each program, and what it started, takes in so many seconds."""
    before = read_cpu_seconds(stack)
    time.sleep(seconds)
    after = read_cpu_seconds(stack)
    return {program: after[program] - before.get(program, 0.0) for program in after}


def read_cpu_seconds(stack: NativeStack) -> CpuSeconds:
    """What each program has taken so far: itself, its ended children, and those that live."""
    supervisor = psutil.Process(stack.supervisor.pid())
    names = {program.pid: program.name for program in stack.supervisor.programs()}
    times: CpuSeconds = {"supervisor": sum(supervisor.cpu_times()[:2])}
    for program in supervisor.children():
        name = names.get(program.pid, "supervisor")
        for process in (program, *program.children(recursive=True)):
            # user, system, and both of the children that it has waited for
            times[name] = times.get(name, 0.0) + sum(process.cpu_times()[:4])
    return times


if __name__ == "__main__":
    run_alone(measure, __doc__)
