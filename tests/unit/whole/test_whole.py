"""The whole, without Airflow: whatever happens in whatever order, wherever a process dies, the warehouse comes right.

A state machine delivers and corrects sources, asks, runs the steps of the consumer DAGs of five tables one by one,
loses tasks, cancels, undoes, and kills a step before any of its renames, links and removals. After every step each
published file is whole; once the work is drained, the content of each table is what its query gives over its inputs.
"""

# ruff: noqa: FBT001 - a rule takes what it draws, by name

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
import hypothesis
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reloads.days import Days
from reloads.errors import RequestError
from reloads.requests.control import cancel_request
from reloads.requests.intake import collect_requests
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from reloads.runs.plan_step import plan_batches
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import settle_batches
from reloads.runs.undo import undo_request
from reloads.settings import Settings
from reloads.sql import quote_name
from reloads.tables.catalog import Catalog
from reloads.warehouse.parquet import relation
from reloads.warehouse.partitions import folder_of
from tests.support.process_kill import SCRATCH, Killed, killed_after

FIRST = date(2024, 1, 1)
LAST = date(2024, 1, 7)
DAYS = list(Days.between(FIRST, LAST))
ORDER = ("base", "keyed", "sums", "week", "both")
STATES: tuple[State, ...] = ("accepted", "done", "failed", "cancelled")
SOURCES = """
create or replace view raw as from read_csv(getvariable('source') || '/*.csv', header = true,
    columns = {'day': 'date', 'k': 'varchar', 'v': 'varchar'})
"""
TABLES = {
    "base": ("select day, k, cast(v as integer) as v from raw", "days_per_batch = 2"),
    "keyed": ("select day, k, sum(v)::bigint as total from base group by all", 'keys = ["k"]\nkey_slices = 2'),
    "sums": ("select day, sum(v)::bigint as total, count(*) as n from base group by day", "partitions_per_run = 3"),
    "week": (
        """select day + days::integer as day, sum(v)::bigint as total, count(*) as n
           from base, range(3) as r(days) group by 1""",
        'days_per_batch = 2\n[reads]\nbase = "3 days"',
    ),
    "both": (
        """select coalesce(s.day, w.day, k.day) as day, s.total as one, w.total as three, k.keys
           from sums as s full join week as w on w.day = s.day
           full join (select day, count(*) as keys from keyed group by day) as k on k.day = coalesce(s.day, w.day)""",
        "",
    ),
}
COLUMNS = {
    "base": ["k", "v"],
    "keyed": ["total"],
    "sums": ["total", "n"],
    "week": ["total", "n"],
    "both": ["one", "three", "keys"],
}

Rows = Sequence[tuple[str, int]]


@dataclass
class Run:
    """A run of one table: its batches, the outcomes there are, and how many tasks have begun."""

    name: str
    batches: list[dict[str, Any]]
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    begun: int = 0


class World:
    """A home with sources, tables and requests, and the steps that change it."""

    def __init__(self, home: Path) -> None:
        settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_SOURCE": str(home / "source")})
        self.settings = settings.model_copy(update={"threads": 2, "tasks_at_once": 2, "memory_mb": 1000})
        self.home, self.queue = home, Queue(settings.landing)
        self.now, self.number = datetime.now(UTC), count()
        self.runs: dict[str, Run] = {}
        for folder in (settings.landing, settings.source, settings.tables):
            folder.mkdir(parents=True)
        (settings.tables / "sources.sql").write_text(SOURCES)
        for name, (query, toml) in TABLES.items():
            (settings.tables / name).mkdir()
            (settings.tables / name / "query.sql").write_text(query)
            (settings.tables / name / "table.toml").write_text(
                f'day_column = "day"\nfirst_day = {FIRST}\non_empty = "publish"\n{toml}\n'
            )
        self.catalog = Catalog.load(settings.tables)
        assert self.catalog.lineage.load_order() == ORDER
        for day in DAYS:
            self.deliver(day, [("a", 1)])

    def later(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def deliver(self, day: date, rows: Sequence[tuple[str, object]]) -> None:
        lines = [f"{day},{key},{value}" for key, value in rows]
        (self.settings.source / f"{day}.csv").write_text("\n".join(["day,k,v", *lines]) + "\n")

    def drop(self, requests: list[dict[str, object]]) -> None:
        (self.settings.landing / f"drop-{next(self.number)}.json").write_text(json.dumps(requests))

    def collect_requests(self) -> None:
        assert not collect_requests(self.settings, self.catalog, clock=self.later).files.rejected

    def plan(self, table: str) -> None:
        self.runs.pop(table, None)
        batches = [
            batch.to_json()
            for batch in plan_batches(self.settings, Catalog.load(self.settings.tables), table, now=self.later())
        ]
        self.runs[table] = Run(f"run/{next(self.number)}", json.loads(json.dumps(batches)))

    def rewrite(self, table: str) -> bool:
        """Rewrite the next batch of the table's run; whether there was one."""
        run = self.runs.get(table)
        if run is None or run.begun == len(run.batches):
            return False
        batch = run.batches[run.begun]
        run.begun += 1
        outcome = run_batch(self.settings, table, batch, run=run.name, now=self.later())
        run.outcomes.append(json.loads(json.dumps(outcome.to_json())))
        return True

    def settle(self, table: str) -> None:
        if run := self.runs.get(table):
            settle_batches(self.settings, table, run.batches, run.outcomes, run=run.name, now=self.later())
            del self.runs[table]

    def work(self, table: str) -> None:
        """Do the rest of the table's run, or a whole one."""
        if table not in self.runs:
            self.plan(table)
        while self.rewrite(table):
            pass
        self.settle(table)

    def drain(self) -> None:
        """Work until nothing is outstanding. A table without a request does not run."""
        self.collect_requests()
        for _ in range(60):
            waiting = {record.table for record in self.queue.records("accepted")}
            if not waiting | self.runs.keys():
                return
            for table in sorted(waiting | self.runs.keys()):
                self.work(table)
        raise AssertionError(f"never ends: {[record.progress() for record in self.queue.records('accepted')]}")

    def records(self) -> list[Record]:
        records: list[Record] = []
        for state in STATES:
            records += self.queue.records(state)
        return records

    def published(self, table: str) -> dict[str, Path]:
        published = folder_of(self.settings.warehouse, self.catalog[table]).published()
        return {str(name): file for name, file in published.items()}

    def days(self, table: str) -> Days:
        return folder_of(self.settings.warehouse, self.catalog[table]).days()

    def content(self, table: str) -> list[tuple[Any, ...]]:
        """The published rows."""
        with duckdb.connect(":memory:") as db:
            db.execute("set variable source = $1", [str(self.settings.source)])
            db.execute(SOURCES)
            self._load(db, table)
            return self._rows(db, f"from {quote_name(table)}")

    def recomputed(self, table: str) -> list[tuple[Any, ...]]:
        """The rows of the published days as the query gives them over what is published of its inputs now."""
        with duckdb.connect(":memory:") as db:
            db.execute("set variable source = $1", [str(self.settings.source)])
            db.execute(SOURCES)
            for name in self.catalog[table].inputs:
                self._load(db, name)
            days = ", ".join(f"date '{day}'" for day in self.days(table)) or "null"
            return self._rows(db, f"from ({self.catalog[table].query}) where day in ({days})")

    def _rows(self, db: duckdb.DuckDBPyConnection, source: str) -> list[tuple[Any, ...]]:
        # By name: the columns that only the folders' names hold come last.
        names = ", ".join(sorted(row[0] for row in db.execute(f"describe select * {source}").fetchall()))
        return sorted(db.execute(f"select {names} {source}").fetchall(), key=repr)

    def _load(self, db: duckdb.DuckDBPyConnection, table: str) -> None:
        if files := list(self.published(table).values()):
            types = {"day": "date", "k": "varchar"} if table == "keyed" else {"day": "date"}
            db.execute(f"create table {quote_name(table)} as from {relation(files, columns=types)}")
            return
        for name in self.catalog.lineage.upstream_days(table, Days()):  # inputs first
            db.execute(f"create table if not exists {quote_name(name)} as from ({self.catalog[name].query}) limit 0")
        db.execute(f"create table {quote_name(table)} as from ({self.catalog[table].query}) limit 0")


def assert_whole(world: World) -> None:
    """Each file below a table is a partition, readable, with the table's columns; each request has one state."""
    for table in TABLES:
        files = set(world.published(table).values())
        assert {path for path in (world.settings.warehouse / table).rglob("*") if path.is_file()} == files
        for file in files:
            with pyarrow.parquet.ParquetFile(file) as opened:
                assert opened.schema_arrow.names == COLUMNS[table]
    ids = [record.id for record in world.records()]
    assert len(ids) == len(set(ids))


def assert_right(world: World, tables: Sequence[str]) -> None:
    for table in tables:
        assert world.content(table) == world.recomputed(table), table


def assert_nothing_is_left(world: World) -> None:
    assert not list((world.settings.warehouse / ".changes").glob("*/*.json"))
    staging = world.settings.warehouse / ".staging"
    assert not list(staging.glob("*")), "staging folders are left"
    assert all(record.finished_at for record in world.records())
    assert not world.queue.records("accepted")


days = st.sampled_from(DAYS)
tables = st.sampled_from(ORDER)
rows = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), max_size=3)
kills = st.none() | st.integers(0, 60)


class Whole(RuleBasedStateMachine):
    """Everything that can happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Path(mkdtemp(dir=SCRATCH)))
        self.is_excused = False
        """Whether a request asked for no cascade, or a table was broken by hand: then it may differ from its query."""

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            shutil.rmtree(self.world.home, ignore_errors=True)

    def step(self, act: Callable[[], object], kill: int | None) -> bool:
        """Do a step of some process, which may be killed; whether it lived."""
        try:
            with killed_after(kill, self.world.home):
                act()
        except Killed:
            return False
        return True

    @initialize(first=days, last=days)
    def load(self, first: date, last: date) -> None:
        self.world.drop([{"table": "base", "start_date": str(min(first, last)), "end_date": str(max(first, last))}])
        self.world.drain()

    @rule(day=days, rows=rows)
    def deliver(self, day: date, rows: Rows) -> None:
        self.world.deliver(day, rows)

    @rule(day=days)
    def deliver_nonsense(self, day: date) -> None:
        self.world.deliver(day, [("a", "x")])

    @rule(
        first=days,
        last=days,
        names=st.just(["base"]) | st.lists(tables, min_size=1, max_size=3, unique=True),
        only=st.sampled_from(["all", "all", "missing", "stale"]),
        cascade=st.sampled_from([True, True, True, False]),
        keys=st.sampled_from([None, ["a"], ["b"]]),
        kill=kills,
    )
    def ask(
        self,
        first: date,
        last: date,
        names: list[str],
        only: str,
        cascade: bool,
        keys: list[str] | None,
        kill: int | None,
    ) -> None:
        request: dict[str, object] = {"table": names, "only": only, "cascade": cascade}
        request |= {"start_date": str(min(first, last)), "end_date": str(max(first, last))}
        if keys and names == ["keyed"]:
            request["keys"] = {"k": keys}
        self.world.drop([request])
        self.is_excused |= not cascade
        if not self.step(self.world.collect_requests, kill):
            self.world.collect_requests()

    @rule(table=tables, kill=kills)
    def plan(self, table: str, kill: int | None) -> None:
        self.step(lambda: self.world.plan(table), kill)

    @rule(table=tables, kill=kills, is_tried_again=st.booleans())
    def rewrite(self, table: str, kill: int | None, is_tried_again: bool) -> None:
        """A task that was killed runs again, or is lost."""
        lives = self.step(lambda: self.world.rewrite(table), kill)
        if not lives and is_tried_again:
            self.world.runs[table].begun -= 1

    @rule(table=tables, kill=kills)
    def settle(self, table: str, kill: int | None) -> None:
        run = self.world.runs.get(table)
        if run and len(run.outcomes) < len(run.batches):
            self.is_excused = True  # the request fails, by a task that left no outcome
        self.step(lambda: self.world.settle(table), kill)

    @rule(table=tables, kill=kills)
    def work(self, table: str, kill: int | None) -> None:
        run = self.world.runs.get(table)
        if run and len(run.outcomes) < run.begun:
            self.is_excused = True
        if not self.step(lambda: self.world.work(table), kill):
            self.world.runs.pop(table, None)

    @rule(table=tables)
    def lose(self, table: str) -> None:
        """The run is gone with all that it knew."""
        self.world.runs.pop(table, None)

    @rule()
    def drain(self) -> None:
        self.is_excused |= any(len(run.outcomes) < run.begun for run in self.world.runs.values())
        self.world.drain()

    @rule(pick=st.integers(0, 100), force=st.booleans(), kill=kills)
    def undo(self, pick: int, force: bool, kill: int | None) -> None:
        ended = [record for record in self.world.records() if not record.outstanding]
        if not ended:
            return
        ended.sort(key=lambda record: (record.table != "base", record.accepted_at, record.id))
        record = ended[pick % len(ended)]
        self.is_excused |= record.table != "base"

        def act() -> None:
            with suppress(RequestError):
                undo_request(self.world.settings, record.id, force=force, now=self.world.later())

        if not self.step(act, kill):
            # Only the next run of the table finds the notice.
            self.world.runs.pop(record.table, None)
            self.world.plan(record.table)

    @rule(pick=st.integers(0, 100), kill=kills)
    def cancel(self, pick: int, kill: int | None) -> None:
        if accepted := self.world.queue.records("accepted"):
            self.is_excused = True
            record_id = accepted[pick % len(accepted)].id
            with suppress(RequestError):
                self.step(lambda: cancel_request(self.world.queue, record_id, now=self.world.later()), kill)

    @invariant()
    def is_whole(self) -> None:
        assert_whole(self.world)

    def _end(self) -> None:
        world = self.world
        self.drain()
        assert_whole(world)
        if not self.is_excused:
            assert_right(world, ORDER[1:])
            assert not [record.failed for record in world.records() if record.failed and record.table != "base"]
        everything: dict[str, object] = {"start_date": str(FIRST), "end_date": str(LAST)}
        for table in ORDER[1:]:
            world.drop([everything | {"table": table, "only": "stale"}])
            world.drain()
        assert_right(world, ORDER[1:])
        for day in DAYS:
            if ",x" in (world.settings.source / f"{day}.csv").read_text():
                world.deliver(day, [("b", 7)])
        world.drop([everything | {"table": "base"}])
        world.drain()
        assert world.days("base") == Days.of(DAYS)
        assert_right(world, ORDER)
        assert_whole(world)
        assert_nothing_is_left(world)


TestWhole = pytest.mark.timeout(900)(Whole.TestCase)
TestWhole.settings = hypothesis.settings(
    deadline=None,
    # The same ones every time; WHOLE_EXAMPLES asks for many others.
    derandomize="WHOLE_EXAMPLES" not in os.environ,
    database=None,
    max_examples=int(os.environ.get("WHOLE_EXAMPLES", "8")),
    stateful_step_count=int(os.environ.get("WHOLE_STEPS", "20")),
    phases=[p for p in hypothesis.Phase if p.name in ("explicit", "generate") or "WHOLE_SHRINK" in os.environ],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
