"""A table whose runs publish Parquet files, what each commit should show, and how readers of its snapshot see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset
from deltalake import DeltaTable

from reloads.days import Days
from reloads.stores.address import store_url
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Making
from reloads.warehouse.delta_table import bring_snapshot
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication
from reloads.warehouse.publishing import publish
from tests.support.polars_reader import read_delta
from tests.support.warehouses import read, table

MONDAY, TUESDAY, WEDNESDAY = date(2025, 1, 6), date(2025, 1, 7), date(2025, 2, 5)
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
OPTIONS = {"aws_allow_http": "true"}
INTEGERS = {"v": "INTEGER"}

Place = tuple[date, str]
"""A day, and the value of the key; empty in a table without keys."""
Row = tuple[Any, ...]
"""The day, the key, and what the file holds."""
Rows = Counter[Row]


class DeltaHistory:
    """A table whose runs publish values, and the promise in dicts: what a reader sees as of each commit."""

    def __init__(self, folder: TableFolder) -> None:
        self.folder = folder
        self.places = 0
        self.runs: list[str] = []
        """The run of each commit."""
        self.shown: list[dict[Place, list[Any]]] = [{}]
        """What is published as of each commit, 0 for before the first."""

    @property
    def root(self) -> Path:
        """The folder of the Delta table, of a warehouse that is a folder."""
        return self.folder.warehouse / ".delta" / self.folder.table

    @property
    def url(self) -> str:
        """What readers open."""
        url = store_url(self.folder.warehouse)
        return f"{url}/.versions/{self.folder.table}" if url else str(self.root)

    def name(self, place: Place) -> PartitionName:
        day, key = place
        return PartitionName.of("day", day, {"k": key}) if self.folder.keys else PartitionName("day", day)

    def publish(self, run: str, values: Mapping[Place, list[Any]], *, columns: Mapping[str, str] = INTEGERS) -> None:
        """Publish the values of these partitions in one commit; none is for a partition without rows."""
        self.places += 1
        place = self.folder.warehouse / ".staging" / str(self.places)
        place.mkdir(parents=True)
        files: dict[PartitionName, NewFile] = {}
        for number, (where, some) in enumerate(values.items()):
            if some:
                path = place / f"{number}.parquet"
                write(path, some, columns)
                content = f"{dict(columns)} {some}"
                files[self.name(where)] = NewFile(path, len(some), path.stat().st_size, content, columns)
        names = [self.name(where) for where in values]
        now = NOON + timedelta(seconds=self.places)
        act = Publication(
            act="load",
            run=run,
            now=now,
            day_column="day",
            keys=self.folder.keys,
            base=state_of(self.folder).read_head().point,
            files=files,
            vanished=[name for name in names if name not in files],
            makings=dict.fromkeys(names, Making("v", {}, {}, run, now)),
            requests={f"request of {run}": Days.of(day for day, _ in values)},
            columns=columns,
            key_types={"k": "VARCHAR"} if self.folder.keys else {},
        )
        if publish(self.folder, act).commit is None:
            return
        now_shown = dict(self.shown[-1])
        for where, some in values.items():
            now_shown.pop(where, None)
            if some:
                now_shown[where] = some
        self.runs.append(run)
        self.shown.append(now_shown)

    def bring(self, *, open_runs: Collection[str] = ()) -> int:
        """Bring the snapshot; up to which commit it goes now."""
        return bring_snapshot(self.folder, open_runs=open_runs).number

    def last_whole_commit(self, open_runs: Collection[str], *, after: int = 0) -> int:
        """The last commit up to which, of those after that one, no run is there in part, and none that is open."""
        return after + brute_force_end(self.runs[after:], open_runs)

    def rows(self, number: int) -> Rows:
        """What a reader should see as of that commit."""
        rows: Rows = Counter()
        for (day, key), values in self.shown[number].items():
            for value in values:
                cells = value if isinstance(value, tuple) else (value,)
                rows[(day, key, *cells)] += 1
        return rows

    def delta(self, version: int | None = None) -> DeltaTable:
        return DeltaTable(self.url, version=version, storage_options=OPTIONS)

    def version(self) -> int:
        """The last version of the Delta table; -1 where there is none."""
        return self.delta().version() if DeltaTable.is_deltatable(self.url, OPTIONS) else -1

    def read_with_pyarrow(self, version: int | None = None) -> Rows:
        return self._count(self.delta(version).to_pyarrow_table().to_pylist())

    def read_with_polars(self, version: int | None = None) -> Rows:
        return self._count(read_delta(self.url, version=version, options=OPTIONS))

    def files(self, version: int | None = None) -> list[str]:
        """The files of a version, for readers that open files; those in a store are brought here."""
        uris = self.delta(version).file_uris()
        if self.url == str(self.root):
            return uris
        seen = self.folder.warehouse.parent / "seen"
        paths: list[str] = []
        for uri in uris:
            key = uri.removeprefix(f"{store_url(self.folder.warehouse)}/")
            path = seen / key
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(read(self.folder, key))
            paths.append(str(path))
        return paths

    def read_with_duckdb(self, version: int | None = None) -> Rows:
        uris = self.files(version)
        if not uris:
            return Counter()
        types = "{day: date, k: varchar}" if self.folder.keys else "{day: date}"
        source = f"read_parquet($1, hive_partitioning = true, hive_types = {types}, union_by_name = true)"
        with duckdb.connect(":memory:") as db:
            found = db.execute(f"from {source}", [uris])
            names = [column[0] for column in found.description]
            return self._count([dict(zip(names, row, strict=True)) for row in found.fetchall()])

    def read_files_with_pyarrow(self, version: int | None = None) -> Rows:
        """What the files and their folders say, for versions whose files have the same columns."""
        uris = self.files(version)
        if not uris:
            return Counter()
        rows = pyarrow.dataset.dataset(uris, partitioning="hive").to_table().to_pylist()
        return self._count({**row, "day": date.fromisoformat(str(row["day"]))} for row in rows)

    def read(self, version: int | None = None) -> Rows:
        """What readers see; the three that the page on snapshots names see the same."""
        rows = self.read_with_polars(version)
        assert self.read_with_duckdb(version) == rows
        assert self.read_files_with_pyarrow(version) == rows
        return rows

    def check(self, number: int) -> None:
        """All readers see what was published as of that commit."""
        expected = self.rows(number)
        assert self.read_with_pyarrow() == expected
        assert self.read_with_polars() == expected
        assert self.read_with_duckdb() == expected

    def points(self) -> list[str]:
        """The places in the log that the versions of the Delta table stand for, oldest first."""
        history = self.delta().history()
        return [entry["reloads.commit"] for entry in reversed(history) if "reloads.commit" in entry]

    def _count(self, records: Iterable[dict[str, Any]]) -> Rows:
        rows: Rows = Counter()
        for record in records:
            values = {name: value for name, value in record.items() if name not in ("day", "k")}
            rows[(record["day"], record.get("k", ""), *(values[name] for name in sorted(values)))] += 1
        return rows


def write(path: Path, values: Iterable[Any], columns: Mapping[str, str]) -> None:
    """Write a Parquet file with these columns, each value a cell or a tuple of cells."""
    cells = ", ".join(f"${number}::{kind} as {name}" for number, (name, kind) in enumerate(columns.items(), 1))
    with duckdb.connect(":memory:") as db:
        for number, value in enumerate(values):
            row = value if isinstance(value, tuple) else (value,)
            db.execute(f"{'insert into rows' if number else 'create table rows as'} select {cells}", list(row))
        db.execute("copy rows to $1 (format parquet)", [str(path)])


def brute_force_end(runs: list[str], open_runs: Collection[str]) -> int:
    """Of commits of these runs: the longest beginning that shares no run with the rest, and has none that is open."""
    for end in range(len(runs), 0, -1):
        if not set(runs[:end]) & {*runs[end:], *open_runs}:
            return end
    return 0


@contextmanager
def delta_history(keys: tuple[str, ...] = (), kind: str = "folder") -> Iterator[DeltaHistory]:
    """A table in a folder or in an object store."""
    with table(kind, keys) as folder:
        yield DeltaHistory(folder)
