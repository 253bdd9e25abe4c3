"""The pipeline as its users meet it: files on the host, and Airflow's REST API with a login."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import duckdb
import pytest

from reloads.days import Days
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from tests.e2e.pipeline import FileState
from tests.e2e.rest import Rest
from tests.integration.stack import Stack

T = TypeVar("T")
DEADLINE_SECONDS = 600


class Pipeline:
    """What a running stack is asked for, and what comes of it."""

    def __init__(self, stack: Stack) -> None:
        self.landing, self.warehouse, self.tables = (stack.home / name for name in ("landing", "warehouse", "tables"))
        self.rest = Rest(stack.url, user="admin", password=stack.secrets["ADMIN_PASSWORD"])

    # Asking.

    def drop(self, name: str, **fields: object) -> None:
        """Put a request file into the drop folder: written beside, renamed in."""
        self.drop_text(name, json.dumps(fields))

    def drop_text(self, name: str, text: str) -> None:
        beside = self.landing / f".{name}.tmp"
        beside.write_text(text)
        beside.rename(self.landing / name)

    # What came of it.

    def records(self, state: State, *files: str) -> list[Record]:
        """The records in that state; with names of dropped files, only those made from them."""
        return [r for r in Queue(self.landing).records(state) if not files or r.file in files]

    def of_table(self, state: State, table: str) -> list[Record]:
        return [record for record in self.records(state) if record.table == table]

    def are_done(self, *files: str) -> bool:
        return len({record.file for record in self.records("done", *files)} & {*files}) == len(files)

    def wait_for_done(self, *files: str) -> list[Record]:
        """The records of the dropped files, once all are done."""
        self.wait_for(f"done records of {', '.join(files)}", lambda: self.are_done(*files))
        found = self.records("done", *files)
        assert len(found) == len(files)
        return found

    def rejection(self, stem: str) -> str:
        """The sentence beside a rejected file, once it is there."""
        note = self.landing / "rejected" / f"{stem}.error.txt"
        self.wait_for(f"the sentence {note.name}", note.exists)
        return note.read_text().strip()

    def wait_for_run(self, dag_id: str, run_id: str) -> str:
        """The state in which the run ended."""

        def state() -> str:
            now = str(self.rest.run(dag_id, run_id)["state"])
            return now if now in ("success", "failed") else ""

        return self.wait_for(f"the end of the run {run_id} of {dag_id}", state)

    def wait_for_quiet(self, table: str) -> None:
        """Wait until no run of the table's DAG is queued or running."""

        def is_quiet() -> bool:
            return all(run["state"] in ("success", "failed") for run in self.rest.runs(f"rewrite_{table}"))

        self.wait_for(f"the end of the runs of rewrite_{table}", is_quiet)

    def tries_again(self, dag_id: str, task_id: str) -> bool:
        """Whether the task failed in the newest run and waits for its next try."""
        runs = self.rest.runs(dag_id)[-1:]
        tasks = [task for run in runs for task in self.rest.tasks(dag_id, run["dag_run_id"])]
        return any((task["task_id"], task["state"]) == (task_id, "up_for_retry") for task in tasks)

    def times_published(self, table: str) -> Counter[str]:
        """How often each day was published, as told to those who read the table."""
        self.wait_for_quiet(table)  # an event becomes visible with the end of the task that emits it
        extras = self.rest.events(f"warehouse/{table}")
        return Counter(str(day) for extra in extras for day in Days.parse(extra["ranges"]))

    def partitions(self) -> dict[Path, FileState]:
        """Each published file of every table; fails where a partition is anything but one file."""
        found = {}
        for folder in sorted(self.warehouse.glob("[a-z]*/*=*")):
            file = folder / "data.parquet"
            assert list(folder.iterdir()) == [file]
            status = file.stat()
            digest = sha256(file.read_bytes()).hexdigest()
            found[file.relative_to(self.warehouse)] = FileState(status.st_ino, status.st_mtime_ns, digest)
        return found

    def rows(self, table: str, column: str = "day") -> dict[str, int]:
        """The number of rows of each day that has any, as DuckDB reads them."""
        with duckdb.connect() as db:
            files = str(self.warehouse / table / "*" / "*.parquet")
            query = f"select {column}::varchar, count(*) from read_parquet($1, hive_partitioning = true) group by all"
            return dict(sorted(db.execute(query, [files]).fetchall()))

    def staged(self, table: str) -> list[str]:
        """What lies in the staging folder for the table."""
        return sorted(path.name for path in (self.warehouse / ".staging").glob(f"{table}-*"))

    # Waiting.

    def wait_for(self, what: str, look: Callable[[], T], *, seconds: float = DEADLINE_SECONDS) -> T:
        """The first answer of ``look`` that is true; without one in time the test fails and says how things are."""
        end = time.monotonic() + seconds
        while not (answer := look()):
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds} s for {what}\n\n{self.how_things_are()}", pytrace=False)
            time.sleep(0.1)
        return answer

    def wait_for_all(self, looks: Mapping[str, Callable[[], object]], *, since: float) -> dict[str, float]:
        """When each became true for the first time, in seconds after ``since`` of the monotonic clock."""
        found: dict[str, float] = {}

        def look() -> bool:
            for name, is_so in looks.items():
                if name not in found and is_so():
                    found[name] = time.monotonic() - since
            return found.keys() == looks.keys()

        self.wait_for(", ".join(looks), look)
        return found

    def how_things_are(self) -> str:
        folders = (self.landing, self.warehouse / ".staging")
        done = self.landing / "done"
        paths = (path for folder in folders for path in folder.rglob("*") if path.parent != done)
        open_records = [self.records(state) for state in ("accepted", "failed")]
        listing = [str(path.relative_to(self.landing.parent)) for path in sorted(paths)]
        return "\n".join([*listing, *(record.to_json() for records in open_records for record in records)])
