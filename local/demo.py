"""The pipeline at work: a month of real flights, a day that the airline corrects, what that changes, and its undo."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from local.drop import Wave
from local.errors import LocalError
from local.readiness import UPSTREAM
from local.stack import Stack
from local.waiting import wait_until
from reloads.requests.control import find_records
from reloads.requests.queue import knock
from reloads.requests.record import Record
from reloads.runs.undo import undo_request

STORY = ("weather", "flights", "daily_delays", "delays_by_weather", "carrier_week")
MONTH, DAYS = "january-2013.json", "three-days.json"
CORRECTED = "2013-01-15"
WITHDRAWN = 10
"""Flights that the airline takes back."""
PATIENCE_SECONDS = 300
TOTALS = "select count(*), count(distinct filename) from read_parquet($files, filename = true)"


def show(stack: Stack, console: Console) -> None:
    """Tell the story by dropped files and print what comes of each; raises ``LocalError`` where nothing good does."""
    _make_source(stack)
    for dag_id in (UPSTREAM, *(f"rewrite_{table}" for table in STORY)):
        stack.api.unpause(dag_id)
    _await_idle(stack)
    console.print(f"1. {MONTH} asks for a month of weather and flights; the tables that read them follow", markup=False)
    _tell(console, _load(stack, MONTH))
    console.print(_totals(stack))
    console.print(
        f"\n2. the airline takes back {WITHDRAWN} flights of {CORRECTED}; {DAYS} asks for it and its neighbours"
    )
    with _corrected(stack.settings.source / "flights" / f"flight_date={CORRECTED}" / "flights.csv"):
        wave = _load(stack, DAYS)
        _tell(console, wave)
        console.print(_times(stack, wave))
        [request] = [record for record in wave.ended() if record.file == DAYS]
        console.print(f"\n3. reloads undo {request.id}: what it replaced is put back, and the tables follow once more")
        _tell(console, _undo(stack, request))
    console.print(_totals(stack))
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


def _load(stack: Stack, name: str) -> Wave:
    """Drop an example and wait until all that comes of it has ended."""
    wave = Wave.of_file(stack.folders.clone / "landing" / "examples" / name, stack.settings.landing)
    _await_end(stack, wave, name)
    return wave


def _undo(stack: Stack, request: Record) -> Wave:
    wave = Wave.begin(stack.settings.landing)
    done = undo_request(stack.settings, request.id, force=False, now=datetime.now(UTC))
    children = [child for record in done for name in record.children for child in find_records(wave.queue, name)]
    knock(wave.queue, children)
    _await_end(stack, wave, "the undo")
    return wave


def _await_end(stack: Stack, wave: Wave, what: str) -> None:
    left, since = -1, time.monotonic()
    while waiting := wave.waiting():
        wave.ended()
        if waiting != left:
            left, since = waiting, time.monotonic()
        if time.monotonic() - since > PATIENCE_SECONDS:
            raise LocalError(f"nothing came of {what} for {PATIENCE_SECONDS} seconds; look at {stack.url} for why")
        time.sleep(0.05)


@contextmanager
def _corrected(file: Path) -> Iterator[None]:
    """Take flights out of a raw file, in one rename as a provider should; at the end it is as it was."""
    before = file.read_text(encoding="utf-8")
    header, *flights = before.splitlines(keepends=True)
    try:
        _write(file, "".join([header, *flights[WITHDRAWN:]]))
        yield
    finally:
        _write(file, before)


def _write(file: Path, text: str) -> None:
    beside = file.with_name(".corrected")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def _times(stack: Stack, wave: Wave) -> str:
    partition = stack.settings.warehouse / "flights" / f"flight_date={CORRECTED}" / "data.parquet"
    published = partition.stat().st_mtime - wave.at.timestamp()
    return f"Dropped to published: {published:.1f} seconds; to the end of the wave: {_end(wave):.1f} seconds"


def _end(wave: Wave) -> float:
    ends = [record.finished_at for record in wave.ended() if record.finished_at]
    return (max(ends) - wave.at).total_seconds()


def _tell(console: Console, wave: Wave) -> None:
    """What became of each table, those that follow included."""
    table = Table(box=None, padding=(0, 2, 0, 2))
    table.add_column("table", no_wrap=True)
    for title in ("published", "unchanged", "skipped", "rows", "before"):
        table.add_column(title, justify="right", no_wrap=True)
    for record in wave.ended():
        days = (record.published, record.unchanged, record.skipped_days)
        table.add_row(record.table, *(str(len(one)) for one in days), f"{record.rows:,}", f"{record.rows_before:,}")
    console.print(table)


def _totals(stack: Stack) -> str:
    files = [str(path) for path in (stack.settings.warehouse / "flights").glob("flight_date=2013-01-*/data.parquet")]
    with duckdb.connect() as connection:
        rows, partitions = connection.execute(TOTALS, {"files": files}).fetchone() or (0, 0)
    return f"DuckDB reads {rows:,} rows in {partitions} partitions of flights, January 2013"


def _what_next(stack: Stack) -> str:
    reloads = _short(Path(sys.executable).with_name("reloads"))
    return f"""
What to try next:
  look at {stack.url}   user {stack.user}   password {stack.passwords.admin}
  {reloads} request flights 2013-03-01 2013-03-31 --wait
  {reloads} plan flights 2013-01-10 2013-01-12        what a reload would do, and why
  {reloads} history flights {CORRECTED}
  {reloads} sql "select state, mode, \\"table\\", published from requests"
  cp landing/examples/year-2013.json landing/      a whole year; or drop a file of your own
  make down   ends all of it and keeps what is there; make up goes on
"""


def _short(path: Path) -> str:
    """The path as seen from where the person is."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
