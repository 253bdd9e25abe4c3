"""The suite: every figure that the project promises, each beside its reference of the same rounds.

    python -m benchmarks.suite [--only PART] [--rounds N] [--peers]

Writes what it found to `benchmarks/results.json`, the tables to `benchmarks/RESULTS.md` and `docs/growing.md`, and the
chart of the README; with ``--only`` the other parts stay as they were. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version

from benchmarks.chart import write_charts
from benchmarks.growing import write_growing
from benchmarks.print_part import draw_table
from benchmarks.results import Machine, read_results, write_results

PARTS = {
    "year": ("benchmarks.year", "measure", 3),
    "memory": ("benchmarks.memory", "measure", 3),
    "day": ("benchmarks.day", "measure", 40),
    "breakdown": ("benchmarks.breakdown", "measure", 3),
    "undo": ("benchmarks.undo", "measure", 3),
    "planning": ("benchmarks.planning", "measure", 3),
    "curve": ("benchmarks.curve", "measure", 3),
    "tables200": ("benchmarks.tables200", "measure", 3),
    "idle": ("benchmarks.idle", "measure", 1),
    "peers": ("benchmarks.peers.suite", "measure", 3),
    "peers_airflow": ("benchmarks.peers.suite", "measure_in_airflow", 3),
    "guard": ("benchmarks.guard", "measure", 3),
}
"""By name: the module and the function that measures, and how many rounds."""

PEERS = "peers"
"""The part of other tools, which are installed for it. All the others need nothing but this project."""


def main() -> None:
    """Measure what is asked for, one part after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, help="this part; default: all of them")
    parser.add_argument("--peers", action="store_true", help="with all parts, that of Dagster, SQLMesh and dbt, too")
    parser.add_argument("--keep", action="store_true", help="keep what the guard finds, rather than compare it")
    parser.add_argument("--rounds", type=int, help="of each part; default: as many as the part says")
    arguments = parser.parse_args()
    if arguments.only is None:
        sys.exit(_measure_all(arguments.rounds, with_peers=arguments.peers))
    if arguments.only == "guard" and not arguments.keep:
        guard = import_module("benchmarks.guard")
        sys.exit(guard.compare(arguments.rounds or PARTS["guard"][2]))
    begun = time.monotonic()
    module, function, rounds = PARTS[arguments.only]
    part = getattr(import_module(module), function)(arguments.rounds or rounds)
    print(f"\n{draw_table(part)}\n\n{arguments.only}: {time.monotonic() - begun:.0f} s\n", flush=True)
    write_results(part, machine=describe_machine())
    write_charts(read_results())
    write_growing(read_results())


def _measure_all(rounds: int | None, *, with_peers: bool) -> str | None:
    """Each part in a process of its own, so that none meets what another left; which of them failed, if any."""
    failed: list[str] = []
    begun = time.monotonic()
    for name in PARTS:
        if name == PEERS and not with_peers:
            continue
        command = [sys.executable, "-m", "benchmarks.suite", "--only", name, "--keep"]
        command += ["--rounds", str(rounds)] if rounds else []
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"all parts: {(time.monotonic() - begun) / 60:.0f} minutes", flush=True)
    return f"not measured: {', '.join(failed)}; read above why" if failed else None


def describe_machine() -> Machine:
    """Where and with what it was measured."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{cores} cores, {gigabytes:.0f} GiB, {platform.system()} {platform.machine()}",
        versions={
            "Python": platform.python_version(),
            "DuckDB": version("duckdb"),
            "Airflow": version("apache-airflow"),
        },
    )


if __name__ == "__main__":
    main()
