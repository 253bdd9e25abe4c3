"""The pipeline at work: a month of real flights, a raw file that the airline replaces, what follows, and its undo.

The story is told with folders, Airflow's API and the command `reloads`, so it is the same in containers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from reloads.requests.record import Record
from stack import sample
from stack.errors import StackError
from stack.readiness import UPSTREAM
from stack.running import PAGE, RunningStack
from stack.waiting import wait_until
from stack.wave import Wave

STORY = ("weather", "flights", "daily_delays", "delays_by_weather", "carrier_week")
MONTH = "january-2013.json"
CORRECTED = "2013-01-15"
WITHDRAWN = 10
"""Flights that the airline takes back."""
PATIENCE_SECONDS = 300
TOTALS = "select count(*), count(distinct filename) from read_parquet($files, filename = true)"


def tell_story(stack: RunningStack, console: Console) -> None:
    """Drop the files of the story and print what comes of each; raises ``StackError`` where nothing good does."""
    sample.require(stack.source)
    for dag_id in (UPSTREAM, *(f"rewrite_{table}" for table in STORY)):
        stack.api.unpause(dag_id)
    _await_idle(stack)
    console.print(f"1. {MONTH} asks for a month of weather and flights; the tables that read them follow", markup=False)
    _print_wave(console, _load_example(stack, MONTH))
    console.print(_totals(stack))
    console.print(f"\n2. the airline takes back {WITHDRAWN} flights of {CORRECTED} and replaces its file; nobody asks")
    with _corrected(stack.source / "flights" / f"flight_date={CORRECTED}" / "flights.csv"):
        wave = Wave.begin(stack.landing)
        request = _await_arrival(wave)
        _await_end(stack, wave, "the new file")
        _print_wave(console, wave)
        console.print(_times(stack, wave))
        console.print(f"\n3. reloads undo {request.id}: what it replaced is put back, and the tables follow once more")
        _print_wave(console, _undo(stack, request))
    console.print(_totals(stack))
    console.print(_what_next(stack), markup=False)


def _await_idle(stack: RunningStack) -> None:
    """Wait for the runs of earlier requests, which would share the machine with ours."""
    if not wait_until(lambda: stack.api.active_runs() == 0, seconds=PATIENCE_SECONDS):
        raise StackError(
            f"runs go on for more than {PATIENCE_SECONDS} seconds; look at {stack.api.url}, then try again"
        )


def _load_example(stack: RunningStack, name: str) -> Wave:
    """Drop an example and wait until all that comes of it has ended."""
    wave = Wave.of_file(stack.clone / "landing" / "examples" / name, stack.landing)
    _await_end(stack, wave, name)
    return wave


def _await_arrival(wave: Wave) -> Record:
    """Wait until the new file has asked for its day, and return that request."""

    def find_requests() -> list[Record]:
        return [record for record in wave.records() if (record.table, record.mode) == ("flights", "arrival")]

    if not wait_until(lambda: bool(find_requests()), seconds=PATIENCE_SECONDS):
        raise StackError(
            f"the replaced file asked for nothing in {PATIENCE_SECONDS} seconds; look at the triggerer's log for why"
        )
    return find_requests()[0]


def _undo(stack: RunningStack, request: Record) -> Wave:
    wave = Wave.begin(stack.landing)
    stack.run_reloads("undo", request.id)
    _await_end(stack, wave, "the undo")
    return wave


def _await_end(stack: RunningStack, wave: Wave, cause: str) -> None:
    """Wait until nothing is outstanding; raises ``StackError`` when nothing moves any more."""
    waiting_before, since = -1, time.monotonic()
    while waiting := wave.count_waiting():
        wave.ended_records()
        if waiting != waiting_before:
            waiting_before, since = waiting, time.monotonic()
        if time.monotonic() - since > PATIENCE_SECONDS:
            raise StackError(f"nothing came of {cause} for {PATIENCE_SECONDS} seconds; look at {stack.api.url} for why")
        time.sleep(0.05)


@contextmanager
def _corrected(file: Path) -> Iterator[None]:
    """Take flights out of a raw file, in one rename as a provider should; at the end it is as it was."""
    before = file.read_text(encoding="utf-8")
    header, *flights = before.splitlines(keepends=True)
    try:
        _replace(file, "".join([header, *flights[WITHDRAWN:]]))
        yield
    finally:
        _replace(file, before)


def _replace(file: Path, text: str) -> None:
    beside = file.with_name(".corrected")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def _times(stack: RunningStack, wave: Wave) -> str:
    partition = stack.warehouse / "flights" / f"flight_date={CORRECTED}" / "data.parquet"
    published = partition.stat().st_mtime - wave.began_at.timestamp()
    ends = [record.finished_at for record in wave.ended_records() if record.finished_at]
    ended = (max(ends) - wave.began_at).total_seconds()
    return f"From the new file to its partition: {published:.1f} seconds; to the end of the wave: {ended:.1f} seconds"


def _print_wave(console: Console, wave: Wave) -> None:
    """What became of each table, those that follow included."""
    table = Table(box=None, padding=(0, 2, 0, 2))
    table.add_column("table", no_wrap=True)
    for title in ("published", "unchanged", "skipped", "rows", "before"):
        table.add_column(title, justify="right", no_wrap=True)
    for record in wave.ended_records():
        days = [str(len(group)) for group in (record.published, record.unchanged, record.skipped_days)]
        table.add_row(record.table, *days, f"{record.rows:,}", f"{record.rows_before:,}")
    console.print(table)


def _totals(stack: RunningStack) -> str:
    files = [str(path) for path in (stack.warehouse / "flights").glob("flight_date=2013-01-*/data.parquet")]
    with duckdb.connect() as connection:
        rows, partitions = connection.execute(TOTALS, {"files": files}).fetchone() or (0, 0)
    return f"DuckDB reads {rows:,} rows in {partitions} partitions of flights, January 2013"


def _what_next(stack: RunningStack) -> str:
    reloads = " ".join(stack.reloads)
    return f"""
What to try next:
  look at {stack.api.url}{PAGE}   {stack.login}
  {reloads} request flights 2013-03-01 2013-03-31 --wait
  {reloads} plan flights 2013-01-10 2013-01-12        what a reload would do, and why
  {reloads} history flights {CORRECTED}
  {reloads} sql "select state, mode, \\"table\\", published from requests"
  cp landing/examples/year-2013.json landing/      a whole year; or drop a file of your own
  {stack.stop_command}   ends all of it and keeps what is there; {stack.start_command} goes on
"""
