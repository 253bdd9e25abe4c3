"""What the embedded stack takes while nothing is asked for: the processor time of its processes over half a minute.

    python -m benchmarks.idle [--rounds 3]

The tables are those of the clone; the stack is one of its own below `.local/bench/idle`. The rest begins when what the
start set off is over: no run is at work, and none was for a while.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict

import psutil

from benchmarks.bench_stack import running_stack
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, CLONE
from stack.native.stack import NativeStack

HOME = BENCH / "idle"
SETTLED_SECONDS = 30
SECONDS = 30
MOST_PERCENT = 10.0
ALL = "all processes"

CpuSeconds = dict[str, float]
"""By program."""


def measure(rounds: int) -> Part:
    """Take so many rests."""
    percents: dict[str, list[float]] = defaultdict(list)
    shutil.rmtree(HOME / "tables", ignore_errors=True)
    shutil.copytree(CLONE / "tables", HOME / "tables")
    (HOME / "source").mkdir(exist_ok=True)
    with running_stack(HOME, {"RELOADS_TABLES": "tables", "RELOADS_SOURCE": "source"}) as stack:
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
