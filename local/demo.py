"""The pipeline at work: a month of real flights appears because a file was dropped, then a day, against the clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.drop import Drop
from local.errors import LocalError
from local.readiness import UPSTREAM
from local.stack import Stack
from local.waiting import wait_until
from reloads.record import Record

MONTH, DAY = "january-2013.json", "one-day.json"
PATIENCE_SECONDS = 300
TOTALS = "select count(*), count(distinct filename) from read_parquet($files, filename = true)"


@dataclass(frozen=True)
class Load:
    """A drop that is done: its record, and the seconds from the drop to the last partition and to the record."""

    drop: Drop
    record: Record
    published_after: float
    done_after: float


def show(stack: Stack, console: Console) -> None:
    """Drop a month and a day and print what comes of them; raises ``LocalError`` where nothing good does."""
    _make_source(stack)
    for dag_id in (UPSTREAM, "rewrite_flights"):
        stack.api.unpause(dag_id)
    _await_idle(stack)
    month = _load(stack, console, MONTH)
    _await_idle(stack)
    day = _load(stack, console, DAY)
    console.print(_summary([month, day]))
    console.print(f"One day, from the file dropped to the partition published: {day.published_after:.1f} seconds")
    console.print(_what_next(stack))


def _make_source(stack: Stack) -> None:
    """Lay the sample out as raw files, one a day; those that are there stay as they are."""
    done = subprocess.run(
        [sys.executable, str(stack.folders.clone / "examples" / "make_source.py")],
        cwd=stack.folders.home,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise LocalError(f"the sample source could not be made: {said}; run examples/make_source.py by hand")


def _await_idle(stack: Stack) -> None:
    """Wait for the runs of earlier requests, which would share the machine with ours."""
    if not wait_until(lambda: stack.api.active_runs() == 0, seconds=PATIENCE_SECONDS):
        raise LocalError(f"runs go on for more than {PATIENCE_SECONDS} seconds; look at {stack.url}, then try again")


def _load(stack: Stack, console: Console, name: str) -> Load:
    example = stack.folders.clone / "landing" / "examples" / name
    drop = Drop.make(example, stack.settings)
    console.print(f"dropped {name} into {_short(drop.landing)}/: {drop.table.table} {drop.days}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("partitions published", total=len(drop.days))
        published, published_after = 0, 0.0
        while (record := drop.record()) is None:
            if (now_published := drop.count_published()) != published:
                published, published_after = now_published, drop.seconds
                progress.update(bar, completed=published)
            if drop.seconds - published_after > PATIENCE_SECONDS:
                raise LocalError(f"nothing came of {name} for {PATIENCE_SECONDS} seconds; look at {stack.url} for why")
            time.sleep(0.02)
        progress.update(bar, completed=len(record.published))
    return Load(drop, record, published_after, drop.seconds)


def _summary(loads: list[Load]) -> Table:
    table = Table(box=None, caption=_totals(loads[0].drop), caption_justify="left", padding=(0, 2, 0, 0))
    table.add_column("file dropped")
    for title in ("partitions", "rows", "size", "rewriting", "published", "done"):
        table.add_column(title, justify="right")
    for load in loads:
        record = load.record
        amounts = (f"{len(record.published)}", f"{record.rows:,}", f"{record.bytes / 1000:,.0f} kB")
        times = (f"{seconds:.1f} s" for seconds in (record.seconds, load.published_after, load.done_after))
        table.add_row(load.drop.name, *amounts, *times)
    return table


def _totals(drop: Drop) -> str:
    files = [str(path) for path in drop.files()]
    with duckdb.connect() as connection:
        rows, partitions = connection.execute(TOTALS, {"files": files}).fetchone() or (0, 0)
    return f"DuckDB reads {rows:,} rows in {partitions} partitions of {drop.table.table}, {drop.days}"


def _what_next(stack: Stack) -> str:
    reloads = _short(Path(sys.executable).with_name("reloads"))
    return f"""
What to try next:
  look at {stack.url}   user {stack.user}   password {stack.passwords.admin}
  {reloads} request flights 2013-03-01 2013-03-31 --wait
  {reloads} status
  cp landing/examples/year-2013.json landing/      a whole year; or drop a file of your own
  make down   ends all of it and keeps what is there; make up goes on
"""


def _short(path: Path) -> str:
    """The path as seen from where the person is."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
