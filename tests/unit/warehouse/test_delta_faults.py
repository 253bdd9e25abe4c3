"""A snapshot is whole whatever was killed, lost, put back or changed its type; three readers agree on it."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reloads.warehouse import delta_table
from reloads.warehouse.access import state_of
from reloads.warehouse.cursors import Cursor
from reloads.warehouse.delta_place import FolderPlace
from reloads.warehouse.delta_table import bring_snapshot, expire_snapshots, read_snapshot, snapshot_point
from reloads.warehouse.layout import log_folder, state_folder, versions_folder
from reloads.warehouse.partitions import TableFolder
from tests.support.delta_history import DeltaHistory, Place, Rows
from tests.support.process_kill import SCRATCH
from tests.support.warehouses import client, keys, warehouse

DAYS = [date(2025, 1, number) for number in (1, 2, 3)]
KEYS = ["EWR", "A B", "ü/%+=&\"'", "x%20y"]
RUNS = ["run/1", "run/2", "run/3"]
TEXTS = {"v": "VARCHAR"}
ALL_ONE: dict[Place, list[int]] = {(day, ""): [1] for day in DAYS}


@pytest.fixture
def table(tmp_path: Path) -> DeltaHistory:
    return DeltaHistory(TableFolder(tmp_path, "sales", "day"))


class Snapshots(RuleBasedStateMachine):
    """Random publications of several runs, and random snapshots."""

    kind = "folder"

    @initialize(has_keys=st.booleans())
    def begin(self, *, has_keys: bool) -> None:
        self.home = Path(tempfile.mkdtemp(dir=SCRATCH))
        place = warehouse(self.home, self.kind)
        self.table = DeltaHistory(TableFolder(place, "sales", "day", ("k",) if has_keys else ()))
        self.shown = 0
        self.versions: list[Rows] = []

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    @rule(
        run=st.sampled_from(RUNS),
        changes=st.dictionaries(
            st.tuples(st.sampled_from(DAYS), st.sampled_from(KEYS)),
            st.lists(st.integers(1, 3), max_size=1),
            min_size=1,
            max_size=4,
        ),
    )
    def publish(self, run: str, changes: dict[Place, list[int]]) -> None:
        if not self.table.folder.keys:
            changes = {(day, ""): values for (day, _), values in changes.items()}
        self.table.publish(run, changes)

    @rule(open_runs=st.just(set()) | st.sets(st.sampled_from(RUNS), max_size=2))
    def bring(self, open_runs: set[str]) -> None:
        end = self.table.last_whole_commit(open_runs, after=self.shown)
        if not self.versions and open_runs:
            # The first one is of all that is published.
            end = 0
        point = bring_snapshot(self.table.folder, open_runs=open_runs)
        if end > self.shown:
            self.shown = end
            self.versions.append(self.table.rows(end))
        assert point.number == self.shown
        assert snapshot_point(self.table.folder).number == self.shown

    @rule()
    def lose_the_cursor(self) -> None:
        folder = self.table.folder
        if folder.stored:
            for key in keys(folder, ".cursors"):
                client(folder).delete(key)
        shutil.rmtree(folder.warehouse / ".cursors", ignore_errors=True)
        if self.versions:
            assert self.table.bring(open_runs=RUNS) == self.shown

    @invariant()
    def every_version_is_what_it_was(self) -> None:
        if hasattr(self, "versions") and self.versions:
            assert self.table.version() == len(self.versions) - 1
            assert [self.table.read(number) for number in range(len(self.versions))] == self.versions


class SnapshotsInStore(Snapshots):
    """The same in an object store."""

    kind = "store"


Snapshots.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
SnapshotsInStore.TestCase.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
TestSnapshots = Snapshots.TestCase
TestSnapshotsInStore = pytest.mark.usefixtures("s3")(SnapshotsInStore.TestCase)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", ["bring", "_commit", "write"])
def test_a_killed_snapshot_is_completed_once(
    table: DeltaHistory, monkeypatch: pytest.MonkeyPatch, *, step: str, is_before: bool, is_first: bool
) -> None:
    if not is_first:
        table.publish("run/1", ALL_ONE)
        table.bring()
    before = table.read() if not is_first else None
    table.publish("run/2", {(day, ""): [2] for day in DAYS[:2]})
    owner = {"bring": FolderPlace, "_commit": delta_table, "write": Cursor}[step]
    real = getattr(owner, step)

    def die(*values: object, **options: object) -> None:
        if not is_before:
            real(*values, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(KeyboardInterrupt):
            table.bring()
    if table.version() >= 0:
        assert table.read() in (before, table.rows(-1))
    assert table.bring() == len(table.runs)
    assert table.read() == table.rows(-1)
    assert table.version() == len(table.runs) - 1


def test_what_is_noted_of_a_snapshot_is_on_disk(
    table: DeltaHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    flush = os.fsync

    def note_and_flush(handle: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{handle}").resolve()))
        flush(handle)

    monkeypatch.setattr(os, "fsync", note_and_flush)
    for number in range(2):
        table.publish(f"run/{number}", {(day, ""): [number] for day in DAYS})
        flushed.clear()
        table.bring()
        log = table.root / "_delta_log"
        noted = flushed.index(str(tmp_path / ".cursors" / "sales"))
        assert flushed.index(str(log / f"{number:020}.json")) < noted
        assert flushed.index(str(log)) < noted


def test_history_names_runs_and_requests(table: DeltaHistory) -> None:
    table.publish("run/1", {(DAYS[0], ""): [1]})
    table.publish("run/1", {(DAYS[1], ""): [1]})
    table.publish("run/2", {(DAYS[1], ""): [2]})
    table.bring()
    [commit] = table.delta().history()
    assert commit["reloads.runs"] == ["run/1", "run/2"]
    assert commit["reloads.requests"] == ["request of run/1", "request of run/2"]
    assert commit["reloads.commit"] == str(state_of(table.folder).read_head().point)


def test_a_lost_delta_table_is_written_again(table: DeltaHistory) -> None:
    table.publish("run/1", ALL_ONE)
    table.bring()
    shutil.rmtree(table.root)
    table.publish("run/2", {(DAYS[0], ""): [2]})
    table.bring()
    assert table.read() == table.rows(-1)


def test_a_log_that_was_begun_anew_is_shown_whole(table: DeltaHistory) -> None:
    table.publish("run/1", ALL_ONE)
    table.bring()
    shutil.rmtree(log_folder(table.folder.warehouse, "sales"))
    shutil.rmtree(state_folder(table.folder.warehouse, "sales"))
    shutil.rmtree(versions_folder(table.folder.warehouse, "sales"))
    shutil.rmtree(table.folder.folder)
    old = table.rows(-1)
    table.shown.append({})
    table.publish("run/2", {(day, ""): [5] for day in DAYS[:2]})
    table.bring()
    assert table.read() == table.rows(-1)
    assert table.read(version=0) == old


def test_a_log_that_was_put_back_from_a_copy_is_shown_as_it_is(table: DeltaHistory, tmp_path: Path) -> None:
    table.publish("run/1", ALL_ONE)
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    table.publish("run/2", {(day, ""): [2] for day in DAYS})
    table.bring()
    for folder in (log_folder, state_folder):
        place = folder(tmp_path, "sales")
        shutil.rmtree(place)
        shutil.copytree(folder(tmp_path.with_name("copy"), "sales"), place)
    assert table.bring() == 1
    assert table.read() == table.rows(1)


def test_readers_keep_what_they_see_until_all_files_have_the_new_type(table: DeltaHistory) -> None:
    table.publish("run/1", ALL_ONE)
    table.bring()
    old = table.rows(-1)
    table.publish("run/2", {(DAYS[0], ""): ["2"], (DAYS[1], ""): ["2"]}, columns=TEXTS)
    assert table.bring() == 1
    assert table.read() == old
    table.publish("run/3", {(DAYS[2], ""): ["2"]}, columns=TEXTS)
    assert table.bring() == 3
    assert table.read() == table.rows(-1)
    assert table.version() == 1
    assert table.read(version=0) == old


def test_expiry_leaves_what_the_last_snapshot_shows(table: DeltaHistory) -> None:
    for value in range(1, 4):
        table.publish(f"run/{value}", {(day, ""): [value] for day in DAYS})
        table.bring()
    # The versions lie in the past, and were replaced today.
    assert expire_snapshots(table.folder, days=7) == 0
    assert table.read(version=0) == table.rows(1)
    assert table.read() == table.rows(-1)
    table.publish("run/4", {(DAYS[0], ""): [4]})
    assert table.bring() == 4
    assert table.read() == table.rows(-1)


def test_nothing_is_shown_of_a_table_without_commits(table: DeltaHistory) -> None:
    assert table.bring() == 0
    assert read_snapshot(table.folder) is None
    assert expire_snapshots(table.folder, days=7) == 0
