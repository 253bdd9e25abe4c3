"""A table in an object store that several machines publish to: whatever is killed, lost, late or trimmed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.stores.object_store import ObjectStore
from reloads.warehouse.access import open_table, state_of
from reloads.warehouse.commit import Making, Point
from reloads.warehouse.cursors import Cursor, Position, followers
from reloads.warehouse.expiry import expire
from reloads.warehouse.mirror import fetch_files
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication, Published
from reloads.warehouse.publishing import publish
from reloads.warehouse.stored_faults import remove_orphans
from reloads.warehouse.verification import verify_table
from tests.support.process_kill import Killed, killed_after
from tests.support.warehouses import client, keys, on_machine, shown, table

pytestmark = pytest.mark.usefixtures("s3")
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
DAYS = [date(2025, 1, 6), date(2025, 1, 7), date(2025, 2, 4)]
MACHINES = ["a", "b", "c"]
SENTENCE = r"cannot be written \(.*\); make room or grant access$"


def name_of(day: date) -> PartitionName:
    return PartitionName("day", day)


def publication(
    folder: TableFolder, texts: dict[date, str], *, run: str, base: Point | None, now: datetime
) -> Publication:
    place = folder.warehouse / ".staging" / run
    place.mkdir(parents=True, exist_ok=True)
    files: dict[PartitionName, NewFile] = {}
    for day, text in texts.items():
        path = place / f"{day}.parquet"
        path.write_text(text)
        files[name_of(day)] = NewFile(path, len(text), len(text), text, {"v": "INTEGER"})
    making = Making("v1", {}, {}, run, now)
    head = state_of(folder).read_head().point
    requests = {run: Days.of(texts)}
    return Publication(
        "load", run, now, "day", (), base or head, files, makings=dict.fromkeys(files, making), requests=requests
    )


def put(
    folder: TableFolder,
    texts: dict[date, str],
    *,
    run: str = "run",
    base: Point | None = None,
    now: datetime = NOON,
    wanted: Callable[[Days], Days] = lambda days: days,
) -> Published:
    return publish(folder, publication(folder, texts, run=run, base=base, now=now), wanted=wanted)


class Room(NamedTuple):
    """As much of a disk's state as is looked at."""

    f_blocks: int
    f_bavail: int


@dataclass(frozen=True)
class Act:
    """What one machine does next."""

    machine: str
    what: str
    texts: dict[date, str]
    kill_after: int | None


acts = st.builds(
    Act,
    st.sampled_from(MACHINES),
    st.sampled_from(["publish", "publish", "publish", "lose the machine", "expire"]),
    st.dictionaries(st.sampled_from(DAYS), st.sampled_from(["1", "2", "3"]), min_size=1),
    st.none() | st.none() | st.integers(0, 40),
)


@dataclass
class World:
    """The table, and the texts that its partitions have by the promise."""

    folder: TableFolder
    texts: dict[date, str] = field(default_factory=dict)
    number: int = 0

    def act(self, act: Act, at: datetime) -> None:
        machine = on_machine(self.folder, act.machine)
        if act.what == "lose the machine":
            shutil.rmtree(machine.warehouse, ignore_errors=True)
        elif act.what == "expire":
            head = state_of(machine).read_head().point
            expire(machine, now=at + timedelta(days=400), days=0, followed=[head])
        else:
            self.publish(machine, act, at)

    def publish(self, machine: TableFolder, act: Act, at: datetime) -> None:
        try:
            with killed_after(act.kill_after, machine.warehouse):
                put(machine, act.texts, run=f"run/{at:%H%M%S}", now=at)
        except Killed:
            number = state_of(on_machine(self.folder, "looker")).read_head().point.number
            if number == self.number:
                return
        self.texts |= act.texts
        self.number += 1

    def check(self) -> None:
        """Every machine knows the same, whether it has followed, is new, or has long not looked."""
        for machine in (*MACHINES, "another"):
            folder = on_machine(self.folder, machine)
            snapshot = state_of(folder).read_all()
            assert snapshot.head.point.number == self.number
            assert {name.day: entry.content for name, entry in snapshot.entries.items()} == self.texts
            files = folder.published()
            assert fetch_files(folder.warehouse, files.values()) == []
            assert {name.day: file.read_text() for name, file in files.items()} == self.texts


@settings(max_examples=30)
@given(st.lists(acts, max_size=7))
def test_all_machines_know_what_was_published_whichever_of_them_did_it(history: list[Act]) -> None:
    with table("store") as folder:
        world = World(folder)
        for seconds, act in enumerate(history):
            world.act(act, NOON + timedelta(seconds=seconds))
        world.check()
        with open_table(on_machine(folder, "last")):
            pass
        assert {name.day: text for name, text in shown(folder).items()} == world.texts
        # What was killed left nothing but files that nobody sees, and those go.
        remove_orphans(folder, now=datetime.now(UTC) + timedelta(days=2))
        assert verify_table(folder) == []


def test_two_machines_that_publish_at_once_publish_one_after_the_other() -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        put(a, {DAYS[0]: "old", DAYS[1]: "old"})
        begun = state_of(a).read_head().point

        def meanwhile(days: Days) -> Days:
            if state_of(b).read_head().point == begun:
                put(b, {DAYS[0]: "of b"}, run="run/b")
            return days

        result = put(a, {DAYS[0]: "of a", DAYS[1]: "of a"}, run="run/a", base=begun, wanted=meanwhile)
        assert result.kept == {name_of(DAYS[0]): "it was superseded by run/b; ask again if need be"}
        assert shown(folder) == {name_of(DAYS[0]): "of b", name_of(DAYS[1]): "of a"}
        # What a uploaded for the day that it did not publish is gone again.
        assert len(keys(folder, f".versions/sales/day={DAYS[0]}")) == 2


def test_who_shows_an_earlier_commit_late_shows_the_later_one_in_the_end() -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        put(a, {DAYS[0]: "old"})
        real_copy, is_first = ObjectStore.copy, [True]

        def copy_late(store: ObjectStore, keys_by_copy: dict[str, str]) -> list[str]:
            if is_first.pop() if is_first else False:
                put(b, {DAYS[0]: "of b"}, run="run/b")
            return real_copy(store, keys_by_copy)

        with patch.object(ObjectStore, "copy", copy_late):
            put(a, {DAYS[0]: "of a"}, run="run/a")
        assert shown(folder) == {name_of(DAYS[0]): "of b"}


def test_a_machine_that_missed_what_was_trimmed_does_not_publish_under_an_old_number() -> None:
    with table("store") as folder:
        asleep, awake = on_machine(folder, "asleep"), on_machine(folder, "awake")
        put(asleep, {DAYS[0]: "1"})
        for number in range(2, 6):
            put(awake, {DAYS[0]: str(number)})
        head = state_of(awake).read_head().point
        assert expire(awake, now=NOON + timedelta(days=400), days=0, followed=[head]) == 4
        put(asleep, {DAYS[1]: "new"})
        assert state_of(awake).read_head().point.number == 6
        assert shown(folder) == {name_of(DAYS[0]): "5", name_of(DAYS[1]): "new"}


def test_a_commit_that_was_trimmed_leaves_its_number_taken() -> None:
    with table("store") as folder:
        for number in range(3):
            put(folder, {DAYS[0]: str(number)})
        head = state_of(folder).read_head().point
        expire(folder, now=NOON + timedelta(days=400), days=0, followed=[head])
        assert state_of(folder).log.numbers() == []
        assert len(keys(folder, ".log/sales")) == 4  # three numbers, and the checkpoint


def test_who_asks_for_commits_that_were_trimmed_gets_those_that_are_kept(kind: str) -> None:
    with table(kind) as folder:
        for number in range(3):
            put(folder, {DAYS[0]: str(number)})
        point = state_of(folder).read_head().point
        expire(folder, now=NOON + timedelta(days=400), days=0, followed=[Point(point.log, 2)])
        log = state_of(folder).log
        assert [commit.number for commit in log.after(0)] == []
        assert [commit.number for commit in log.after(2)] == [3]
        assert [number in log for number in (1, 2, 3, 4)] == [False, False, True, False]


def test_a_store_that_lost_its_log_is_not_published_to() -> None:
    with table("store") as folder:
        put(folder, {DAYS[0]: "1"})
        client(folder).delete(".log/sales/1.json")
        with pytest.raises(OperatorError, match=r"1\.json is not what .* read there; restore that object or"):
            put(folder, {DAYS[1]: "1"})
        assert keys(folder, ".log/sales") == []


def test_what_a_killed_upload_left_is_seen_by_nobody_and_removed_a_day_later() -> None:
    with table("store") as folder:
        put(folder, {DAYS[0]: "old"})
        with pytest.raises(Killed), patch.object(ObjectStore, "create", side_effect=Killed):
            put(folder, {DAYS[0]: "new", DAYS[1]: "new"})
        assert shown(folder) == {name_of(DAYS[0]): "old"}
        assert len(keys(folder, ".versions/sales")) > 1
        assert remove_orphans(folder, now=datetime.now(UTC)) == 0
        assert remove_orphans(folder, now=datetime.now(UTC) + timedelta(days=2)) > 0
        assert len(keys(folder, ".versions/sales")) == 1
        assert verify_table(folder) == []


def test_a_cursor_is_the_same_on_each_machine() -> None:
    with table("store") as folder:
        a, b = (Cursor(on_machine(folder, machine).warehouse, "sales", "totals") for machine in "ab")
        assert b.read() is None
        a.write(Position(Point("x", 3), asking=Point("x", 4)))
        assert b.read() == Position(Point("x", 3), asking=Point("x", 4))
        b.write(Position(Point("x", 5)))
        assert a.read() == Position(Point("x", 5))
        assert followers(on_machine(folder, "c").warehouse, "sales") == ["totals"]


def test_what_is_not_as_the_log_says_is_found_and_what_loses_nothing_is_mended() -> None:
    with table("store") as folder:
        put(folder, dict.fromkeys(DAYS, "rows"))
        store = client(folder)
        store.put(f"sales/day={DAYS[0]}/data.parquet", b"another")
        store.delete(f"sales/day={DAYS[1]}/data.parquet")
        store.put("sales/day=2025-09-09/data.parquet", b"stranger")
        assert sorted(fault.sentence.partition("sales/")[2] for fault in verify_table(folder, is_repairing=True)) == [
            f"day={DAYS[0]}/data.parquet is another file; copy it again with --repair",
            f"day={DAYS[1]}/data.parquet is gone; copy it again with --repair",
            "day=2025-09-09/data.parquet was not published from here; move it away",
        ]
        [left] = verify_table(folder)
        assert "2025-09-09" in left.sentence
        store.delete("sales/day=2025-09-09/data.parquet")
        [version] = keys(folder, f".versions/sales/day={DAYS[2]}")
        store.delete(version)
        [fault] = verify_table(folder)
        assert fault.sentence.endswith(f"{version} is gone; reload day={DAYS[2]}")


def test_a_mirror_that_cannot_be_made_is_said_in_a_sentence() -> None:
    with table("store") as folder:
        put(folder, {DAYS[0]: "a"})
        other = on_machine(folder, "b")
        other.warehouse.parent.symlink_to("a disk that is not there")

        with pytest.raises(OperatorError, match=SENTENCE):
            state_of(other).read_head()
        with pytest.raises(OperatorError, match=SENTENCE), open_table(other):
            pytest.fail("it cannot be held")


def test_nothing_but_what_somebody_needs_comes_to_a_machine() -> None:
    with table("store") as folder:
        put(folder, dict.fromkeys(DAYS, "rows"))
        other = on_machine(folder, "other")
        files = other.published()
        assert not any(file.exists() for file in files.values())
        wanted = files[name_of(DAYS[0])]
        assert fetch_files(other.warehouse, [wanted, Path(f"{wanted}x")]) == [Path(f"{wanted}x")]
        assert [file.exists() for file in files.values()] == [True, False, False]


def test_a_mirror_gives_up_what_was_not_needed_for_longest_while_its_disk_is_almost_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with table("store") as folder:
        put(folder, dict.fromkeys(DAYS, "rows"))
        other = on_machine(folder, "other")
        files = other.published()
        assert fetch_files(other.warehouse, [files[name_of(day)] for day in DAYS[:2]]) == []
        for file, hours in zip(files.values(), (3, 2), strict=False):
            os.utime(file, (time.time() - hours * 3600,) * 2)
        room = os.statvfs(other.warehouse)
        # Almost full until one of the two is gone.
        free = [0.1, 0.1, 0.3]
        monkeypatch.setattr(os, "statvfs", lambda _: Room(room.f_blocks, int(room.f_blocks * free.pop(0))))
        assert fetch_files(other.warehouse, [files[name_of(DAYS[2])]]) == []
        assert [file.exists() for file in files.values()] == [False, True, True]


def test_a_mirror_keeps_what_somebody_has_just_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with table("store") as folder:
        put(folder, dict.fromkeys(DAYS, "rows"))
        files = folder.published()
        room = os.statvfs(folder.warehouse)
        monkeypatch.setattr(os, "statvfs", lambda _: Room(room.f_blocks, 0))
        other = on_machine(folder, "other")
        for day in DAYS:
            assert fetch_files(other.warehouse, [other.published()[name_of(day)]]) == []
        assert all(file.exists() for file in (*files.values(), *other.published().values()))
