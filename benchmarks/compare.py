"""What it costs to see that a year of rewritten partitions is unchanged, beside the rewrite itself.

    python -m benchmarks.compare [--rounds 3] [--folder .local/bench/compare]

Each round rewrites the year of `benchmarks/year.py` from rows in order and from shuffled rows, and compares published
with staged files, one after the other, so that a machine that gets slower slows all of them. Times are seconds of wall
clock. The rewrite is one partitioned COPY without a memory limit, which is its fastest; each comparison has a new
database, so that nothing is cached from the last one. Needs 4 GB of disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from benchmarks.year import HOME, ROWS, SOURCE
from reloads.rewriting.compare import find_unchanged
from reloads.sql import quote_text

DAYS = 365
COPY = """
copy (from (select * {replace} from read_parquet(?)) {where}) to ?
(format parquet, partition_by (reading_date), overwrite true, kv_metadata {{run: ?}})
"""


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=HOME / "compare")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    _prepare(folder)
    measured: dict[str, Callable[[], None]] = {
        "rewrite, rows in order": partial(_rewrite, folder / "sorted.parquet", folder / "rewritten"),
        "rewrite, rows shuffled": partial(_rewrite, folder / "shuffled.parquet", folder / "rewritten"),
        "unchanged, but for the footer": partial(_compare, folder, "same", DAYS),
        "unchanged, rows in another order": partial(_compare, folder, "reordered", DAYS),
        "changed, rows missing": partial(_compare, folder, "fewer", 0),
        "changed, one column": partial(_compare, folder, "corrected", 0),
    }
    times: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(1, arguments.rounds + 1):
        for name, act in measured.items():
            times[name].append(_measure_seconds(act))
            print(f"round {number}: {name} {times[name][-1]:.2f} s", flush=True)
    shutil.rmtree(folder / "rewritten")
    print(_table(times))


def _prepare(folder: Path) -> None:
    """Write the year in order and shuffled, and the published and staged files that are compared."""
    folder.mkdir(parents=True, exist_ok=True)
    in_order, shuffled = folder / "sorted.parquet", folder / "shuffled.parquet"
    if (folder / "corrected").exists():
        return
    print(f"making {ROWS:,} rows and five times {DAYS} files", flush=True)
    with _database() as db:
        db.execute(SOURCE.format(rows=ROWS, file=in_order))
        rows = f"from read_parquet({quote_text(str(in_order))}) order by hash(reading_at)"
        db.execute(f"copy ({rows}) to {quote_text(str(shuffled))} (format parquet)")
    for run in ("published", "same"):
        _rewrite(in_order, folder / run, threads=1)  # one thread writes the same bytes again
    _rewrite(shuffled, folder / "reordered")
    _rewrite(in_order, folder / "fewer", where="where reading_at <> reading_date::timestamp")
    _rewrite(in_order, folder / "corrected", replace="replace (value + 1 as value)")


def _database(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(config={"preserve_insertion_order": False, "threads": threads or os.cpu_count() or 1})
    db.execute("set enable_progress_bar = false")
    return db


def _rewrite(source: Path, target: Path, *, replace: str = "", where: str = "", threads: int | None = None) -> None:
    with _database(threads) as db:
        db.execute(COPY.format(replace=replace, where=where), [str(source), str(target), target.name])


def _compare(folder: Path, staged: str, expected: int) -> None:
    names = [path.relative_to(folder / "published") for path in (folder / "published").glob("*/*.parquet")]
    with _database() as db:
        pairs = {name: (folder / "published" / name, folder / staged / name) for name in names}
        unchanged_count = len(find_unchanged(db, pairs))
    if len(names) != DAYS or unchanged_count != expected:
        raise SystemExit(f"{unchanged_count} of {len(names)} files of {staged} are unchanged, not {expected} of {DAYS}")


def _measure_seconds(act: Callable[[], None]) -> float:
    os.sync()  # so that it does not pay for what the last one wrote
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def _table(times: dict[str, list[float]]) -> str:
    base = statistics.median(times["rewrite, rows in order"])
    lines = ["", "| | median s | min to max s | × rewrite in order |", "|---|---|---|---|"]
    for name, seconds in times.items():
        median = statistics.median(seconds)
        lines.append(f"| {name} | {median:.2f} | {min(seconds):.2f} to {max(seconds):.2f} | {median / base:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
