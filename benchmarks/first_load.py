"""What a first load of very many days costs, by `reloads run` and by plain partitioned COPYs, one for each year.

    python -m benchmarks.first_load [--years 200] [--rounds 1]

200 years are 73,000 partitions. Seconds of wall clock and of CPU, the most memory, and the most that was spilled, of a
process of its own each. Writes into a temporary folder. Prints the table for `benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import duckdb

LAST_YEAR = 2024
ROWS_A_DAY = 10_000
SOURCE = """
copy (
    select cast(midnight as date) as day, n::integer as n, (hash(n, midnight) % 1000000) / 1000.0 as value,
        ['ok', 'late', 'suspect'][1 + (hash(n, midnight, 1) % 3)::bigint] as status
    from generate_series(date '{first}-01-01', date '{last}-12-31', interval 1 day) as days(midnight)
    cross join generate_series(1, {rows}) as numbers(n)
    order by day
) to '{file}' (format parquet)
"""
PLAIN = """
import duckdb
duckdb.sql("set enable_progress_bar = false")
for year in range({last}, {first} - 1, -1):
    duckdb.sql(f"copy (from read_parquet('{source}') where year(day) = {{year}}) to '{target}' "
               "(format parquet, partition_by (day), overwrite_or_ignore)")
"""
Cost = tuple[float, float, float, float]
"""Seconds, CPU seconds, MB of memory, MB spilled."""


def main() -> None:
    """Measure both, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    first = LAST_YEAR + 1 - arguments.years
    costs: dict[str, list[Cost]] = {"plain COPYs by year": [], "`reloads run`": []}
    with tempfile.TemporaryDirectory(prefix="reloads-first-load-") as folder:
        source = Path(folder, "source.parquet")
        duckdb.sql(SOURCE.format(first=first, last=LAST_YEAR, rows=ROWS_A_DAY, file=source))
        for number in range(arguments.rounds):
            code = PLAIN.format(first=first, last=LAST_YEAR, source=source, target=Path(folder, f"plain-{number}"))
            costs["plain COPYs by year"].append(_measure([sys.executable, "-c", code], Path(folder)))
            home = Path(folder, f"home-{number}")
            _prepare(home, source, first)
            command = [sys.executable, "-m", "reloads.cli.main", "run", "readings"]
            command += [f"{first}-01-01", f"{LAST_YEAR}-12-31"]
            costs["`reloads run`"].append(_measure(command, home / "warehouse" / ".staging", home=home))
            _check(Path(folder, f"plain-{number}"), home / "warehouse" / "readings")
            shutil.rmtree(Path(folder, f"plain-{number}"))
            shutil.rmtree(home)
    sys.stdout.write(_table(costs))


def _prepare(home: Path, source: Path, first: int) -> None:
    (home / "landing").mkdir(parents=True)
    (home / "warehouse").mkdir()
    table = home / "tables" / "readings"
    table.mkdir(parents=True)
    (home / "tables" / "sources.sql").write_text(f"create view raw_readings as from read_parquet('{source}')")
    (table / "query.sql").write_text("from raw_readings")
    settings = f'day_column = "day"\nfirst_day = {first}-01-01\nmax_days_per_request = 1000000\n'
    (table / "table.toml").write_text(settings)


def _measure(command: list[str], spill: Path, *, home: Path | None = None) -> Cost:
    """The cost of a process; what it spills lies below that folder in files that end in .tmp."""
    os.sync()  # so that it does not pay for what the last one wrote
    environment = os.environ | ({"RELOADS_HOME": str(home)} if home else {})
    begun = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=spill.parent if home else spill)
    most = {"memory": 0.0, "spill": 0.0, "cpu": 0.0}
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, spill, most, ended))
    watcher.start()
    code = process.wait()
    seconds = time.monotonic() - begun
    ended.set()
    watcher.join()
    if code:
        raise SystemExit(f"{command[:4]} ended with {code}")
    return seconds, most["cpu"], most["memory"], most["spill"]


def _watch(pid: int, spill: Path, most: dict[str, float], ended: threading.Event) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    while not ended.wait(0.1):
        with suppress(OSError, IndexError):
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            most["memory"] = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            most["cpu"] = (int(fields[11]) + int(fields[12])) / ticks
        with suppress(OSError):
            size = sum(path.stat().st_size for path in spill.glob("*/spill/*")) / 1e6
            most["spill"] = max(most["spill"], size)


def _check(plain: Path, published: Path) -> None:
    """Both must have written the same rows, or the times say nothing."""
    sums = "select count(*), count(distinct day), sum(value) from read_parquet('{}/*/*.parquet')"
    counts = [duckdb.execute(sums.format(place)).fetchall()[0] for place in (plain, published)]
    if counts[0][:2] != counts[1][:2] or abs(counts[0][2] - counts[1][2]) > 1:
        raise SystemExit(f"plain DuckDB wrote {counts[0]}, reloads {counts[1]}; they should be the same")


def _table(costs: dict[str, list[Cost]]) -> str:
    lines = ["| | s | × | CPU s | × | most MB | MB spilled |", "|---|---|---|---|---|---|---|"]
    base: list[float] = []
    for name, rounds in costs.items():
        seconds, cpu, memory, spilled = (statistics.median(values) for values in zip(*rounds, strict=True))
        base = base or [seconds, cpu]
        times = f"{seconds:.1f} | {seconds / base[0]:.2f} | {cpu:.1f} | {cpu / base[1]:.2f}"
        lines.append(f"| {name} | {times} | {memory:.0f} | {spilled:.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
