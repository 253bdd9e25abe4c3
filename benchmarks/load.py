"""What the drop folder carries: 20,000 requests of four writers for seven tables, and a good one dropped in the middle.

    python -m benchmarks.load [--requests 20000]

Each writer drops files of 1, 100 and 1,000 requests as fast as it can, for days that are its own, and counts up the
parameter `turn` as it goes. So each partition must end with the turn that was dropped last for it, and a request that
was served out of turn, or lost, shows. While they write, a request for a table of its own is dropped, and timed to
its record in `accepted/`, and to `done/`. Runs both DAGs of an Airflow of its own below `.local/bench/load`, and ends
with an error if a partition is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.readings import BENCH, CLONE
from stack.native.folders import Folders
from stack.native.shutdown import stop
from stack.native.startup import start

FOLDER = BENCH / "load"
WRITERS = 4
TABLES = [f"load_{number}" for number in range(1, 8)]
FIRST = date(2024, 1, 1)
DAYS = 60
TURNS = 10
PATIENCE_SECONDS = 3600
QUERY = """\
select cast(midnight as date) as day, getvariable('turn') as turn
from generate_series(date '2024-01-01', date '2024-12-31', interval 1 day) as days(midnight)
"""
SETTINGS = """\
day_column = "day"
first_day = 2024-01-01

[parameters.turn]
type = "integer"
default = 0
"""

Turns = dict[tuple[str, str], int]
"""The last turn that was asked for, by table and day."""


def main() -> None:
    """Run it, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    requests = parser.parse_args().requests // WRITERS
    shutil.rmtree(FOLDER, ignore_errors=True)
    for table in (*TABLES, "probe"):
        (FOLDER / "tables" / table).mkdir(parents=True)
        (FOLDER / "tables" / table / "query.sql").write_text(QUERY)
        (FOLDER / "tables" / table / "table.toml").write_text(SETTINGS)
    (FOLDER / "tables" / "sources.sql").touch()
    folders = Folders(home=FOLDER, clone=CLONE)
    os.environ |= {"RELOADS_DAILY_SCHEDULE": "0 0 29 2 *", "RELOADS_TABLES": "tables", "RELOADS_SOURCE": "source"}
    start(folders, say=print)
    try:
        expected = _measure(FOLDER / "landing", requests)
    finally:
        stop(folders)
    _check(expected)


def _measure(landing: Path, requests: int) -> Turns:
    begun = time.monotonic()
    with ProcessPoolExecutor(WRITERS) as writers:
        jobs = [writers.submit(_write, landing, writer, requests) for writer in range(WRITERS)]
        while len(list((landing / "accepted").glob("*.json"))) < requests:
            time.sleep(0.05)
        _drop(landing, "probe", [{"table": "probe", "start_date": str(FIRST)}])
        dropped = time.monotonic()
        _await("the probe's record", lambda: any(landing.glob("*/probe-probe-*.json")))
        print(f"a good file in the middle: accepted after {time.monotonic() - dropped:.1f} s", flush=True)
        _await("the probe's end", lambda: any(landing.glob("done/probe-probe-*.json")))
        print(f"a good file in the middle: done after {time.monotonic() - dropped:.1f} s", flush=True)
        expected: Turns = {}
        for job in jobs:
            expected |= job.result()
    print(f"the last file was dropped after {time.monotonic() - begun:.0f} s", flush=True)
    _await("an empty drop folder", lambda: not any(landing.glob("*.json")))
    print(f"all requests were accepted after {time.monotonic() - begun:.0f} s", flush=True)
    _await("the end of all requests", lambda: not any(landing.glob("accepted/*.json")))
    seconds = time.monotonic() - begun
    done = len(list(landing.glob("done/*.json")))
    others = [path.name for state in ("failed", "rejected", "cancelled") for path in landing.glob(f"{state}/*")]
    print(f"{done:,} requests were done after {seconds:.0f} s; {len(others)} came to another end", flush=True)
    if others or done != requests * WRITERS + 1:
        raise SystemExit(f"requests are missing, or ended otherwise: {others[:5]}")
    return expected


def _write(landing: Path, writer: int, requests: int) -> Turns:
    """Drop so many requests in files of 1, 100 and 1,000; returns what must stand at the end."""
    chance = random.Random(writer)  # noqa: S311 - the same files at every run
    expected: Turns = {}
    left, number = requests, 0
    while left:
        size = min(left, chance.choice([1] * 50 + [100] * 3 + [1000]))
        turn = min(TURNS, 1 + TURNS * (requests - left) // requests)
        items: list[dict[str, object]] = []
        for _ in range(size):
            day = FIRST + timedelta(days=WRITERS * chance.randrange(DAYS) + writer)
            table = chance.choice(TABLES)
            items.append({"table": table, "start_date": str(day), "parameters": {"turn": turn}})
            expected[table, str(day)] = turn
        # Names in no order, so that only the order of arrival can be right.
        _drop(landing, f"w{chance.randrange(10**9)}-{writer}-{number}", items)
        left, number = left - size, number + 1
    return expected


def _drop(landing: Path, name: str, items: list[dict[str, object]]) -> None:
    beside = landing / f".{name}"
    beside.write_text(json.dumps(items))
    beside.rename(landing / f"{name}.json")


def _await(what: str, is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_there():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE_SECONDS} s for {what}; read {FOLDER / '.local' / 'logs'}")
        time.sleep(0.05)


def _check(expected: Turns) -> None:
    """Each partition must hold the turn that was asked for last."""
    wrong: list[str] = []
    for table in TABLES:
        files = str(FOLDER / "warehouse" / table / "*" / "*.parquet")
        for day, turn in duckdb.execute("select day::varchar, turn from read_parquet($1)", [files]).fetchall():
            if expected.pop((table, day), None) != turn:
                wrong.append(f"{table} {day}: {turn}")
    if wrong or expected:
        raise SystemExit(f"{len(wrong)} partitions hold another turn, {len(expected)} are missing: {wrong[:5]}")
    print("every partition holds what was asked for last")


if __name__ == "__main__":
    main()
