"""The pipeline as its users meet it: folders on this machine, and Airflow's REST API with a login."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import duckdb
import pytest

from reloads.days import Days
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from tests.support.rest import Rest

T = TypeVar("T")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
RUN_ENDED = ("success", "failed")
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.1, 0.5
"""Between two looks at what is waited for."""


class Stack(Protocol):
    """The programs that do the work, wherever they run."""

    @property
    def home(self) -> Path:
        """The folder with landing, warehouse, tables and source, as seen from here."""

    @property
    def url(self) -> str:
        """Where the user interface and the REST API are."""

    @property
    def user(self) -> str:
        """Who logs in."""

    @property
    def password(self) -> str:
        """With what."""

    @property
    def patience_seconds(self) -> float:
        """How long anything asked of it may take on a busy machine, repairs included."""

    def logs(self) -> str:
        """What its programs said last."""


class FileState(NamedTuple):
    """What changes when a file is written again."""

    inode: int
    modified_ns: int
    digest: str


class Pipeline:
    """What a running stack is asked for, and what comes of it."""

    def __init__(self, stack: Stack) -> None:
        self.home = stack.home
        self.landing = stack.home / "landing"
        self.warehouse = stack.home / "warehouse"
        self.tables = stack.home / "tables"
        self.source = stack.home / "source"
        self.user = stack.user
        self.rest = Rest(stack.url, user=stack.user, password=stack.password)
        self._patience_seconds = stack.patience_seconds

    # Asking.

    def drop(self, name: str, request: object = None, **fields: object) -> None:
        """Put a request file into the drop folder: written beside, renamed in."""
        self.drop_text(name, json.dumps(fields if request is None else request))

    def drop_text(self, name: str, text: str) -> None:
        beside = self.landing / f".{name}.tmp"
        beside.write_text(text)
        beside.rename(self.landing / name)

    # What came of it.

    def records(self, state: State, *files: str) -> list[Record]:
        """The records in that state; with names of dropped files, only those made from them."""
        records = Queue(self.landing).records(state)
        return [record for record in records if not files or record.file in files]

    def records_of_table(self, state: State, table: str) -> list[Record]:
        return [record for record in self.records(state) if record.table == table]

    def are_done(self, *files: str) -> bool:
        """Whether each of the dropped files has a record in done/."""
        return set(files) <= {record.file for record in self.records("done")}

    def wait_for_done(self, *files: str, records: int | None = None) -> list[Record]:
        """The records of the dropped files (as many as files, unless said otherwise) once all are done."""
        return self.wait_for_records("done", *files, records=records)

    def wait_for_records(self, state: State, *files: str, records: int | None = None) -> list[Record]:
        """The records of the dropped files (as many as files, unless said otherwise) once all are in that state."""
        count = records or len(files)

        def all_records() -> list[Record]:
            records_now = self.records(state, *files)
            is_complete = len(records_now) >= count and {record.file for record in records_now} == set(files)
            return records_now if is_complete else []

        records_there = self.wait_for(f"{count} records in {state}/ made from {', '.join(files)}", all_records)
        assert len(records_there) == count
        return records_there

    def wait_for_end(self, file: str, *, records: int) -> list[Record]:
        """The records of a dropped file once so many are done, failed or cancelled; a rejected file fails the test."""
        note = self.landing / "rejected" / f"{file.removesuffix('.json')}.error.txt"

        def ended_records() -> list[Record]:
            if note.exists():
                pytest.fail(f"{file} was rejected: {note.read_text().strip()}", pytrace=False)
            ended: list[Record] = []
            for state in ENDED:
                ended += self.records(state, file)
            return ended if len(ended) == records else []

        return self.wait_for(f"the end of {records} requests of {file}", ended_records)

    def wait_for_end_of_work(self, *tables: str) -> None:
        """Wait until nothing is outstanding for these tables, or for any where none is named, and their runs ended."""

        def is_idle() -> bool:
            outstanding = {record.table for record in self.records("accepted")}
            return not (outstanding & set(tables) if tables else outstanding)

        self.wait_for("the end of all requests", is_idle)
        for table in tables:
            self.wait_for_quiet(table)

    def wait_for_announced(self, table: str, *files: str) -> None:
        """Wait until each dropped file is an accepted request and Airflow has events that announce as many."""
        ids = {record.id for record in self.wait_for_records("accepted", *files)}

        def are_announced() -> bool:
            events = self.rest.events(f"requested/{table}")
            named = {extra.get("request") for extra in events}
            # One event announces all that a look found, and names the first of them.
            announced = sum(extra.get("requests", 1) for extra in events)
            return bool(ids & named) and announced >= len(ids)

        self.wait_for(f"the events of {', '.join(files)}", are_announced)

    def wait_for_run(self, dag_id: str, run_id: str) -> str:
        """The state in which the run ended."""

        def state_at_end() -> str:
            state = str(self.rest.run(dag_id, run_id)["state"])
            return state if state in RUN_ENDED else ""

        return self.wait_for(f"the end of the run {run_id} of {dag_id}", state_at_end)

    def wait_for_quiet(self, table: str) -> None:
        """Wait until no run of the table's DAG is queued or running."""

        def is_quiet() -> bool:
            return all(run["state"] in RUN_ENDED for run in self.rest.runs(f"rewrite_{table}"))

        self.wait_for(f"the end of the runs of rewrite_{table}", is_quiet)

    def rejection(self, stem: str) -> str:
        """The sentence beside a rejected file, once both are there."""
        rejected = self.landing / "rejected"
        # The sentence is written first, so that a crash leaves no rejected file without one.
        self.wait_for(f"the rejected file {stem}.json", (rejected / f"{stem}.json").exists)
        return (rejected / f"{stem}.error.txt").read_text().strip()

    def retry(self, failed: Record) -> str:
        """Ask for a failed request again, as a person does: move its file back. The name of the dropped file."""
        file = f"{failed.id}.json"
        (self.landing / "failed" / file).rename(self.landing / file)
        return file

    def is_waiting_for_retry(self, dag_id: str, task_id: str) -> bool:
        """Whether the task failed in the newest run and waits for its next try."""
        for run in self.rest.runs(dag_id)[-1:]:
            for task in self.rest.tasks(dag_id, run["dag_run_id"]):
                if (task["task_id"], task["state"]) == (task_id, "up_for_retry"):
                    return True
        return False

    def times_published(self, table: str) -> Counter[str]:
        """How often each day was published, according to the events of the table."""
        self.wait_for_quiet(table)  # an event becomes visible with the end of the task that emits it
        times: Counter[str] = Counter()
        for extra in self.rest.events(f"warehouse/{table}"):
            times.update(str(day) for day in Days.parse(extra["ranges"]))
        return times

    def partitions(self, table: str) -> dict[str, FileState]:
        """The published file of each day, of a table with one partition a day."""
        days: dict[str, FileState] = {}
        for name, file in self.files(table).items():
            assert name.count("/") == 1, f"{table} has keys"
            days[name.rpartition("=")[2]] = file
        return days

    def files(self, table: str = "[a-z]*") -> dict[str, FileState]:
        """Each published file by its partition, ``departures/flight_date=2013-01-01/origin=EWR``; of one table or all.

        Fails where a partition is anything but one file.
        """
        files: dict[str, FileState] = {}
        for folder in sorted(self.warehouse.glob(f"{table}/*")):
            for file in _files_of_partitions(folder):
                status = file.stat()
                digest = sha256(file.read_bytes()).hexdigest()
                name = str(file.parent.relative_to(self.warehouse))
                files[name] = FileState(status.st_ino, status.st_mtime_ns, digest)
        return files

    def rows(self, table: str, column: str = "day") -> dict[str, int]:
        """The number of rows of each day that has any, as DuckDB reads them."""
        with duckdb.connect() as connection:
            files = str(self.warehouse / table / "*" / "*.parquet")
            query = f"select {column}::varchar, count(*) from read_parquet($1, hive_partitioning = true) group by all"
            return dict(sorted(connection.execute(query, [files]).fetchall()))

    def staged(self, table: str = "*") -> list[str]:
        """What lies in the staging folder for the table, or for any; not the locks that got no name before a crash."""
        paths = (self.warehouse / ".staging").glob(f"{table}-*")
        return sorted(path.name for path in paths if not path.name.startswith("."))

    # Waiting.

    def wait_for(self, what: str, look: Callable[[], T], *, seconds: float | None = None) -> T:
        """The first answer of ``look`` that is true; without one in time the test fails and says how things are."""
        patience_seconds = self._patience_seconds if seconds is None else seconds
        end = time.monotonic() + patience_seconds
        pause_seconds = FIRST_PAUSE_SECONDS
        while not (answer := look()):
            if time.monotonic() > end:
                pytest.fail(f"waited {patience_seconds:.0f} s for {what}\n\n{self._describe()}", pytrace=False)
            time.sleep(pause_seconds)
            # Whoever asks Airflow ten times a second keeps it from its work.
            pause_seconds = min(1.3 * pause_seconds, LAST_PAUSE_SECONDS)
        return answer

    def wait_for_all(self, conditions: Mapping[str, Callable[[], object]], *, since: float) -> dict[str, float]:
        """When each became true for the first time, in seconds after ``since`` of the monotonic clock."""
        seconds: dict[str, float] = {}

        def are_all_true() -> bool:
            for name, is_true in conditions.items():
                if name not in seconds and is_true():
                    seconds[name] = time.monotonic() - since
            return seconds.keys() == conditions.keys()

        self.wait_for(", ".join(conditions), are_all_true)
        return seconds

    def _describe(self) -> str:
        """What lies in the folders, which requests are open or failed, and which tasks have not ended."""
        parts = {
            "folders": "\n".join(self._paths()),
            "rejected": "".join(path.read_text() for path in self.landing.glob("rejected/*.error.txt")),
            "accepted": "".join(record.to_json() for record in self.records("accepted")),
            "failed": "".join(record.to_json() for record in self.records("failed")),
            "unfinished tasks": "\n".join(self._unfinished_tasks()),
        }
        return "\n\n".join(f"--- {title}\n{text}" for title, text in parts.items())

    def _paths(self) -> Iterator[str]:
        for folder in (self.landing, self.warehouse / ".staging"):
            for path in sorted(folder.rglob("*")):
                if path.parent != self.landing / "done":
                    yield str(path.relative_to(self.home))

    def _unfinished_tasks(self) -> Iterator[str]:
        for run in self.rest.get("/dags/~/dagRuns", state="running", limit=100)["dag_runs"]:
            for task in self.rest.tasks(run["dag_id"], run["dag_run_id"]):
                if task["state"] not in ("success", "skipped"):
                    progress = f"{task['task_id']} {task['state']}, try {task['try_number']}"
                    yield f"{run['dag_run_id']} of {run['dag_id']}: {progress}"


def _files_of_partitions(folder: Path) -> Iterator[Path]:
    """The data file of this partition, or those below where the table has keys."""
    children = sorted(folder.iterdir())
    if not any(child.is_dir() for child in children):
        assert children == [folder / "data.parquet"]
        yield children[0]
        return
    for child in children:
        yield from _files_of_partitions(child)
