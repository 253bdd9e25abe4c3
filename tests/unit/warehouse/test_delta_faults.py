"""A snapshot is whole whatever was killed, lost, put back or changed its type; three readers agree on it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.dataset
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reloads.days import Days
from reloads.warehouse import delta_table
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Making
from reloads.warehouse.cursors import Cursor
from reloads.warehouse.delta_table import bring_snapshot, expire_snapshots, read_snapshot, snapshot_point
from reloads.warehouse.layout import delta_folder, log_folder, state_folder, versions_folder
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication
from reloads.warehouse.publishing import publish
from tests.support.process_kill import SCRATCH

Place = tuple[date, str]
"""A day and the value of the key, which is empty in a table without keys."""
Rows = dict[Place, int]
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
DAYS = [date(2025, 1, number) for number in (1, 2, 3)]
KEYS = ["EWR", "A B", "ü/%+=&\"'", "x%20y"]
PLACES = st.tuples(st.sampled_from(DAYS), st.sampled_from(KEYS))
RUNS = ["run/1", "run/2", "run/3"]


class World:
    """A table that is published, with what its readers are to see."""

    def __init__(self, home: Path, *, has_keys: bool) -> None:
        self.folder = TableFolder(home, "sales", "day", ("k",) if has_keys else ())
        self.number = 0
        self.commits: list[tuple[str, Rows]] = []
        """Of each commit its run, and all rows behind it."""

    @property
    def rows(self) -> Rows:
        """All that is published."""
        return self.commits[-1][1] if self.commits else {}

    def name(self, place: Place) -> PartitionName:
        day, key = place
        return PartitionName.of("day", day, {"k": key} if self.folder.keys else {})

    def publish(self, run: str, changes: Mapping[Place, int | None], *, sql_type: str = "bigint") -> None:
        """Publish one commit: a value for each partition, or that it is gone."""
        self.number += 1
        staging = self.folder.warehouse / ".staging" / str(self.number)
        staging.mkdir(parents=True)
        files: dict[PartitionName, NewFile] = {}
        vanished: list[PartitionName] = []
        columns = {"n": sql_type.upper()}
        for number, (place, value) in enumerate(changes.items()):
            file = staging / str(number)
            if value is None:
                vanished.append(self.name(place))
                continue
            duckdb.sql(f"copy (select {value}::{sql_type} as n) to '{file}' (format parquet)")
            files[self.name(place)] = NewFile(file, 1, file.stat().st_size, f"{sql_type} {value}", columns)
        now = NOON + timedelta(seconds=self.number)
        making = Making("v", {}, {}, run, now)
        publication = Publication(
            act="load",
            run=run,
            now=now,
            day_column="day",
            keys=self.folder.keys,
            base=state_of(self.folder).read_head().point,
            files=files,
            vanished=vanished,
            whole_days=Days(),
            makings=dict.fromkeys([*files, *vanished], making),
            requests={f"request of {run}": Days.of(day for day, _ in changes)},
            columns=columns,
            key_types={"k": "VARCHAR"} if self.folder.keys else {},
        )
        rows = self.rows | {place: value for place, value in changes.items() if value is not None}
        if publish(self.folder, publication).commit:
            gone = [place for place, value in changes.items() if value is None]
            self.commits.append((run, {place: value for place, value in rows.items() if place not in gone}))

    @property
    def delta(self) -> Path:
        return delta_folder(self.folder.warehouse, "sales")

    def read(self, version: int | None = None) -> Rows:
        """What readers see; all three see the same."""
        table = DeltaTable(self.delta, version=version)
        files = table.file_uris()
        if not files:
            return {}
        query = f"from read_parquet({files!r}, hive_partitioning = true, hive_types = {{'day': date, 'k': varchar}})"
        if not self.folder.keys:
            query = query.replace(", 'k': varchar", "")
        with duckdb.connect() as db:
            found = db.execute(f"select day, k, n {query}" if self.folder.keys else f"select day, '', n {query}")
            by_duckdb = self._rows({"day": day, "k": key, "n": n} for day, key, n in found.fetchall())
        by_polars = self._rows(pl.read_delta(str(self.delta), version=version).to_dicts())
        by_arrow = self._rows(pyarrow.dataset.dataset(files, partitioning="hive").to_table().to_pylist())
        assert by_duckdb == by_polars == by_arrow
        return by_polars

    def _rows(self, dicts: Iterable[Mapping[str, object]]) -> Rows:
        rows: Rows = {}
        for row in dicts:
            place = (date.fromisoformat(str(row["day"])), str(row.get("k", "")))
            assert place not in rows
            rows[place] = int(str(row["n"]))
        return rows

    def version(self) -> int:
        return DeltaTable(self.delta).version()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, has_keys=False)


def _end_by_trying(runs: list[str], shown: int, open_runs: set[str]) -> int:
    """The last place behind ``shown`` where no run is cut in two and none is open."""
    for end in range(len(runs), shown, -1):
        inside, behind = set(runs[shown:end]), set(runs[end:])
        if not inside & behind and not inside & open_runs:
            return end
    return shown


class Snapshots(RuleBasedStateMachine):
    """Random publications of several runs, and random snapshots."""

    @initialize(has_keys=st.booleans())
    def begin(self, *, has_keys: bool) -> None:
        self.home = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.world = World(self.home, has_keys=has_keys)
        self.shown = 0
        self.versions: list[Rows] = []

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    @rule(
        run=st.sampled_from(RUNS),
        changes=st.dictionaries(
            st.tuples(st.sampled_from(DAYS), st.sampled_from(KEYS)),
            st.none() | st.integers(1, 3),
            min_size=1,
            max_size=4,
        ),
    )
    def publish(self, run: str, changes: dict[Place, int | None]) -> None:
        if not self.world.folder.keys:
            changes = {(day, ""): value for (day, _), value in changes.items()}
        there = {place: value for place, value in changes.items() if value is not None or place in self.world.rows}
        if there:
            self.world.publish(run, there)

    @rule(open_runs=st.sets(st.sampled_from(RUNS)))
    def bring(self, open_runs: set[str]) -> None:
        end = _end_by_trying([run for run, _ in self.world.commits], self.shown, open_runs)
        if not self.versions and open_runs:
            # The first one is of all that is published.
            end = 0
        point = bring_snapshot(self.world.folder, open_runs=open_runs)
        if end > self.shown:
            self.shown = end
            self.versions.append(self.world.commits[end - 1][1])
        assert point.number == self.shown
        assert snapshot_point(self.world.folder).number == self.shown

    @rule()
    def lose_the_cursor(self) -> None:
        shutil.rmtree(self.home / ".cursors", ignore_errors=True)
        if self.versions:
            assert bring_snapshot(self.world.folder, open_runs=RUNS).number == self.shown

    @invariant()
    def every_version_is_what_it_was(self) -> None:
        if hasattr(self, "versions") and self.versions:
            assert self.world.version() == len(self.versions) - 1
            assert [self.world.read(number) for number in range(len(self.versions))] == self.versions


Snapshots.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestSnapshots = Snapshots.TestCase


@given(st.lists(st.sampled_from("abc")), st.sets(st.sampled_from("abc")))
def test_a_snapshot_ends_where_no_run_is_cut_in_two(runs: list[str], open_runs: set[str]) -> None:
    class Commit:
        def __init__(self, number: int, run: str) -> None:
            self.number, self.run = number, run

    commits = [Commit(number, run) for number, run in enumerate(runs, start=1)]
    assert delta_table.find_whole_end(commits, open_runs) == _end_by_trying(runs, 0, open_runs)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", ["_link", "_commit", "write"])
def test_a_killed_snapshot_is_completed_once(
    world: World, monkeypatch: pytest.MonkeyPatch, *, step: str, is_before: bool, is_first: bool
) -> None:
    if not is_first:
        world.publish("run/1", {(day, ""): 1 for day in DAYS})
        bring_snapshot(world.folder)
    before = world.read() if not is_first else None
    world.publish("run/2", {(day, ""): 2 for day in DAYS[:2]})
    owner = Cursor if step == "write" else delta_table
    real = getattr(owner, step)

    def die(*values: object, **options: object) -> None:
        if not is_before:
            real(*values, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(KeyboardInterrupt):
            bring_snapshot(world.folder)
    if world.delta.is_dir() and DeltaTable.is_deltatable(str(world.delta)):
        assert world.read() in (before, world.rows)
    assert bring_snapshot(world.folder).number == len(world.commits)
    assert world.read() == world.rows
    assert world.version() == len(world.commits) - 1


def test_what_is_noted_of_a_snapshot_is_on_disk(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    flush = os.fsync

    def note_and_flush(handle: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{handle}").resolve()))
        flush(handle)

    monkeypatch.setattr(os, "fsync", note_and_flush)
    for number in range(2):
        world.publish(f"run/{number}", {(day, ""): number for day in DAYS})
        flushed.clear()
        bring_snapshot(world.folder)
        log = world.delta / "_delta_log"
        noted = flushed.index(str(tmp_path / ".cursors" / "sales"))
        assert flushed.index(str(log / f"{number:020}.json")) < noted
        assert flushed.index(str(log)) < noted


def test_history_names_runs_and_requests(world: World) -> None:
    world.publish("run/1", {(DAYS[0], ""): 1})
    world.publish("run/1", {(DAYS[1], ""): 1})
    world.publish("run/2", {(DAYS[1], ""): 2})
    bring_snapshot(world.folder)
    [commit] = DeltaTable(world.delta).history()
    assert commit["reloads.runs"] == ["run/1", "run/2"]
    assert commit["reloads.requests"] == ["request of run/1", "request of run/2"]
    assert commit["reloads.commit"] == str(state_of(world.folder).read_head().point)


def test_a_lost_delta_table_is_written_again(world: World) -> None:
    world.publish("run/1", {(day, ""): 1 for day in DAYS})
    bring_snapshot(world.folder)
    shutil.rmtree(world.delta)
    world.publish("run/2", {(DAYS[0], ""): 2})
    bring_snapshot(world.folder)
    assert world.read() == world.rows


def test_a_log_that_was_begun_anew_is_shown_whole(world: World) -> None:
    world.publish("run/1", {(day, ""): 1 for day in DAYS})
    bring_snapshot(world.folder)
    shutil.rmtree(log_folder(world.folder.warehouse, "sales"))
    shutil.rmtree(state_folder(world.folder.warehouse, "sales"))
    shutil.rmtree(versions_folder(world.folder.warehouse, "sales"))
    shutil.rmtree(world.folder.folder)
    old = world.rows
    world.commits.clear()
    world.publish("run/2", {(day, ""): 5 for day in DAYS[:2]})
    bring_snapshot(world.folder)
    assert world.read() == world.rows
    assert world.read(version=0) == old


def test_a_log_that_was_put_back_from_a_copy_is_shown_as_it_is(world: World, tmp_path: Path) -> None:
    world.publish("run/1", {(day, ""): 1 for day in DAYS})
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    world.publish("run/2", {(day, ""): 2 for day in DAYS})
    bring_snapshot(world.folder)
    for folder in (log_folder, state_folder):
        place = folder(tmp_path, "sales")
        shutil.rmtree(place)
        shutil.copytree(folder(tmp_path.with_name("copy"), "sales"), place)
    assert bring_snapshot(world.folder).number == 1
    assert world.read() == world.commits[0][1]


def test_readers_keep_what_they_see_until_all_files_have_the_new_type(world: World) -> None:
    world.publish("run/1", {(day, ""): 1 for day in DAYS})
    bring_snapshot(world.folder)
    old = world.rows
    world.publish("run/2", {(DAYS[0], ""): 2, (DAYS[1], ""): 2}, sql_type="varchar")
    assert bring_snapshot(world.folder).number == 1
    assert world.read() == old
    world.publish("run/3", {(DAYS[2], ""): 2}, sql_type="varchar")
    assert bring_snapshot(world.folder).number == 3
    assert world.read() == world.rows
    assert world.version() == 1
    assert world.read(version=0) == old


def test_expiry_leaves_what_the_last_snapshot_shows(world: World) -> None:
    for value in range(1, 4):
        world.publish(f"run/{value}", {(day, ""): value for day in DAYS})
        bring_snapshot(world.folder)
    # The versions lie in the past, and were replaced today.
    assert expire_snapshots(world.folder, days=7) == 0
    assert world.read(version=0) == {(day, ""): 1 for day in DAYS}
    assert world.read() == world.rows
    world.publish("run/4", {(DAYS[0], ""): 4})
    assert bring_snapshot(world.folder).number == 4
    assert world.read() == world.rows


def test_nothing_is_shown_of_a_table_without_commits(world: World) -> None:
    assert bring_snapshot(world.folder).number == 0
    assert read_snapshot(world.folder) is None
    assert expire_snapshots(world.folder, days=7) == 0
