"""A year of raw files that arrive in a random order, with faults, while nobody asks for anything.

    python -m benchmarks.arrivals [--minutes 5]

365 files come one by one. Some are written in two halves, some are corrected once or twice, replaced by an equal one,
or taken away and brought back, and every minute the triggerer or the scheduler is killed. Runs an Airflow of its own
below `.local/bench/arrivals`. It ends with an error unless each day, and a table that reads it, holds what its file
says last, and no day was rewritten in more runs than its file changed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import psutil

from benchmarks.readings import BENCH, CLONE
from stack.native.folders import Folders
from stack.native.shutdown import stop
from stack.native.stack import NativeStack
from stack.native.startup import start

FOLDER = BENCH / "arrivals"
DAYS = 365
PATIENCE_SECONDS = 900
KILLED = ("triggerer", "scheduler")
SOURCES = """\
create view raw_readings as
select * from read_csv(
    getvariable('reading_files'),
    header = true, auto_detect = false, columns = {'day': 'date', 'reading': 'integer'}
);
"""
TEMPLATE = '[reading_files]\nfiles = "readings/{day}.csv"\n'
TABLES = {
    "readings": ("select day, reading from raw_readings", "on_arrival = true\narrival_days = 400\n"),
    "totals": ("select day, sum(reading)::bigint as total from readings group by day", ""),
}


@dataclass
class Sender:
    """Whoever delivers the files, and what was delivered."""

    folder: Path
    readings: dict[date, int] = field(default_factory=dict)
    """What the file of each day says last."""
    changes: Counter[date] = field(default_factory=Counter)
    """How often the file of each day was another one than before."""

    def deliver(self, day: date, reading: int) -> None:
        """Bring the day's file, in one rename."""
        file = self._file(day)
        beside = file.with_name(f".{file.name}")
        beside.write_text(_text(day, reading))
        beside.replace(file)
        self._note(day, reading)

    def begin(self, day: date, reading: int) -> None:
        """Write the first half of the day's file in place."""
        text = _text(day, reading)
        self._file(day).write_text(text[: len(text) - 2])
        self._note(day, reading)

    def finish(self, day: date) -> None:
        """Write the rest of it."""
        text = _text(day, self.readings[day])
        with self._file(day).open("a") as file:
            file.write(text[len(text) - 2 :])
        self._note(day, self.readings[day])

    def take_away(self, day: date) -> None:
        """Move the day's file out of sight."""
        self._file(day).rename(self.folder / f".away-{day}")

    def bring_back(self, day: date) -> None:
        """Move it back; the file system gives it another time of change."""
        (self.folder / f".away-{day}").rename(self._file(day))
        self._note(day, self.readings[day])

    def _file(self, day: date) -> Path:
        return self.folder / f"{day}.csv"

    def _note(self, day: date, reading: int) -> None:
        self.readings[day] = reading
        self.changes[day] += 1


def _text(day: date, reading: int) -> str:
    return f"day,reading\n{day},{reading}\n"


def main() -> None:
    """Run it, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    seconds = 60 * parser.parse_args().minutes
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "tables").mkdir(parents=True)
    (FOLDER / "tables" / "sources.sql").write_text(SOURCES)
    (FOLDER / "tables" / "sources.toml").write_text(TEMPLATE)
    for name, (query, settings) in TABLES.items():
        (FOLDER / "tables" / name).mkdir()
        (FOLDER / "tables" / name / "query.sql").write_text(query)
        (FOLDER / "tables" / name / "table.toml").write_text(f'day_column = "day"\nfirst_day = 2020-01-01\n{settings}')
    (FOLDER / "source" / "readings").mkdir(parents=True)
    folders = Folders(home=FOLDER, clone=CLONE)
    os.environ |= {"RELOADS_DAILY_SCHEDULE": "0 0 29 2 *", "RELOADS_TABLES": "tables", "RELOADS_SOURCE": "source"}
    stack = start(folders, say=print)
    try:
        sender = Sender(FOLDER / "source" / "readings")
        _deliver_year(sender, stack, seconds)
        _await_year(sender)
    finally:
        stop(folders)
    _check(sender)


def _deliver_year(sender: Sender, stack: NativeStack, seconds: float) -> None:
    """Do all that happens to the files, each act at its time."""
    acts = _plan_acts(sender, seconds)
    for minute in range(1, int(seconds // 60)):
        program = KILLED[minute % len(KILLED)]
        acts.append((60.0 * minute, lambda program=program: _kill(stack, program)))  # type: ignore[misc]
    begun = time.monotonic()
    for due, act in sorted(acts, key=lambda item: item[0]):
        time.sleep(max(0, begun + due - time.monotonic()))
        act()
    print(f"{len(acts)} acts on {DAYS} files in {time.monotonic() - begun:.0f} s", flush=True)


def _plan_acts(sender: Sender, seconds: float) -> list[tuple[float, Callable[[], None]]]:
    """What happens to the file of each day, and when; the same at every run."""
    chance = random.Random(12)  # noqa: S311 - no secret
    today = datetime.now(UTC).date()
    acts: list[tuple[float, Callable[[], None]]] = []
    for number in range(1, DAYS + 1):
        day, first, last = today - timedelta(days=number), chance.randrange(1000), chance.randrange(1000)
        times = sorted(chance.uniform(0, seconds) for _ in range(3))
        fault = chance.choice(["none"] * 6 + ["halves", "corrected", "equal", "away"])
        kinds: list[Callable[[], None]] = [lambda d=day, r=first: sender.deliver(d, r)]  # type: ignore[misc]
        if fault == "halves":
            kinds = [lambda d=day, r=first: sender.begin(d, r), lambda d=day: sender.finish(d)]  # type: ignore[misc]
            times[1] = times[0] + 1
        elif fault == "corrected":
            kinds += [lambda d=day, r=last: sender.deliver(d, r), lambda d=day, r=first: sender.deliver(d, r)]  # type: ignore[misc]
        elif fault == "equal":
            kinds.append(lambda d=day, r=first: sender.deliver(d, r))  # type: ignore[misc]
        elif fault == "away":
            kinds += [lambda d=day: sender.take_away(d), lambda d=day: sender.bring_back(d)]  # type: ignore[misc]
        acts += zip(times, kinds, strict=False)
    return acts


def _kill(stack: NativeStack, name: str) -> None:
    """Kill a program as the kernel does when memory is short; it is started again."""
    program = next(program for program in stack.supervisor.programs() if program.name == name)
    if program.is_running:
        psutil.Process(program.pid).kill()
        print(f"killed the {name}", flush=True)


def _await_year(sender: Sender) -> None:
    begun = time.monotonic()
    while _read("readings", "reading") != sender.readings or _read("totals", "total") != sender.readings:
        if time.monotonic() - begun > PATIENCE_SECONDS:
            raise SystemExit(f"the year is not complete after {PATIENCE_SECONDS} s; read {FOLDER / '.local' / 'logs'}")
        time.sleep(1)
    print(f"both tables are complete {time.monotonic() - begun:.0f} s after the last file", flush=True)


def _read(table: str, column: str) -> dict[date, int]:
    """What readers find."""
    files = [str(file) for file in (FOLDER / "warehouse" / table).glob("*/data.parquet")]
    if not files:
        return {}
    with duckdb.connect() as db:
        query = f"select day::date, {column} from read_parquet($1, hive_partitioning = true)"
        return dict(db.execute(query, [files]).fetchall())


def _check(sender: Sender) -> None:
    """No day was rewritten in more runs than its file changed."""
    runs: dict[date, set[str]] = {}
    commits = 0
    for path in (FOLDER / "warehouse" / ".log" / "readings").glob("*.json"):
        commit = json.loads(path.read_text())
        for name in commit["after"]:
            runs.setdefault(date.fromisoformat(name.partition("=")[2]), set()).add(commit["run"])
            commits += 1
    # A task that was killed is tried again in its run, and rewrites its batch again.
    rewritten = Counter({day: len(names) for day, names in runs.items()})
    landing = FOLDER / "landing"
    requests = [path for state in ("done", "failed") for path in (landing / state).glob("arrival-readings-*.json")]
    print(
        f"{sum(sender.changes.values())} changes of files; {sum(rewritten.values())} rewrites of days in "
        f"{len(requests)} requests, and {commits - sum(rewritten.values())} by tasks that were tried again; "
        f"{len(list((landing / 'failed').glob('*.json')))} requests failed",
        flush=True,
    )
    too_often = [str(day) for day, count in rewritten.items() if count > sender.changes[day]]
    if too_often:
        raise SystemExit(f"rewritten more often than their files changed: {too_often}")


if __name__ == "__main__":
    main()
