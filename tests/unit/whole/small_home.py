"""A small home for one promise at a time: tables, a source, and the steps of the product, killed or paused at will."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb

from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.control import retry_request
from reloads.requests.intake import Intake, collect_requests
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from reloads.requests.request import check_request, parse_request
from reloads.runs.local_run import run_locally
from reloads.runs.plan_step import plan_batches
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import settle_batches
from reloads.runs.undo import undo_request
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog
from tests.support.process_kill import STEPS, Killed, killed_after
from tests.support.scratch import copy_home

STATES: tuple[State, ...] = ("accepted", "done", "failed", "cancelled")
RAW = """create view raw as from read_csv(getvariable('source') || '/raw.csv', header = true,
         columns = {'day': 'date', 'k': 'varchar', 'v': 'int'}, auto_detect = false)"""
DAY = "2024-01-01"
WAIT_SECONDS = 0.5
"""After which a process that waits for a lock of the paused one is left to wait."""

Json = dict[str, Any]


class SmallHome:
    """Sources, tables and requests below one folder."""

    def __init__(self, home: Path, sources: str = RAW) -> None:
        settings = self._move_to(home)
        self._now, self._numbers = datetime.now(UTC), count(1)
        self.planned: list[Json] = []
        """The batches of the last plan."""
        self.outcomes: list[Json] = []
        self.request = ""
        """The id of the last request that was accepted."""
        for folder in (settings.landing, settings.source, settings.tables):
            folder.mkdir(parents=True)
        (settings.tables / "sources.sql").write_text(sources)

    def _move_to(self, home: Path) -> Settings:
        settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_SOURCE": str(home / "source")})
        self.settings = settings.model_copy(
            update={"threads": 1, "tasks_at_once": 1, "memory_mb": 500, "stable_seconds": 0.001}
        )
        self.home, self.queue = home, Queue(settings.landing)
        return self.settings

    def copied(self, home: Path) -> SmallHome:
        """The same home elsewhere."""
        copy_home(self.home, home)
        other = copy(self)
        other._numbers = copy(self._numbers)
        other._move_to(home)
        return other

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    # what people do to files

    def define(self, name: str, query: str, toml: str = "", checks: str = "") -> None:
        folder = self.settings.tables / name
        folder.mkdir(exist_ok=True)
        (folder / "query.sql").write_text(query)
        (folder / "table.toml").write_text(f'day_column = "day"\nfirst_day = 2024-01-01\n{toml}\n')
        if checks:
            (folder / "checks.sql").write_text(checks)

    def deliver(self, *lines: str, header: str = "day,k,v", file: str = "raw.csv") -> None:
        (self.settings.source / file).write_text("\n".join([header, *lines]) + "\n")

    def drop(self, *requests: Json, name: str | None = None) -> None:
        file = name or f"ask-{next(self._numbers)}.json"
        (self.settings.landing / file).write_text(json.dumps(list(requests)))

    # the steps of the product

    def collect(self) -> Intake:
        return collect_requests(
            self.settings, Catalog.load(self.settings.tables), clock=self.now, leave_out=leave_out_waiting
        )

    def ask(self, table: str, first: str = DAY, last: str | None = None, **fields: Any) -> str:
        """Drop a request and have it accepted; returns its id."""
        self.drop({"table": table, "start_date": first, "end_date": last or first, **fields})
        before = {record.id for record in self.queue.records("accepted")}
        intake = self.collect()
        assert not intake.files.rejected, intake.files.rejected
        [self.request] = [record.id for record in self.queue.records("accepted") if record.id not in before]
        return self.request

    def plan(self, table: str) -> list[Json]:
        catalog = Catalog.load(self.settings.tables)
        self.planned = [batch.to_json() for batch in plan_batches(self.settings, catalog, table, now=self.now())]
        return self.planned

    def rewrite(self, table: str, batch: Json, run: str = "run/1") -> Json:
        return run_batch(self.settings, table, batch, run=run, now=self.now()).to_json()

    def settle(self, table: str, batches: Sequence[Json], outcomes: Sequence[Json], run: str = "run/1") -> None:
        settle_batches(self.settings, open_catalog(self.settings), table, batches, outcomes, run=run, now=self.now())

    def work(self, table: str) -> None:
        """A whole run of one table."""
        run = f"run/{next(self._numbers)}"
        batches = self.plan(table)
        self.settle(table, batches, [self.rewrite(table, batch, run) for batch in batches], run)

    def drain(self) -> None:
        """Work until nothing is outstanding; at first, each table that can be loaded has a run."""
        tables = Catalog.load(self.settings.tables).lineage.load_order()
        for _ in range(30):
            for table in tables:
                self.work(table)
            self.collect()
            tables = tuple(sorted({record.table for record in self.queue.records("accepted")}))
            if not tables:
                return
        raise AssertionError("it never ends")

    def load(self, table: str, first: str = DAY, last: str | None = None, **fields: Any) -> Record:
        """Ask, and do all that follows; returns the record of the request."""
        request = self.ask(table, first, last, **fields)
        self.drain()
        return self.records()[request]

    def run(self, table: str, first: str = DAY, last: str | None = None, **fields: Any) -> list[Record]:
        """What ``reloads run`` does; the records that it finished."""
        request = parse_request({"table": table, "start_date": first, "end_date": last or first, **fields})
        check_request(request, catalog=Catalog.load(self.settings.tables), today=self.settings.day_of(self.now()))
        return run_locally(self.settings, request, clock=self.now)

    def undo(self, request: str, *, force: bool = False) -> list[Record]:
        return undo_request(self.settings, request, force=force, now=self.now())

    def retry(self, request: str) -> None:
        retry_request(self.queue, request)
        self.collect()

    # what there is to see

    def records(self) -> dict[str, Record]:
        """All records by id; a request has one state."""
        records: dict[str, Record] = {}
        for state in STATES:
            for record in self.queue.records(state):
                assert record.id not in records, f"{record.id} has two states"
                records[record.id] = record
        return records

    def failures(self, table: str | None = None) -> list[str]:
        """The sentences of all that failed."""
        records = [record for record in self.records().values() if table in (None, record.table)]
        return [failure.error for record in records for failure in record.failed]

    def files(self, table: str) -> dict[str, tuple[bytes, int]]:
        """Bytes and time of each published partition."""
        folder = self.settings.warehouse / table
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """What a reader finds in the table."""
        files = [str(self.settings.warehouse / table / name) for name in self.files(table)]
        if not files:
            return []
        source = f"read_parquet({files!r}, hive_partitioning = true, union_by_name = true)"
        with duckdb.connect(":memory:") as db:
            return db.execute(f"select {columns} from {source} order by all").fetchall()

    # what happens to processes

    def is_killed(self, act: Callable[[], object], *, after: int) -> bool:
        """Do it in a process that dies before its next change of a folder after so many; whether it died."""
        try:
            with killed_after(after, self.home):
                act()
        except Killed:
            return True
        return False


def killed_everywhere(
    tmp_path: Path, build: Callable[[Path], SmallHome], act: Callable[[SmallHome], object]
) -> Iterator[SmallHome]:
    """Copies of one home, in each of which the act was killed one change of a folder later.

    In the last one it was not killed any more.
    """
    original = build(tmp_path / "original")
    for steps in count():
        home = original.copied(tmp_path / f"killed-after-{steps}")
        is_killed = home.is_killed(partial(act, home), after=steps)
        yield home
        if not is_killed:
            return


@contextmanager
def paused_after(steps: int, meanwhile: Callable[[], object]) -> Iterator[list[bool]]:
    """Before the change of a folder after so many of this thread, do something else in another thread.

    If that waits for a lock that is held here, it ends after this one went on. Yields a list that tells whether it was
    done at all.
    """
    me, made, begun = threading.get_ident(), count(), list[bool]()
    errors: list[BaseException] = []

    def act() -> None:
        try:
            meanwhile()
        except BaseException as error:  # noqa: BLE001 - the test shall hear of it
            errors.append(error)

    other = threading.Thread(target=act)

    def pausing(step: Callable[..., Any]) -> Callable[..., Any]:
        def pause_and_make_step(*arguments: Any, **options: Any) -> Any:
            if threading.get_ident() == me and next(made) == steps:
                begun.append(True)
                other.start()
                other.join(WAIT_SECONDS)
            return step(*arguments, **options)

        return pause_and_make_step

    with ExitStack() as patches:
        for name in STEPS:
            patches.enter_context(patch.object(os, name, pausing(getattr(os, name))))
        yield begun
    if begun:
        other.join()
    if errors:
        raise errors[0]
