"""What a day's reload, and looking at it, costs beside 73,000 partitions, 10,000 commits and 100,000 ended requests.

    python -m benchmarks.level

Beside it stands what the same costs in a home without them: there a table has a month, and no request has ended. Each
number is of a process of its own: its CPU time, imports included, the median of five, and the most memory that it had.
Writes both homes into a temporary folder. Prints the table for `benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from statistics import median

from reloads.cli.main import main as run_command
from reloads.days import Days
from reloads.outcome import Outcome
from reloads.requests.acceptance import process_files
from reloads.requests.control import cancel_request
from reloads.requests.conversion import new_record
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.request import parse_request
from reloads.runs.local_run import run_locally
from reloads.runs.plan_step import plan_batches
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import settle_batches
from reloads.runs.undo import undo_request
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.upgrade import open_catalog
from tests.support.long_history import fill as fill_table

QUERY = """
    select cast(midnight as date) as day, n, cast(epoch_us(now()) % 1000000 as integer) as at
    from generate_series(date '2025-01-01', date '2025-01-31', interval 1 day) as days(midnight)
    cross join generate_series(1, 100) as numbers(n)
"""
"""Another content each time, so that a reload publishes."""
COLUMNS = {"n": "BIGINT", "at": "INTEGER"}
MONTH = ("2025-01-01", "2025-01-31")
DAY = "2025-01-15"
OTHER_DAYS = Days.between(date(1820, 1, 1), date(1820, 1, 1) + timedelta(days=72_999))
COMMITS = 10_000

CLONE = Path(__file__).resolve().parent.parent
NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
REQUEST = parse_request({"table": "flights", "start_date": "2013-01-01"})
COUNTS = {"done": 90_000, "failed": 5000, "cancelled": 5000}
ROUNDS = 5


def make_record(number: int) -> Record:
    """One of the requests that ended a second after each other."""
    at = NOW + timedelta(seconds=number)
    file = f"reload-of-flights-{number}.json"
    record = new_record(REQUEST, "flights", mode="landing", origin=str(number), now=at, file=file)
    return record.model_copy(update={"published": record.days, "finished_at": at})


KNOWN = make_record(100_001)
ACTS = {
    "accept, plan and settle a file": (),
    "cancel by id": (),
    "`reloads status`": ("status",),
    "`reloads status ID`": ("status", KNOWN.id),
    "`reloads status FILE`": ("status", str(KNOWN.file)),
    "plan, rewrite and settle a day": (),
    "the same, and undo it": (),
    "`reloads run` of a day": ("run", "levels", DAY),
    "`reloads plan` of a day": ("plan", "levels", DAY),
    "`reloads plan` of a day, if it is stale": ("plan", "levels", DAY, "--only", "stale"),
    "`reloads history` of a day": ("history", "levels", DAY),
}


def fill(landing: Path) -> None:
    """Write the ended records."""
    number = 0
    for state, count in COUNTS.items():
        (landing / state).mkdir()
        for _ in range(count):
            number += 1
            record = make_record(number)
            (landing / state / f"{record.id}.json").write_text(record.to_json())


def publish(folder: TableFolder) -> None:
    """Publish many days, in many commits of yesterday, as a state that is up to date with its log."""
    begin = datetime.now(UTC) - timedelta(days=1)
    fill_table(folder, OTHER_DAYS, commits=COMMITS, begin=begin, columns=COLUMNS)


def define_table(tables: Path) -> None:
    """A table whose query is cheap, so that what is measured is everything else."""
    (tables / "levels").mkdir()
    (tables / "levels" / "query.sql").write_text(QUERY)
    (tables / "levels" / "table.toml").write_text('day_column = "day"\nfirst_day = 1820-01-01\n')


def main() -> None:
    """Measure each act in both homes, and print the table."""
    if len(sys.argv) > 1:
        _measure(sys.argv[1], Settings.from_environment(os.environ))
        return
    with tempfile.TemporaryDirectory(prefix="reloads-level-") as folder:
        homes = [Path(folder, name) for name in ("none", "many")]
        for home in homes:
            (home / "landing").mkdir(parents=True)
            shutil.copytree(CLONE / "tables", home / "tables")
            define_table(home / "tables")
        fill(homes[1] / "landing")
        publish(TableFolder(homes[1] / "warehouse", "levels", "day"))
        for home in homes:
            Queue(home / "landing").file_away(KNOWN)
            run_locally(
                Settings.from_environment({"RELOADS_HOME": str(home)}),
                parse_request({"table": "levels", "start_date": MONTH[0], "end_date": MONTH[1]}),
            )
        sys.stdout.write("| | CPU s beside none | beside many | × | MB | MB | × |\n|---|---|---|---|---|---|---|\n")
        for act in ACTS:
            (seconds, megabytes), (many_seconds, many_megabytes) = (_measure_apart(act, home) for home in homes)
            cells = f"{seconds:.2f} | {many_seconds:.2f} | {many_seconds / seconds:.2f}"
            cells += f" | {megabytes:.0f} | {many_megabytes:.0f} | {many_megabytes / megabytes:.2f}"
            sys.stdout.write(f"| {act} | {cells} |\n")
            sys.stdout.flush()


def _measure_apart(act: str, home: Path) -> tuple[float, float]:
    """CPU seconds and megabytes of processes that do this."""
    command = [sys.executable, "-m", "benchmarks.level", act]
    environment = os.environ | {"RELOADS_HOME": str(home)}
    answers: list[list[float]] = []
    for _ in range(ROUNDS):
        answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CLONE, env=environment)
        answers.append([float(number) for number in answer.stdout.split()])
    return median(seconds for seconds, _ in answers), median(megabytes for _, megabytes in answers)


def _measure(act: str, settings: Settings) -> None:
    if ACTS[act]:
        sys.argv = ["reloads", *ACTS[act]]
        with redirect_stdout(StringIO()), suppress(SystemExit):
            run_command()
    elif act == "cancel by id":
        _cancel(settings.landing)
    elif act == "accept, plan and settle a file":
        _accept_and_settle(settings.landing)
    else:
        record = _reload(settings)
        if act == "the same, and undo it":
            undo_request(settings, record.id, force=False, now=datetime.now(UTC))
    # Not that of ``getrusage``, which counts the process that started this one, too.
    kilobytes = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    sys.stdout.write(f"{time.process_time()} {int(kilobytes[0]) / 1024}\n")


def _accept_and_settle(landing: Path) -> None:
    (landing / "new.json").write_text(REQUEST.model_dump_json(exclude_defaults=True))
    now, queue = datetime.now(UTC), Queue(landing)
    files = process_files(queue, catalog=Catalog.load(CLONE / "tables"), now=now, today=now.date(), stable_seconds=3)
    for record in files.accepted:
        queue.plan(record.id, planned={"asked for": record.days}, skipped={}, now=now)
        queue.settle(record.id, Outcome(published=record.days), run="run", now=now)


def _reload(settings: Settings) -> Record:
    now, queue = datetime.now(UTC), Queue(settings.landing)
    request = parse_request({"table": "levels", "start_date": DAY})
    record = new_record(request, "levels", mode="manual", origin=str(time.time_ns()), now=now)
    queue.add(record)
    batches = [batch.to_json() for batch in plan_batches(settings, Catalog.load(settings.tables), "levels", now=now)]
    outcomes = [run_batch(settings, "levels", batch, run=record.id, now=now).to_json() for batch in batches]
    settled = settle_batches(settings, open_catalog(settings), "levels", batches, outcomes, run=record.id, now=now)
    if settled.published != record.days:
        raise SystemExit(f"published {settled.published} instead of {record.days}: {settled.failed}")
    return record


def _cancel(landing: Path) -> None:
    now = datetime.now(UTC)
    record = new_record(REQUEST, "flights", mode="manual", origin=str(time.time_ns()), now=now)
    Queue(landing).add(record)
    cancel_request(Queue(landing), record.id, now=now)


if __name__ == "__main__":
    main()
