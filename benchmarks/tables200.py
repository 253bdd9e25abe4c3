"""What 200 tables cost: reading their DAG files, and the daily load of all of them.

    python -m benchmarks.tables200 [--rounds 3]

Reading is measured as the processor time of a whole process that reads `dags/` as Airflow does, beside one that reads
an empty DAG file. The daily load runs in a stack of its own below `.local/bench/tables200`: a run of the DAG that takes
requests asks for yesterday of all tables, as the clock would, and the time goes on until the last table is published.
Each time all rows are other ones. Then the same day is asked for once more, unchanged, until the last request
has its record in `done/`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench_stack import changed_at, running_stack
from benchmarks.figures import Figure, Part
from benchmarks.idle import read_cpu_seconds
from benchmarks.many_tables import lay_out, write_raw_files
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, CLONE
from stack.native.stack import NativeStack
from tests.support.rest import Rest

HOME = BENCH / "tables200"
TABLES = 200
SETTINGS = {"RELOADS_TABLES": "tables", "RELOADS_SOURCE": "source", "RELOADS_CATCH_UP_DAYS": "1"}
DAG_FILE = CLONE / "dags" / "reloads_dags.py"
CHECK_FILE = CLONE / "dags" / "reloads_broken_tables.py"
PATIENCE_SECONDS = 900
OPEN = {"state": "running", "limit": 1}
_FindEnd = Callable[[list[str], float], float | None]
"""When these tables were done after that time; None while they are not."""
PARSE = """
import os, sys
from airflow.sdk import DAG
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
if bag.import_errors:
    sys.exit(str(bag.import_errors))
print(len(bag.dags), sum(os.times()[:4]))
"""


def measure(rounds: int) -> Part:
    """Read the DAG files so many times, and load a day of all tables so many times."""
    shutil.rmtree(HOME / "landing", ignore_errors=True)
    shutil.rmtree(HOME / "warehouse", ignore_errors=True)
    names = lay_out(HOME, count=TABLES)
    figures = _measure_parsing(rounds)
    with running_stack(HOME, SETTINGS) as stack:
        loads: list[_Load] = []
        same: list[_Load] = []
        for turn in range(1, rounds + 1):
            write_raw_files(HOME, turn=turn)
            loads.append(_load_day(stack, names, _newest_commit))
            same.append(_load_day(stack, names, _newest_record))
            _check_unchanged(names, since=same[-1].asked_at)
    runs = max(load.runs for load in (*loads, *same))
    changed, unchanged = "daily load of 200 tables, changed", "daily load of 200 tables, unchanged"
    figures.append(Figure(changed, _seconds(loads), most=60))
    figures.append(Figure("the same, changed, all processes", _cpu_seconds(loads), unit="CPU s"))
    figures.append(Figure(unchanged, _seconds(same), reference=changed))
    figures.append(Figure("the same, unchanged, all processes", _cpu_seconds(same), unit="CPU s"))
    load_averages = ", ".join(f"{load.load_average:.0f}" for load in (*loads, *same))
    notes = (
        f"Load average of the machine at the end of each daily load: {load_averages}.",
        "The empty DAG file imports `airflow.sdk.DAG`, as every DAG file does.",
        f"A daily load was one run of the DAG that takes requests and at most {runs} runs of the {TABLES} tables.",
    )
    return Part("tables200", "200 tables", tuple(figures), notes)


def _measure_parsing(rounds: int) -> list[Figure]:
    """Processor time of a process that reads one file, imports included."""
    empty = HOME / "empty" / "empty.py"
    empty.parent.mkdir(exist_ok=True)
    empty.write_text("from airflow.sdk import DAG\n")
    unchanged = "broken tables, nothing changed"
    times: dict[str, list[float]] = {"empty DAG file": [], "DAG file": [], "broken tables, a change": [], unchanged: []}
    files = [empty, DAG_FILE, CHECK_FILE, CHECK_FILE]
    for number in range(rounds):
        (HOME / "tables" / "table_001" / "README.md").write_text(f"Read in round {number}.{time.time_ns()}\n")
        for name, file in zip(times, files, strict=True):
            times[name].append(_parse(file))
    beyond = [full - base for full, base in zip(times["DAG file"], times["empty DAG file"], strict=True)]
    figures = [Figure(name, tuple(values), unit="CPU s") for name, values in times.items()]
    return [*figures, Figure("DAG file beyond the empty one", tuple(beyond), unit="CPU s", most=1.0)]


def _parse(file: Path) -> float:
    environment = (
        os.environ
        | SETTINGS
        | {
            "RELOADS_HOME": str(HOME),
            "AIRFLOW_HOME": str(HOME / "parse"),
            "PYTHONPATH": str(CLONE),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
    )
    command = [sys.executable, "-c", PARSE, str(file)]
    printed = subprocess.run(command, check=True, env=environment, cwd=HOME, capture_output=True, text=True).stdout
    return float(printed.splitlines()[-1].split()[1])


@dataclass(frozen=True)
class _Load:
    """One daily load: wall clock to its end, processor time, and how many runs the tables had."""

    asked_at: float
    seconds: float
    cpu_seconds: float
    runs: int
    load_average: float


def _seconds(loads: list[_Load]) -> tuple[float, ...]:
    return tuple(load.seconds for load in loads)


def _cpu_seconds(loads: list[_Load]) -> tuple[float, ...]:
    return tuple(load.cpu_seconds for load in loads)


def _load_day(stack: NativeStack, names: list[str], find_end: _FindEnd) -> _Load:
    """Have yesterday of all tables loaded, as the clock does, and wait for it."""
    rest = Rest(stack.url, user=stack.user, password=stack.credentials.admin)
    runs_before = _count_runs(rest, names)
    begun, asked_at = time.monotonic(), time.time()
    cpu_before = sum(read_cpu_seconds(stack).values())
    asking = rest.trigger("request_partitions")
    while find_end(names, asked_at) is None or rest.get("/dags/~/dagRuns", **OPEN)["total_entries"]:
        if time.monotonic() - begun > PATIENCE_SECONDS:
            raise SystemExit(f"the daily load was not done after {PATIENCE_SECONDS} s; read {HOME / '.local' / 'logs'}")
        time.sleep(0.5)
    if rest.run("request_partitions", asking)["state"] != "success":
        raise SystemExit(f"the run of request_partitions that asked is red; read {HOME / '.local' / 'logs'}")
    done_at = find_end(names, asked_at)
    cpu_seconds = sum(read_cpu_seconds(stack).values()) - cpu_before
    load = _Load(
        asked_at,
        (done_at or time.time()) - asked_at,
        cpu_seconds,
        _count_runs(rest, names) - runs_before,
        os.getloadavg()[0],
    )
    print(load, flush=True)
    return load


def _newest_commit(names: list[str], after: float) -> float | None:
    """When the last table was published; None while one of them was not."""
    times: list[float] = []
    for name in names:
        commits = [path.stat().st_mtime for path in (HOME / "warehouse" / ".log" / name).glob("*.json")]
        if max(commits, default=0) < after:
            return None
        times.append(max(commits))
    return max(times)


def _newest_record(names: list[str], after: float) -> float | None:
    """When the last of the daily requests was done; None while a table's was not."""
    files = (HOME / "landing" / "done").glob("daily-*.json")
    times = [at for at in map(changed_at, files) if at > after]
    return max(times) if len(times) >= len(names) else None


def _check_unchanged(names: list[str], *, since: float) -> None:
    """No partition may have been written again, or the time is that of a changed day."""
    for name in names:
        for file in (HOME / "warehouse" / name).rglob("*.parquet"):
            if file.stat().st_mtime > since:
                raise SystemExit(f"{file} was published again, and should have come out as it was")


def _count_runs(rest: Rest, names: list[str]) -> int:
    return sum(rest.get(f"/dags/rewrite_{name}/dagRuns", limit=1)["total_entries"] for name in names)


if __name__ == "__main__":
    run_alone(measure, __doc__)
