"""The demo: two requests dropped into the folder, watched until they are done, and what is in the warehouse then."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.errors import LocalError
from local.stack import Stack
from reloads.queue import Queue
from reloads.record import Record

PATIENCE_SECONDS = 180
LOOK_EVERY_SECONDS = 0.05
NEXT = """
Next, with [bold]export PATH="$PWD/.venv/bin:$PATH"[/bold]:
  reloads request flights 2013-03-01 2013-03-31 --wait    ask for another month, and watch
  reloads status                                          what was asked for, and what came of it
  cp landing/examples/year-2013.json landing/             the whole year, by a file
  make down                                               stop everything; nothing is lost
"""


def show(stack: Stack, console: Console) -> None:
    """Load a month of flights, then one day, and print what was written; raises ``LocalError`` if that fails."""
    make_source = stack.folders.clone / "examples" / "make_source.py"
    subprocess.run([sys.executable, str(make_source), str(stack.settings.source)], check=True)
    examples = stack.folders.clone / "landing" / "examples"
    month, _ = _follow(stack, examples / "january-2013.json", console)
    day, seconds = _follow(stack, examples / "one-day.json", console)
    console.print(_summary(stack, month, day))
    console.print(f"one day on an idle machine: {seconds:.1f} s from the drop of the file to the published partition")
    console.print(NEXT)


def _follow(stack: Stack, example: Path, console: Console) -> tuple[Record, float]:
    """Drop a copy of the request; its record once it has ended, and the seconds from drop to publication."""
    queue = Queue(stack.settings.landing)
    name = f"{example.stem}-{time.strftime('%H%M%S')}.json"
    console.print(f"· dropping landing/{name}", markup=False)
    # Beside and renamed, as a writer should: the doorbell then need not wait until the file rests.
    beside = queue.landing / f".{name}"
    shutil.copyfile(example, beside)
    dropped = time.time()
    beside.rename(queue.landing / name)
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("waiting", total=None)
        while time.time() < dropped + PATIENCE_SECONDS:
            if record := _record_of(queue, name):
                published = _published(stack, record, since=dropped)
                progress.update(bar, description=record.table, total=len(record.days), completed=len(published))
                if not record.outstanding:
                    return _done(record), max(published, default=dropped) - dropped
            time.sleep(LOOK_EVERY_SECONDS)
    raise LocalError(f"{name} was not done after {PATIENCE_SECONDS} s; read {stack.log('scheduler')}")


def _record_of(queue: Queue, name: str) -> Record | None:
    if (note := queue.landing / "rejected" / f"{Path(name).stem}.error.txt").exists():
        raise LocalError(note.read_text(encoding="utf-8").strip())
    records = (record for state in ("accepted", "done", "failed") for record in queue.records(state))
    return next((record for record in records if record.file == name), None)


def _published(stack: Stack, record: Record, *, since: float) -> list[float]:
    """When each partition of the request was published, as its file's time of modification says."""
    table = stack.settings.warehouse / record.table
    files = [path for day in record.days for path in table.glob(f"*={day}/data.parquet")]
    return [changed for path in files if (changed := path.stat().st_mtime) >= since]


def _done(record: Record) -> Record:
    for failure in record.failed:
        raise LocalError(f"{record.table} {failure.days}: {failure.error}")
    return record


def _summary(stack: Stack, *records: Record) -> Table:
    grid = Table("table", "days", "partitions", "rows", "bytes", "seconds", title="What was written")
    grid.columns[1].no_wrap = True
    for record in records:
        files = [str(p) for d in record.days for p in stack.settings.warehouse.glob(f"{record.table}/*={d}/*.parquet")]
        [(rows,)] = duckdb.execute("select count(*) from read_parquet($1)", [files]).fetchall()
        size = sum(Path(file).stat().st_size for file in files)
        cells = (record.table, str(record.days), str(len(files)), f"{rows:,}", f"{size:,}", f"{record.seconds:.2f}")
        grid.add_row(*cells)
    return grid
