"""The world of the state machine: a home with sources, tables and requests, and the steps of the product on it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any

import pyarrow.parquet

from reloads.errors import ReloadsError
from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.batch_notes import read_begun_batches
from reloads.requests.control import cancel_request, retry_request
from reloads.requests.intake import collect_requests
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from reloads.requests.request import check_request, parse_request
from reloads.runs.local_run import run_locally
from reloads.runs.plan_step import plan_batches
from reloads.runs.retention import remove_unfinished
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import settle_batches
from reloads.runs.small_run import BegunRun, begin_run
from reloads.runs.undo import undo_request
from reloads.settings import Settings
from reloads.stores.address import store_url
from reloads.tables.catalog import Catalog
from reloads.warehouse.commit import Point
from reloads.warehouse.current_view import PREPARED
from reloads.warehouse.layout import cursors_folder, log_folder, state_folder, versions_folder
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.state import State as WarehouseState
from reloads.warehouse.stored_faults import remove_orphans
from reloads.warehouse.upgrade import open_catalog
from reloads.warehouse.verification import verify_table
from tests.support.warehouses import list_objects, read
from tests.unit.whole.definitions import DAYS, DEFINITIONS, ORDER, PARTITION_DAYS, SOURCES
from tests.unit.whole.recompute import Content, Raw, make_content

STATES: tuple[State, ...] = ("accepted", "done", "failed", "cancelled")
TYPES = {"int32": "INTEGER", "int64": "BIGINT", "string": "VARCHAR"}
Cell = tuple[str, date, str]
"""A partition: its table, its day, and the value of its key ('' in a table without keys)."""


@dataclass
class Run:
    """A run of one table: its batches, the outcomes there are, and how many tasks have begun."""

    table: str
    name: str
    batches: list[dict[str, Any]]
    requests: frozenset[str]
    """The requests that were under way when it was planned."""
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    begun: int = 0

    @property
    def has_lost_tasks(self) -> bool:
        """Whether a task of it leaves no outcome."""
        return len(self.outcomes) < len(self.batches)


class World:
    """A home, and the steps that change it."""

    def __init__(self, home: Path, *, warehouse: str = "") -> None:
        environment = {
            "RELOADS_HOME": str(home),
            "RELOADS_SOURCE": str(home / "source"),
            "RELOADS_WAREHOUSE": warehouse,
        }
        settings = Settings.from_environment(environment)
        self.settings = settings.model_copy(update={"threads": 2, "tasks_at_once": 2, "memory_mb": 1000})
        self.home, self.queue = home, Queue(settings.landing)
        self.now, self._numbers = datetime.now(UTC), count(1)
        self.runs: dict[str, Run] = {}
        self.ended_runs: list[Run] = []
        self.variants = dict.fromkeys(ORDER, 0)
        self.broken: set[str] = set()
        self.is_bookkeeping_lost = False
        self.sources: dict[date, Raw] = {}
        self._seen: dict[str, tuple[object, object]] = {}
        for folder in (settings.landing, settings.source, settings.tables):
            folder.mkdir(parents=True)
        (settings.tables / "sources.sql").write_text(SOURCES)
        for name in ORDER:
            self.define(name)
        assert Catalog.load(settings.tables).lineage.load_order() == ORDER
        for day in DAYS:
            self.deliver(day, (("a", 1),))

    def later(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    # what people do to files

    def define(self, table: str, variant: int = 0) -> None:
        """Write the table's folder; a broken one stays broken until it is mended."""
        self.variants[table] = variant
        definition, folder = DEFINITIONS[table], self.settings.tables / table
        folder.mkdir(exist_ok=True)
        query = "selec oops" if table in self.broken else definition.queries[variant]
        (folder / "query.sql").write_text(query)
        (folder / "table.toml").write_text(definition.settings())
        if definition.checks:
            (folder / "checks.sql").write_text(definition.checks)

    def break_table(self, table: str) -> None:
        self.broken.add(table)
        self.define(table, self.variants[table])

    def mend_tables(self) -> None:
        for table in sorted(self.broken):
            self.broken.discard(table)
            self.define(table, self.variants[table])

    def deliver(self, day: date, raw: Raw) -> None:
        self.sources[day] = raw
        lines = [f"{day},{key},{value}" for key, value in raw]
        (self.settings.source / f"{day}.csv").write_text("\n".join(["day,k,v", *lines]) + "\n")

    def drop(self, request: dict[str, object]) -> str:
        """Put a request into the drop folder; returns the name of the file."""
        name = f"drop-{next(self._numbers)}.json"
        (self.settings.landing / name).write_text(json.dumps([request]))
        return name

    def lose_state(self, table: str) -> None:
        rmtree(state_folder(self.settings.warehouse, table), ignore_errors=True)

    def lose_mirror(self) -> None:
        rmtree(self.settings.warehouse, ignore_errors=True)

    def lose_bookkeeping(self) -> None:
        self.is_bookkeeping_lost = True
        for table in ORDER:
            for place in (state_folder, log_folder, versions_folder, cursors_folder):
                rmtree(place(self.settings.warehouse, table), ignore_errors=True)

    # the steps of the product

    def collect_requests(self) -> None:
        catalog = Catalog.load(self.settings.tables)
        rejected = collect_requests(
            self.settings, catalog, clock=self.later, leave_out=leave_out_waiting
        ).files.rejected
        assert not rejected, rejected

    def plan(self, table: str) -> None:
        """Plan a run; the one before it is given up. The run of a broken table fails here."""
        old = self.runs.pop(table, None)
        if old:
            self.ended_runs.append(old)
        catalog = Catalog.load(self.settings.tables)
        try:
            batches = [batch.to_json() for batch in plan_batches(self.settings, catalog, table, now=self.later())]
        except ReloadsError:
            assert self.broken, f"{table} cannot be planned"
            return
        # The plan itself asks for what a change of columns needs.
        requests = frozenset(record.id for record in self.queue.records("accepted") if record.table == table)
        name = f"run/{next(self._numbers)}"
        self.runs[table] = Run(table, name, json.loads(json.dumps(batches)), requests)

    def new_run(self, table: str) -> Run:
        """A run that knows nothing of its batches yet; the one before it is given up."""
        old = self.runs.pop(table, None)
        if old:
            self.ended_runs.append(old)
        return Run(table, f"run/{next(self._numbers)}", [], frozenset())

    def begin(self, run: Run) -> BegunRun | None:
        """Do the first task of a run; None for that of a broken table, which fails."""
        catalog = open_catalog(self.settings)
        try:
            return begin_run(self.settings, catalog, run.table, run=run.name, clock=self.later)
        except ReloadsError:
            assert self.broken, f"{run.table} cannot be planned"
            return None

    def begun_batches(self, run: Run) -> list[dict[str, Any]]:
        """What a task that was killed had begun."""
        return [batch.to_json() for batch in read_begun_batches(self.settings.landing, run.table, run=run.name)]

    def rewrite(self, run: Run, number: int) -> dict[str, Any]:
        """Rewrite one batch of a run; returns its outcome."""
        outcome = run_batch(self.settings, run.table, run.batches[number], run=run.name, now=self.later())
        answer: dict[str, Any] = json.loads(json.dumps(outcome.to_json()))
        return answer

    def settle(self, run: Run) -> None:
        """End a run; that of a broken table fails here, and its requests stay under way."""
        try:
            settle_batches(
                self.settings,
                open_catalog(self.settings),
                run.table,
                run.batches,
                run.outcomes,
                run=run.name,
                now=self.later(),
            )
        except ReloadsError:
            assert self.broken, f"{run.table} cannot be settled"

    def run_locally(self, request: dict[str, object]) -> None:
        """What ``reloads run`` does; it refuses a table that is broken."""
        with suppress(ReloadsError):
            parsed = parse_request(request)
            check_request(parsed, catalog=Catalog.load(self.settings.tables), today=self.settings.day_of(self.later()))
            run_locally(self.settings, parsed, clock=self.later)

    def undo(self, text: str, *, force: bool) -> list[Record]:
        return undo_request(self.settings, text, force=force, now=self.later())

    def cancel(self, record_id: str) -> None:
        with suppress(ReloadsError):
            cancel_request(self.queue, record_id, now=self.later())

    def retry(self, record_id: str) -> None:
        with suppress(ReloadsError):
            retry_request(self.queue, record_id)

    def clean_up(self) -> None:
        """What the maintenance does a day later; a version that a crash left before its commit is removed on demand."""
        remove_unfinished(self.settings, now=self.later() + timedelta(days=2))
        for folder in self._table_folders():
            remove_orphans(folder, now=self.now + timedelta(days=2))
            verify_table(folder, is_repairing=True)

    # what there is to see

    def faults(self) -> list[str]:
        """What does not agree of log, state, versions and current view."""
        found = [fault.sentence for folder in self._table_folders() for fault in verify_table(folder)]
        if self.is_bookkeeping_lost:
            # Files that nobody read since lie there as they did.
            found = [sentence for sentence in found if "was not published from here" not in sentence]
        return found

    def _table_folders(self) -> list[TableFolder]:
        catalog = Catalog.load(self.settings.tables)
        return [folder_of(self.settings.warehouse, catalog[name]) for name in ORDER]

    def is_behind(self, table: str) -> bool:
        """Whether what readers see of the table lacks a commit, because the process died that made it."""
        keys = ("k",) if DEFINITIONS[table].has_keys else ()
        state = WarehouseState(self.settings.warehouse, table, "day", keys)
        if mirror := mirror_of(self.settings.warehouse):
            note = mirror.store.read(f".view/{table}.json")
            shown = note.data.decode() if note else str(Point())
            return shown != str(state.read_head().point)
        return bool(state.behind())

    def records(self) -> dict[str, Record]:
        """All records by id; a request has one state."""
        records: dict[str, Record] = {}
        for state in STATES:
            for record in self.queue.records(state):
                assert record.id not in records, f"{record.id} has two states"
                records[record.id] = record
        return records

    def repeatable(self) -> list[Record]:
        """The records that can be asked for again."""
        return [*self.queue.records("failed"), *self.queue.records("cancelled")]

    def waiting_runs(self) -> list[Run]:
        """The runs that have a task which has not begun."""
        return [run for run in self.runs.values() if run.begun < len(run.batches)]

    def busy_tables(self) -> list[str]:
        """The tables that have something to do."""
        return sorted({record.table for record in self.queue.records("accepted")} | self.runs.keys())

    def files(self) -> dict[Cell, Path]:
        """The published partitions; any other file below a table's folder is an error."""
        files: dict[Cell, Path] = {}
        for table in ORDER:
            root = self.settings.warehouse / table
            if store_url(self.settings.warehouse):
                root = self._look_into_store(table)
            for path in _files_below(root):
                if path.name == PREPARED:
                    continue  # readers pass over hidden files
                parts = path.relative_to(root).parts
                files[table, *_parse_partition(parts, has_key=DEFINITIONS[table].has_keys)] = path
        return files

    def _look_into_store(self, table: str) -> Path:
        """A folder with what readers of the store find of the table; what did not change stays as it was."""
        folder = TableFolder(self.settings.warehouse, table, "day")
        root = self.home / "seen" / table
        found = {str(each["path"]): each for each in list_objects(folder, table)}
        for path in _files_below(root):
            if f"{table}/{path.relative_to(root)}" not in found:
                path.unlink()
        for key, each in found.items():
            path = self.home / "seen" / key
            if self._seen.get(key) != (each["e_tag"], each["last_modified"]) or not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.write_bytes(read(folder, key))
                self._seen[key] = (each["e_tag"], each["last_modified"])
        return root


def _files_below(folder: Path) -> list[Path]:
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]


def _parse_partition(parts: Sequence[str], *, has_key: bool) -> tuple[date, str]:
    *folders, name = parts
    assert name == "data.parquet", parts
    assert len(folders) == 1 + has_key, parts
    day = date.fromisoformat(folders[0].removeprefix("day="))
    assert day in PARTITION_DAYS, f"nobody asked for {parts}"
    return day, folders[1].removeprefix("k=") if has_key else ""


def read_content(file: Path) -> Content:
    """What a reader finds in a partition's file."""
    with pyarrow.parquet.ParquetFile(file) as opened:
        table = opened.read()
        columns = [f"{column.name} {TYPES[str(column.type)]}" for column in table.schema]
        return make_content(columns, (row.values() for row in table.to_pylist()))


Act = Callable[[], object]
