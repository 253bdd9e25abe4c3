"""A chain of tables, for tests of what one table's change means for the others."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

from reloads.days import Days
from reloads.requests.conversion import new_record
from reloads.requests.queue import Queue, State
from reloads.requests.record import Mode, Record
from reloads.requests.request import parse_request
from reloads.runs.plan_step import plan_batches
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import Settled, settle_batches
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog
from tests.support.scratch import copy_home

NOW = datetime(2025, 1, 31, 12, tzinfo=UTC)
JANUARY = Days.between(date(2025, 1, 1), date(2025, 1, 31))
STATES: tuple[State, ...] = ("accepted", "done", "failed", "cancelled")
# To find out by itself how the files are written takes DuckDB longer than all else, each time.
RAW = """create view raw as from read_csv(getvariable('source') || '/*.csv', header = true,
         columns = {'day': 'date', 'amount': 'int'}, auto_detect = false)"""
LAST_SEVEN_DAYS = """
    select days.day, sum(a.amount)::int as week
    from (select distinct day from a) as days join a on a.day between days.day - 6 and days.day
    group by days.day
"""
JsonBatch = dict[str, Any]
_numbers = count()


@dataclass(frozen=True)
class Chain:
    """A source with a file a day, and the tables ``a`` to ``d``: a reads the source; b reads a; c reads seven days of
    a; d reads b and c.

    The steps of a run are called as the tasks of the DAG call them: with values that went through XCom.
    """

    settings: Settings
    queue: Queue

    @classmethod
    def at(cls, home: Path, *, warehouse: str = "") -> Chain:
        """The chain with its source delivered and nothing loaded, on a machine for two tasks at once."""
        for name in ("landing", "warehouse", "tables", ".local/source"):
            (home / name).mkdir(parents=True)
        (home / "tables" / "sources.sql").write_text(RAW)
        environment = {"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC", "RELOADS_WAREHOUSE": warehouse}
        settings = Settings.from_environment(environment)
        settings = settings.model_copy(update={"threads": 2, "tasks_at_once": 2, "memory_mb": 1024})
        chain = cls(settings, Queue(settings.landing))
        for day in JANUARY:
            chain.deliver(str(day), day.day)
        chain.define("a", "select day, amount from raw")
        chain.define("b", "select day, 2 * amount as twice from a")
        chain.define("c", LAST_SEVEN_DAYS, 'reads = { a = "7 days" }')
        chain.define("d", "select day, twice, week from b join c using (day)")
        return chain

    def copied(self, home: Path) -> Chain:
        """The same home elsewhere."""
        copy_home(self.settings.home, home)
        settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC"})
        settings = settings.model_copy(update={"threads": 2, "tasks_at_once": 2, "memory_mb": 1024})
        return Chain(settings, Queue(settings.landing))

    def away(self) -> Chain:
        """The same home as a worker of another machine has it, which sees no drop folder."""
        landing = self.settings.home / "nowhere" / "landing"
        settings = self.settings.model_copy(update={"sees_landing": False, "landing": landing})
        return replace(self, settings=settings)

    def deliver(self, day: str, amount: int) -> None:
        """Write, or correct, the source's file of one day."""
        (self.settings.source / f"{day}.csv").write_text(f"day,amount\n{day},{amount}\n")

    def define(self, name: str, query: str, toml: str = "") -> None:
        """Write a table anew."""
        folder = self.settings.tables / name
        folder.mkdir(exist_ok=True)
        (folder / "query.sql").write_text(query)
        (folder / "table.toml").write_text(f'day_column = "day"\nfirst_day = 2025-01-01\n{toml}\n')

    def ask(
        self,
        table: str,
        first: str,
        last: str | None = None,
        *,
        mode: Mode = "landing",
        file: str | None = None,
        at: datetime = NOW,
        **fields: Any,
    ) -> Record:
        """Accept a request with these fields; ``mode``, ``file`` and ``at`` say how and when it came."""
        request = parse_request({"table": table, "start_date": first, "end_date": last or first, **fields})
        record = new_record(request, table, mode=mode, file=file, origin=f"test {next(_numbers)}", now=at)
        assert self.queue.add(record)
        return record

    def plan(self, table: str) -> list[JsonBatch]:
        """The batches of the next run."""
        return [
            batch.to_json() for batch in plan_batches(self.settings, Catalog.load(self.settings.tables), table, now=NOW)
        ]

    def rewrite(self, table: str, batches: list[JsonBatch], *, run: str | None = None) -> list[JsonBatch]:
        """The outcome of each batch, in a run of their own unless it is named."""
        run = run or f"run {next(_numbers)}"
        return [run_batch(self.settings, table, batch, run=run, now=NOW).to_json() for batch in batches]

    def settle(self, table: str, batches: list[JsonBatch], outcomes: list[JsonBatch]) -> Settled:
        """End a run."""
        return settle_batches(self.settings, open_catalog(self.settings), table, batches, outcomes, run="run", now=NOW)

    def run(self, table: str) -> Settled:
        """A whole run of one table."""
        batches = self.plan(table)
        return self.settle(table, batches, self.rewrite(table, batches))

    def work_off(self, *tables: str) -> list[tuple[str, list[str]]]:
        """Run these tables and whatever is announced, in that order; which days each run published, if any."""
        published: list[tuple[str, list[str]]] = []
        waiting = list(tables)
        while waiting:
            table = waiting.pop(0)
            settled = self.run(table)
            waiting += [record.table for record in settled.announce if record.table not in waiting]
            if settled.published:
                published.append((table, settled.published.texts()))
        return published

    def load(self) -> None:
        """Load all of January into all four tables."""
        for table in "abcd":
            self.ask(table, "2025-01-01", "2025-01-31", cascade=False)
        self.work_off(*"abcd")
        assert self.queue.records("accepted") == []

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Content and time of each published partition, by table and day."""
        files: dict[str, tuple[bytes, int]] = {}
        for path in sorted(self.settings.warehouse.glob("[a-z]*/day=*/data.parquet")):
            table, day = path.parent.parent.name, path.parent.name.removeprefix("day=")
            files[f"{table} {day}"] = (path.read_bytes(), path.stat().st_mtime_ns)
        return files

    def find_record(self, record_id: str) -> tuple[State, Record]:
        """Where a record is, and what it says now."""
        for state in STATES:
            for record in self.queue.records(state):
                if record.id == record_id:
                    return state, record
        raise AssertionError(f"there is no record {record_id}")

    def cascades(self, table: str) -> list[Record]:
        """The requests that made a table follow."""
        cascades: list[Record] = []
        for state in STATES:
            records = self.queue.records(state)
            cascades += [record for record in records if (record.table, record.mode) == (table, "cascade")]
        return cascades


OF_THE_ACT = {"id", "accepted_at", "seconds", "finished_at", "runs", "drop", "children", "bytes"}
"""What differs of two records of the same request; a partition's file names its run."""


def told(record: Record) -> dict[str, Any]:
    """What a record says of what came of its request."""
    values: dict[str, Any] = json.loads(record.model_dump_json())
    return {name: value for name, value in values.items() if name not in OF_THE_ACT}


def changed(before: dict[str, tuple[bytes, int]], after: dict[str, tuple[bytes, int]]) -> list[str]:
    """The partitions that are new, or have another content or time."""
    assert before.keys() <= after.keys()
    return [name for name, file in after.items() if before.get(name) != file]
