"""What the fingerprints of a year of partitions cost, beside the COPY that writes them.

    python -m benchmarks.equality [--rounds 3] [--days 365] [--folder .local/bench/equality]

For each kind of columns a round writes 100,000 rows a day by one partitioned COPY and takes the fingerprints of the
files, each in a process of its own with as many threads as there are processors. Figures are medians of CPU seconds,
which other work on the machine changes less than the time of a clock, and the most memory of such a process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from benchmarks.readings import BENCH
from reloads.rewriting.content import take_fingerprints
from reloads.sql import quote_text

ROWS_A_DAY = 100_000
COLUMNS = {
    "8 plain columns": """
        i as id, (hash(i) % 5_000)::integer as user_id, timestamp '2025-01-01' + to_milliseconds(i * 864) as at,
        ['view', 'search', 'add_to_cart', 'purchase'][1 + (hash(i, 1) % 4)::integer] as kind,
        (hash(i, 2) % 1_000_000) / 1_000.0 as value, (hash(i, 3) % 10_000)::double / 7 as weight,
        date '2020-01-01' + (hash(i, 4) % 2_000)::integer as since, 'user-' || hash(i, 5) % 100_000 as name
    """,
    "3 plain and decimal(38, 2)": """
        i as id, (hash(i) % 5_000)::integer as user_id, 'user-' || hash(i, 5) % 100_000 as name,
        ((hash(i, 1) % 100_000_000)::decimal(38, 0) / 100)::decimal(38, 2) as amount
    """,
    "3 plain and UUID": """
        i as id, (hash(i) % 5_000)::integer as user_id, 'user-' || hash(i, 5) % 100_000 as name,
        md5(i::varchar)::uuid as key
    """,
    "3 plain and nested": """
        i as id, (hash(i) % 5_000)::integer as user_id, 'user-' || hash(i, 5) % 100_000 as name,
        [i, i // 7, i // 11] as numbers, {a: i, b: 'x' || i, c: i / 3} as fields
    """,
    "3 plain and lists of doubles": """
        i as id, (hash(i) % 5_000)::integer as user_id, 'user-' || hash(i, 5) % 100_000 as name,
        [i / 7, hash(i, 1)::double, i / 11, (i % 100)::double] as weights
    """,
    "3 plain and lists of structs": """
        i as id, (hash(i) % 5_000)::integer as user_id, 'user-' || hash(i, 5) % 100_000 as name,
        [{a: i, b: 'x' || i, c: i / 3}, {a: i, b: 'y' || i, c: i / 7}] as items
    """,
}
SOURCE = """
copy (
    select date '2025-01-01' + (i // {rows_a_day})::integer as day, {columns} from range({rows}) r(i)
) to {file} (format parquet)
"""
COPY = "copy (from read_parquet(?)) to {target} (format parquet, partition_by (day), overwrite true)"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--folder", type=Path, default=BENCH / "equality")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    print("| | COPY | fingerprints | share | with order | share | most MB |\n|---|---|---|---|---|---|---|")
    for name, columns in COLUMNS.items():
        source, target = folder / "source.parquet", folder / "written"
        _measure(partial(_make, columns, source, arguments.days))
        acts: list[Callable[[], None]] = [
            partial(_write, source, target),
            partial(_take_fingerprints, target, arguments.days),
            partial(_take_fingerprints, target, arguments.days, order_by="id"),
        ]
        measured = [[_measure(act) for act in acts] for _ in range(arguments.rounds)]
        copy, plain, ordered = (statistics.median(row[place][0] for row in measured) for place in range(len(acts)))
        memory = max(row[1][1] for row in measured)
        figures = f"{copy:.1f} | {plain:.2f} | {plain / copy:.0%} | {ordered:.2f} | {ordered / copy:.0%} | {memory:.0f}"
        print(f"| {name} | {figures} |", flush=True)


def _measure(act: Callable[[], None]) -> tuple[float, float]:
    """CPU seconds and most megabytes of a process that does this."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        act()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        sender.send((usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))

    process = context.Process(target=run)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"a measured process ended with {process.exitcode}")
    result: tuple[float, float] = receiver.recv()
    return result


def _database() -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(config={"preserve_insertion_order": False, "threads": os.cpu_count() or 1})
    db.execute("set enable_progress_bar = false")
    return db


def _make(columns: str, source: Path, days: int) -> None:
    file, rows = quote_text(str(source)), ROWS_A_DAY * days
    with _database() as db:
        db.execute(SOURCE.format(rows_a_day=ROWS_A_DAY, columns=columns, rows=rows, file=file))


def _write(source: Path, target: Path) -> None:
    with _database() as db:
        db.execute(COPY.format(target=quote_text(str(target))), [str(source)])


def _take_fingerprints(target: Path, days: int, *, order_by: str = "") -> None:
    files = list(target.glob("*/*.parquet"))
    with _database() as db:
        fingerprints = take_fingerprints(db, files, order_by=[order_by] if order_by else [])
    if len(fingerprints) != days:
        raise SystemExit(f"{len(fingerprints)} of {days} files have fingerprints")


if __name__ == "__main__":
    main()
