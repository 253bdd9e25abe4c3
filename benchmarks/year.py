"""What a year costs: 36.5 million rows in 365 days, by plain DuckDB, `reloads run` and a dropped request.

    python -m benchmarks.year [--rounds 3]

Each round rewrites the year once by each of the three, one after the other, so that a machine that gets slower
slows all of them. Times are seconds of wall clock: of a whole process for the first two, from the drop of the request
file to its record in `done/` for the third, through both DAGs of an Airflow that is up and idle. Prints the table for
`benchmarks/RESULTS.md`; everything is written below `.local/bench`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from stack.native.folders import Folders
from stack.native.shutdown import stop
from stack.native.stack import NativeStack
from stack.native.startup import start

CLONE = Path(__file__).resolve().parent.parent
HOME = CLONE / ".local" / "bench"
REQUEST = '{"table": "readings", "start_date": "2025-01-01", "end_date": "2025-12-31", "reason": "benchmark"}'
ROWS = 36_500_000
PATIENCE_SECONDS = 600
SOURCE = """
copy (
    select
        date '2025-01-01' + (i // 100_000)::integer as reading_date,
        (hash(i) % 5_000)::integer as sensor_id,
        timestamp '2025-01-01' + to_milliseconds(i * 864) as reading_at,
        (hash(i, 42) % 1_000_000) / 1_000.0 as value,
        ['ok', 'ok', 'ok', 'late', 'suspect'][1 + (hash(i, 43) % 5)::bigint] as status
    from range({rows}) as r(i)
) to '{file}' (format parquet)
"""
PLAIN = (
    "import duckdb; duckdb.sql('set enable_progress_bar = false'); "
    "duckdb.sql(\"copy (select * from read_parquet('{source}/readings.parquet')) "
    "to '{target}' (format parquet, partition_by (reading_date))\")"
)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    _prepare()
    folders = Folders(home=HOME, clone=CLONE)
    os.environ["RELOADS_DAILY_SCHEDULE"] = "0 0 29 2 *"
    stack = start(folders, say=print)
    times: dict[str, list[float]] = {"plain DuckDB COPY": [], "reloads run": [], "dropped request, both DAGs": []}
    try:
        for number in range(1, rounds + 1):
            shutil.rmtree(HOME / "plain", ignore_errors=True)
            acts: list[Callable[[], None]] = [_copy_plainly, partial(_run_command, stack), partial(_drop_file, number)]
            for name, act in zip(times, acts, strict=True):
                times[name].append(_measure_seconds(act))
                print(f"round {number}: {name} {times[name][-1]:.1f} s", flush=True)
    finally:
        stop(folders)
    _check()
    print(_table(times))


def _prepare() -> None:
    source = HOME / ".local" / "source"
    source.mkdir(parents=True, exist_ok=True)
    shutil.copytree(CLONE / "benchmarks" / "tables", HOME / "tables", dirs_exist_ok=True)
    if not (source / "readings.parquet").exists():
        print(f"making {ROWS:,} rows", flush=True)
        duckdb.sql("set enable_progress_bar = false")
        duckdb.sql(SOURCE.format(rows=ROWS, file=source / "readings.part"))
        (source / "readings.part").rename(source / "readings.parquet")


def _measure_seconds(act: Callable[[], None]) -> float:
    os.sync()  # so that it does not pay for what the last one wrote
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def _copy_plainly() -> None:
    code = PLAIN.format(source=HOME / ".local" / "source", target=HOME / "plain")
    subprocess.run([sys.executable, "-c", code], check=True)


def _run_command(stack: NativeStack) -> None:
    command = [sys.executable, "-m", "reloads.cli.main", "run", "readings", "2025-01-01", "2025-12-31"]
    subprocess.run(command, check=True, env=stack.environment, stdout=subprocess.DEVNULL)


def _drop_file(number: int) -> None:
    landing = HOME / "landing"
    before = set(landing.glob("*/*.json"))
    name = f"year-{number}-{time.time_ns()}"
    (landing / f".{name}").write_text(REQUEST)
    (landing / f".{name}").rename(landing / f"{name}.json")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for file in landing.glob(f"*/{name}*.json"):
            if file.parent.name == "accepted" or file in before:
                continue
            if file.parent.name != "done":
                raise SystemExit(f"{file} is not done; read it")
            return
        time.sleep(0.05)
    raise SystemExit(f"{name}.json was not done after {PATIENCE_SECONDS} s; read {HOME / '.local' / 'logs'}")


def _check() -> None:
    """All three must have written the same rows, or the times say nothing."""
    sums = "select count(*), count(distinct reading_date), sum(sensor_id) from read_parquet('{}/*/*.parquet')"
    plain_sums = duckdb.execute(sums.format(HOME / "plain")).fetchall()
    warehouse_sums = duckdb.execute(sums.format(HOME / "warehouse" / "readings")).fetchall()
    if plain_sums != warehouse_sums or plain_sums[0][0] != ROWS:
        raise SystemExit(f"plain DuckDB wrote {plain_sums}, reloads {warehouse_sums}; they should be the same")


def _table(times: dict[str, list[float]]) -> str:
    base = statistics.median(times["plain DuckDB COPY"])
    lines = ["", "| | median s | min to max s | × plain |", "|---|---|---|---|"]
    for name, seconds in times.items():
        median = statistics.median(seconds)
        lines.append(f"| {name} | {median:.1f} | {min(seconds):.1f} to {max(seconds):.1f} | {median / base:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
