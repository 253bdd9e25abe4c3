"""Snapshots as a Delta table: random runs beside a model in dicts, and all of its readers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Commit, Point
from reloads.warehouse.delta_table import bring_snapshot, expire_snapshots, find_whole_end
from tests.support.delta_history import (
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    DeltaHistory,
    Place,
    brute_force_end,
    delta_history,
)
from tests.support.process_kill import Killed, killed_after

KEYS = ["a", "é/ö", "a b", "50%", "x=y", "%2F", "+&?#", "it's", "[*]"]


@dataclass(frozen=True)
class Step:
    """What happens next: a commit of one of three runs, or its end; and whether the snapshot is brought then."""

    run: int
    values: dict[Place, list[int]]
    is_end: bool
    is_brought: bool


places = st.tuples(st.sampled_from([MONDAY, TUESDAY, WEDNESDAY]), st.sampled_from(KEYS))
values = st.dictionaries(places, st.lists(st.integers(0, 2), max_size=2), min_size=1, max_size=4)
steps = st.builds(Step, st.integers(0, 2), values, st.booleans(), st.booleans())


@settings(max_examples=25)
@given(st.lists(steps, min_size=1, max_size=9), st.sampled_from([(), ("k",)]))
def test_readers_see_each_run_whole_or_not_at_all(kind: str, history: list[Step], keys: tuple[str, ...]) -> None:
    with delta_history(keys, kind) as table:
        lives = [0, 0, 0]
        open_runs: set[str] = set()
        commit_by_version: list[int] = []
        last = Step(0, {}, is_end=False, is_brought=True)
        for step in [*history, last]:
            run = f"run/{step.run}.{lives[step.run]}"
            some = step.values if keys else {(day, ""): of_day for (day, _), of_day in step.values.items()}
            table.publish(run, some)
            open_runs.add(run)
            if step.is_end:
                open_runs.discard(run)
                lives[step.run] += 1
            if step is last:
                open_runs.clear()
            if step.is_brought:
                bring_and_check(table, open_runs, commit_by_version)
        for version, commit in enumerate(commit_by_version):
            assert table.read_with_pyarrow(version) == table.rows(commit)
            assert table.read_with_polars(version) == table.rows(commit)


def bring_and_check(table: DeltaHistory, open_runs: set[str], commit_by_version: list[int]) -> None:
    end = table.last_whole_commit(open_runs)
    if not commit_by_version and open_runs:
        # The first snapshot is of all that is published, so it waits until nobody is at work.
        end = 0
    assert table.bring(open_runs=open_runs) == end
    if end != (commit_by_version[-1] if commit_by_version else 0):
        commit_by_version.append(end)
    assert table.version() == len(commit_by_version) - 1
    if commit_by_version:
        table.check(end)
        assert [int(point.partition("@")[0]) for point in table.points()] == commit_by_version
    assert table.bring(open_runs=open_runs) == end
    assert table.version() == len(commit_by_version) - 1


def commits_of(runs: list[str]) -> list[Commit]:
    commits: list[Commit] = []
    for number, run in enumerate(runs, 1):
        commits.append(Commit(Point("log", number), "sales", "load", run, 0, "day", (), after={}))
    return commits


@given(st.lists(st.sampled_from("abcd"), max_size=10), st.sets(st.sampled_from("abcd")))
def test_the_whole_end_is_the_longest_beginning_that_cuts_no_run(runs: list[str], open_runs: set[str]) -> None:
    assert find_whole_end(commits_of(runs), open_runs) == brute_force_end(runs, open_runs)


def test_a_commit_behind_the_given_end_is_not_counted_and_says_what_is_not_whole() -> None:
    commits = commits_of(["a", "b", "c", "b", "c"])
    ends = [find_whole_end(commits, (), until=until) for until in range(6)]
    assert ends == [0, 1, 1, 1, 1, 5]


def make_pending(table: DeltaHistory) -> None:
    """Two commits in the snapshot, and two more that are not: a partition is replaced, one comes and one goes."""
    table.publish("run/1", {(MONDAY, "a b"): [1], (TUESDAY, "50%"): [2]})
    table.publish("run/2", {(MONDAY, "c"): [3]})
    table.bring()
    table.publish("run/3", {(MONDAY, "a b"): [4, 5], (WEDNESDAY, "d"): [6]})
    table.publish("run/3", {(TUESDAY, "50%"): []})


def check_that_it_is_completed(table: DeltaHistory) -> None:
    """Readers see the old rows or the new ones; whoever comes next brings the new ones, once."""
    head = len(table.runs)
    if table.version() >= 0:
        assert table.read_with_pyarrow() in (table.rows(head - 2), table.rows(head))
    assert table.bring() == head
    table.check(head)
    assert len(set(table.points())) == len(table.points())
    version = table.version()
    assert table.bring() == head
    assert table.version() == version
    if version:
        assert table.read_with_pyarrow(0) == table.rows(2)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_snapshot_that_was_killed_at_any_step_is_completed_by_the_next(*, is_first: bool) -> None:
    for number in count():
        with delta_history(("k",)) as table:
            make_pending(table)
            if is_first:
                shutil.rmtree(table.root)
                shutil.rmtree(table.folder.warehouse / ".cursors")
            is_killed = False
            try:
                with killed_after(number, table.folder.warehouse):
                    table.bring()
            except Killed:
                is_killed = True
            check_that_it_is_completed(table)
            if not is_killed:
                assert number > 5
                return


@pytest.mark.parametrize("is_made", [True, False], ids=["after the commit of Delta", "before it"])
def test_a_snapshot_that_was_killed_beside_the_commit_of_delta_is_completed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, *, is_made: bool
) -> None:
    make = DeltaTable.create_write_transaction

    def make_and_die(*arguments: Any, **options: Any) -> None:
        if is_made:
            make(*arguments, **options)
        raise Killed

    with delta_history(("k",)) as table:
        make_pending(table)
        monkeypatch.setattr(DeltaTable, "create_write_transaction", make_and_die)
        with pytest.raises(Killed):
            table.bring()
        monkeypatch.undo()
        assert table.version() == (1 if is_made else 0)
        check_that_it_is_completed(table)
        assert table.version() == 1


DIE_AT = """
import os, sys
from pathlib import Path
from reloads.warehouse.cursors import Cursor
from reloads.warehouse.delta_table import bring_snapshot
from reloads.warehouse.partitions import TableFolder
Cursor.write = lambda *_: os._exit(9)
bring_snapshot(TableFolder(Path(sys.argv[1]), "sales", "day", ("k",)))
"""


def test_a_process_that_died_behind_the_commit_of_delta_leaves_nothing_to_repeat() -> None:
    with delta_history(("k",)) as table:
        make_pending(table)
        died = subprocess.run([sys.executable, "-c", DIE_AT, table.folder.warehouse], check=False)
        assert died.returncode == 9
        assert table.version() == 1
        check_that_it_is_completed(table)
        assert table.version() == 1


def test_a_delta_table_that_was_lost_is_made_anew_though_nothing_was_published_since() -> None:
    with delta_history(("k",)) as table:
        make_pending(table)
        table.bring()
        shutil.rmtree(table.root)
        table.bring()
        table.check(4)
        assert table.version() == 0


@pytest.mark.parametrize("lost", [[".log", ".state"], [".log", ".state", ".versions"]], ids=" ".join)
def test_after_its_log_was_lost_a_table_keeps_its_snapshot_until_all_is_in_the_new_log(lost: list[str]) -> None:
    with delta_history(("k",)) as table:
        make_pending(table)
        table.bring()
        for folder in lost:
            shutil.rmtree(table.folder.warehouse / folder)
        # One was removed as well, which no commit of the new log says.
        shutil.rmtree(table.folder.folder / str(table.name((MONDAY, "c"))))
        table.bring()
        table.check(4)
        table.publish("run/4", {(MONDAY, "a b"): [7]})
        table.bring()
        table.check(4)
        table.publish("run/5", {(WEDNESDAY, "d"): [8]})
        table.bring()
        table.shown[-1] = {(MONDAY, "a b"): [7], (WEDNESDAY, "d"): [8]}
        table.check(-1)
        table.publish("run/6", {(WEDNESDAY, "d"): [9]})
        table.bring()
        assert [table.read_with_polars(version) for version in range(4)] == [
            table.rows(number) for number in (2, 4, 6, 7)
        ]


def test_a_warehouse_that_was_put_back_from_a_copy_is_shown_as_it_is_now(tmp_path: Path) -> None:
    with delta_history(("k",)) as table:
        make_pending(table)
        shutil.copytree(table.folder.warehouse, tmp_path / "copy", ignore=shutil.ignore_patterns(".delta"))
        old = table.shown[-1]
        table.publish("run/4", {(TUESDAY, "new"): [7], (MONDAY, "c"): []})
        table.publish("run/5", {(MONDAY, "a b"): [8]})
        table.bring()
        shutil.move(table.root, tmp_path / "delta")
        shutil.rmtree(table.folder.warehouse)
        shutil.copytree(tmp_path / "copy", table.folder.warehouse)
        shutil.copytree(tmp_path / "delta", table.root)
        table.shown.append(old)
        table.publish("run/6", {(WEDNESDAY, "d"): [9]})
        table.bring()
        table.check(-1)
        assert [table.read_with_pyarrow(version) for version in (0, 1)] == [table.rows(2), table.rows(6)]


def test_files_of_before_a_column_came_show_null_in_it() -> None:
    with delta_history() as table:
        table.publish("run/1", {(MONDAY, ""): [1], (TUESDAY, ""): [2]})
        table.bring()
        table.publish("run/2", {(TUESDAY, ""): [(3, "x")]}, columns={"v": "INTEGER", "w": "VARCHAR"})
        table.bring()
        table.shown[-1] = {(MONDAY, ""): [(1, None)], (TUESDAY, ""): [(3, "x")]}
        table.check(2)
        assert table.read_with_polars(0) == table.rows(1)


def test_a_column_of_another_type_is_shown_in_one_commit_once_all_is_reloaded() -> None:
    with delta_history() as table:
        table.publish("run/1", {(MONDAY, ""): [1], (TUESDAY, ""): [2]})
        table.bring()
        table.publish("run/2", {(TUESDAY, ""): ["3"]}, columns={"v": "VARCHAR"})
        assert table.bring() == 1
        table.check(1)
        table.publish("run/3", {(MONDAY, ""): ["4"]}, columns={"v": "VARCHAR"})
        assert table.bring() == 3
        table.check(3)
        assert table.version() == 1
        assert table.read_with_pyarrow(0) == table.rows(1)
        table.publish("run/4", {(MONDAY, ""): ["5"]}, columns={"v": "VARCHAR"})
        table.bring()
        table.check(4)


@given(st.lists(st.tuples(values, st.booleans()), min_size=2, max_size=6))
@settings(max_examples=10)
def test_expiry_takes_no_file_that_the_current_snapshot_or_a_kept_one_has(
    history: list[tuple[dict[Place, list[int]], bool]],
) -> None:
    with delta_history(("k",)) as table:
        for number, (some, is_old) in enumerate([({(MONDAY, "a b"): [1]}, True), *history]):
            table.publish(f"run/{number}", some)
            table.bring()
            if is_old:
                let_it_be_long_ago(table)
        brought = len(table.points())
        removed = expire_snapshots(table.folder, days=7)
        table.check(-1)
        # No removal lies a week back: Delta notes when a file was taken out, and that is now.
        assert removed == 0
        assert [table.read_with_pyarrow(version) for version in range(brought)] == [
            table.rows(int(point.partition("@")[0])) for point in table.points()
        ]
        table.publish("run", {(TUESDAY, "a b"): [5]})
        table.bring()
        table.check(-1)


def let_it_be_long_ago(table: DeltaHistory) -> None:
    for path in table.root.rglob("*.parquet"):
        os.utime(path, (0, 0))


def files_of(table: DeltaHistory) -> set[Path]:
    return {path.relative_to(table.root) for path in table.root.glob("day=*/**/*.parquet")}


def test_files_that_were_taken_out_long_ago_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    with delta_history(("k",)) as table:
        table.publish("run/1", {(MONDAY, "50%"): [1], (MONDAY, "a/b"): [2], (TUESDAY, "c"): [3]})
        table.bring()
        long_ago = time.time_ns() - int(timedelta(days=9).total_seconds()) * 10**9
        with monkeypatch.context() as patches:
            patches.setattr(time, "time_ns", lambda: long_ago)
            table.publish("run/2", {(MONDAY, "50%"): [4], (MONDAY, "a/b"): []})
            table.bring()
        table.publish("run/3", {(TUESDAY, "c"): [5]})
        table.bring()
        # A killed one left a link that no snapshot has.
        orphan = table.root / str(table.name((TUESDAY, "c"))) / "9-9-left.parquet"
        os.link(next(orphan.parent.glob("*.parquet")), orphan)
        let_it_be_long_ago(table)
        before = files_of(table)
        assert expire_snapshots(table.folder, days=7) == 3
        after = files_of(table)
        assert sorted(str(path.parent) for path in before - after) == [
            "day=2025-01-06/k=50%25",
            "day=2025-01-06/k=a%2Fb",
            "day=2025-01-07/k=c",
        ]
        table.check(3)
        assert table.read_with_polars(1) == table.rows(2)
        table.publish("run/4", {(MONDAY, "50%"): [6]})
        table.bring()
        table.check(4)


def test_the_first_snapshot_waits_for_what_came_after_somebody_looked_which_runs_are_open() -> None:
    with delta_history() as table:
        table.publish("run/1", {(MONDAY, ""): [1]})
        end = state_of(table.folder).read_head().point
        table.publish("run/2", {(TUESDAY, ""): [2]})
        assert bring_snapshot(table.folder, until=end).number == 0
        assert table.version() == -1
        assert table.bring() == 2
        table.check(2)


def test_an_earlier_snapshot_shows_its_rows_though_a_new_log_gave_its_numbers_again() -> None:
    with delta_history() as table:
        monday, tuesday = (MONDAY, ""), (TUESDAY, "")
        changes: list[dict[Place, list[int]]] = [{monday: [1], tuesday: [2]}, {monday: []}, {monday: [3]}, {monday: []}]
        for number, some in enumerate(changes):
            table.publish(f"run/{number}", some)
            table.bring()
        next((table.folder.warehouse / ".versions").rglob("3.parquet")).unlink()
        for folder in (".log", ".state"):
            shutil.rmtree(table.folder.warehouse / folder)
        # The second commit of the new log takes over the file of Tuesday.
        table.publish("run/4", {monday: [4], tuesday: [5]})
        assert table.bring() == 3
        assert [table.read_with_pyarrow(version) for version in range(5)] == [table.rows(n) for n in (1, 2, 3, 4, 5)]
