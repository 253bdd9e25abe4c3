"""The home of a table ``sales``: rewrites of it, and what its partitions hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import duckdb

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Outcome
from reloads.rewriting.context import Locations, Provenance, Wishes
from reloads.rewriting.engine import Share
from reloads.rewriting.rewrite import rewrite_batch
from reloads.rewriting.time_limit import TimeLimit
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import load_table
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Commit, Entry
from reloads.warehouse.layout import versions_folder
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of

FIRST = date(2025, 1, 1)
MONTH = Days.between(FIRST, date(2025, 1, 31))
WRITTEN_AT = datetime(2025, 3, 30, 1, 2, 3, tzinfo=UTC)

DefineTable = Callable[..., Path]


def days(*texts: str) -> Days:
    return Days.parse(texts)


def of_each_day(columns: str, *, first: str = "2024-12-01", last: str = "2026-02-28", rows: int = 3) -> str:
    """A query of ``rows`` rows a day, ``n`` from 1."""
    return f"""
        select cast(midnight as date) as day, n, {columns}
        from generate_series(date '{first}', date '{last}', interval 1 day) as d(midnight)
        cross join generate_series(1, {rows}) as numbers(n)
    """


class SalesHome:
    """A table's warehouse, and what its partitions hold."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.warehouse = settings.warehouse
        self.runs = (f"run/{number}" for number in count(1))

    def rewrite(
        self,
        work: Days | Batch,
        *,
        share: Share | None = None,
        run: str | None = None,
        wishes: Wishes | None = None,
        limit: TimeLimit | None = None,
    ) -> Outcome:
        """Rewrite days or a batch, in a run of its own unless ``run`` names one."""
        table = load_table(self.settings.tables, "sales")
        batch = Batch(work) if isinstance(work, Days) else work
        return rewrite_batch(
            replace(batch, requests={"r1": batch.days, "r'2": batch.days}),
            table=table,
            place=Locations(self.warehouse, self.settings.source, Catalog.load(self.settings.tables).all_inputs(table)),
            share=share or Share(threads=2, memory_mb=512),
            provenance=Provenance(run or next(self.runs), WRITTEN_AT),
            wishes=wishes,
            limit=limit,
        )

    @property
    def folder(self) -> TableFolder:
        return folder_of(self.warehouse, load_table(self.settings.tables, "sales"))

    def file(self, day: date) -> Path:
        return self.folder.partition(day)

    def published(self) -> Days:
        return self.folder.days()

    def state(self) -> dict[Path, tuple[int, int, bytes]]:
        files = (path for path in (self.warehouse / "sales").rglob("*") if path.is_file())
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    def commits(self) -> list[Commit]:
        """All that was published, oldest first."""
        log = state_of(self.folder).log
        first = min(log.numbers(), default=1)
        return list(log.after(first - 1))

    def entries(self) -> Mapping[PartitionName, Entry]:
        """What is known of each partition."""
        return state_of(self.folder).read_all().entries

    def versions(self) -> list[Path]:
        """The files of all versions that are kept."""
        return sorted(versions_folder(self.warehouse, "sales").rglob("*.parquet"))

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect() as db:
            db.execute("set variable files = $1", [str(self.warehouse / "sales/**/*.parquet")])
            read = "read_parquet(getvariable('files'), hive_partitioning = true, union_by_name = true)"
            return db.execute(sql.replace("sales", read)).fetchall()

    def staging(self) -> list[Path]:
        return list((self.warehouse / ".staging").rglob("*"))
