"""The pipeline as its users meet it: folders, Airflow's REST API, and processes that end when nobody expects it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeVar

import duckdb
import psutil
import pytest

from local.files import last_lines
from local.stack import Stack
from local.supervisor_client import Program
from reloads.days import Days
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from tests.e2e.gate import Gate
from tests.e2e.rest import Rest

T = TypeVar("T")
DEADLINE_SECONDS = 120
LOGS = ("scheduler", "triggerer", "dag-processor")


class FileState(NamedTuple):
    """What changes when a file is written again."""

    inode: int
    modified_ns: int
    digest: str


class Pipeline:
    """A running stack."""

    def __init__(self, stack: Stack) -> None:
        self.home = stack.folders.home
        self.landing, self.warehouse, self.tables = (self.home / name for name in ("landing", "warehouse", "tables"))
        self.rest = Rest(stack.url, user=stack.user, password=stack.passwords.admin)
        self._stack = stack

    # Asking.

    def drop(self, name: str, request: object = None, **fields: object) -> None:
        """Put a request file into the drop folder: written beside, renamed in."""
        self.drop_text(name, json.dumps(fields if request is None else request))

    def drop_text(self, name: str, text: str) -> None:
        beside = self.landing / ".beside"
        beside.write_text(text)
        beside.rename(self.landing / name)

    # What came of it.

    def records(self, state: State, *files: str) -> list[Record]:
        """The records in that state; with names of dropped files, only those made from them."""
        return [r for r in Queue(self.landing).records(state) if not files or r.file in files]

    def wait_for_done(self, *files: str, records: int | None = None) -> list[Record]:
        """The records of the dropped files (as many as files, unless said otherwise) once all are done."""
        return self.wait_for_records("done", *files, records=records)

    def wait_for_records(self, state: State, *files: str, records: int | None = None) -> list[Record]:
        """The records of the dropped files once all are in that state."""
        wanted = records or len(files)

        def found() -> list[Record]:
            records = self.records(state, *files)
            return records if len(records) >= wanted else []

        answer = self.wait_for(f"{wanted} records in {state}/ made from {', '.join(files)}", found)
        assert len(answer) == wanted
        return answer

    def wait_for_announced(self, table: str, *files: str) -> None:
        """Wait until each dropped file is an accepted request and Airflow has the event that announces it."""
        wanted = {record.id for record in self.wait_for_records("accepted", *files)}

        def is_announced() -> bool:
            return wanted <= {extra.get("request") for extra in self.rest.events(f"requested/{table}")}

        self.wait_for(f"the events of {', '.join(files)}", is_announced)

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

    def rejection(self, stem: str) -> str:
        """The sentence beside a rejected file, once it is there."""
        note = self.landing / "rejected" / f"{stem}.error.txt"
        self.wait_for(f"the sentence {note.name}", note.exists)
        return note.read_text().strip()

    def times_published(self, table: str) -> Counter[str]:
        """How often each day was published, as told to those who read the table."""
        self.wait_for_quiet(table)  # an event becomes visible with the end of the task that emits it
        extras = self.rest.events(f"warehouse/{table}")
        return Counter(str(day) for extra in extras for day in Days.parse(extra["ranges"]))

    def partitions(self, table: str) -> dict[str, FileState]:
        """Each published file by its day; fails where a partition is anything but one file."""
        found = {}
        for folder in sorted((self.warehouse / table).iterdir()):
            file = folder / "data.parquet"
            assert list(folder.iterdir()) == [file]
            status = file.stat()
            digest = sha256(file.read_bytes()).hexdigest()
            found[folder.name.partition("=")[2]] = FileState(status.st_ino, status.st_mtime_ns, digest)
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

    # Standing in the way.

    @contextmanager
    def closed_gate(self, table: str) -> Iterator[Gate]:
        """Hold whoever rewrites the table until the block ends or the gate is opened."""
        gate = Gate(self.home / "source" / "gates" / f"{table}.csv")
        gate.close()
        try:
            yield gate
        finally:
            gate.open()

    def wait_for_held(self, gate: Gate) -> None:
        self.wait_for("somebody in the middle of a rewrite", gate.has_reader)

    def kill(self, program: str, *, children: bool = False) -> None:
        """Kill one of Airflow's processes, as the kernel does when memory is short; supervisor starts it again."""
        assert self._program(program).is_running
        process = psutil.Process(self._program(program).pid)
        for one in [process, *(process.children(recursive=True) if children else [])]:
            with suppress(psutil.NoSuchProcess):
                one.kill()

    def stop_program(self, program: str) -> None:
        self._stack.supervisor.stop(program)
        self.wait_for(f"the end of the {program}", lambda: self._program(program).is_stopped)

    def start_program(self, program: str) -> None:
        self._stack.supervisor.start(program)

    def kill_rewriter(self, table: str) -> None:
        """Kill the task's process that is rewriting the table: it holds the lock of a staging folder."""
        [lock] = (self.warehouse / ".staging").glob(f"{table}-*.lock")
        [holder] = _holders(lock)
        psutil.Process(holder).kill()

    def _program(self, name: str) -> Program:
        return next(program for program in self._stack.supervisor.programs() if program.name == name)

    # Waiting.

    def wait_for(self, what: str, look: Callable[[], T], *, seconds: float = DEADLINE_SECONDS) -> T:
        """The first answer of ``look`` that is true; without one in time the test fails and says how things are."""
        end = time.monotonic() + seconds
        while not (answer := look()):
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds} s for {what}\n\n{self._how_things_are()}", pytrace=False)
            time.sleep(0.1)
        return answer

    def _how_things_are(self) -> str:
        folders = (self.landing, self.warehouse / ".staging")
        listing = sorted(str(path.relative_to(self.home)) for folder in folders for path in folder.rglob("*"))
        errors = self.landing.glob("rejected/*.error.txt")
        parts = {"folders": "\n".join(listing), "rejected": "".join(path.read_text() for path in errors)}
        parts["unfinished tasks"] = "\n".join(self._unfinished_tasks())
        parts |= {name: last_lines(self._stack.log(name), 15) for name in LOGS}
        return "\n\n".join(f"--- {name}\n{text}" for name, text in parts.items())

    def _unfinished_tasks(self) -> Iterator[str]:
        for run in self.rest.get("/dags/~/dagRuns", state="running", limit=100)["dag_runs"]:
            for task in self.rest.tasks(run["dag_id"], run["dag_run_id"]):
                if task["state"] not in ("success", "skipped"):
                    now = f"{task['task_id']} {task['state']}, try {task['try_number']}"
                    yield f"{run['dag_run_id']} of {run['dag_id']}: {now}"


def _holders(lock: Path) -> set[int]:
    """Who holds the lock, from the kernel's list: what files a task has open is shown to root alone."""
    held = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return {int(f[4]) for f in held if f[1] == "FLOCK" and f[5].rpartition(":")[2] == str(lock.stat().st_ino)}
