"""A table that one machine moves in an object store, while others know it by its old name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import RequestError
from reloads.stores.object_store import ObjectStore
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.commit_log import CommitLog, ConflictError
from reloads.warehouse.cursors import Cursor, Position, followers
from reloads.warehouse.expiry import expire
from reloads.warehouse.log_ends import HeldError
from reloads.warehouse.mirror import Mirror, fetch_files, mirror_of
from reloads.warehouse.move_notes import TableMove
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.stored_faults import remove_orphans
from reloads.warehouse.stored_move import StoredMove, list_stored, plan_stored_move
from reloads.warehouse.verification import verify_table
from tests.support.process_kill import Killed, killed_after
from tests.support.warehouses import all_keys, keys, on_machine, read, shown, table
from tests.unit.warehouse.test_mirror import DAYS, MACHINES, NOON, put

pytestmark = pytest.mark.usefixtures("s3")
RENAME = TableMove("rename", "sales", "orders")
DROP = TableMove("drop", "sales", "sales@20250301T120000Z")
RESTORE = TableMove("restore", "sales", DROP.other)


def named(folder: TableFolder, name: str) -> TableFolder:
    return TableFolder(folder.warehouse, name, folder.day_column, folder.keys)


def mirror(folder: TableFolder) -> Mirror:
    found = mirror_of(folder.warehouse)
    assert found
    return found


def carry_out(folder: TableFolder, move: TableMove) -> None:
    """Move the table on the machine of that folder, as if the move was noted already if it has its logs."""
    planned = move if move.logs else plan_stored_move(mirror(folder), move)
    stored = StoredMove(mirror(folder), planned)
    stored.claim()
    stored.carry_out()


def texts_of(folder: TableFolder) -> dict[date, str]:
    """What the machine of that folder knows and reads of the table."""
    files = folder.published()
    assert fetch_files(folder.warehouse, files.values()) == []
    return {name.day: file.read_text() for name, file in files.items()}


def shown_texts(folder: TableFolder) -> dict[date, str]:
    return {name.day: text for name, text in shown(folder).items()}


def is_left(folder: TableFolder, name: str) -> bool:
    """Whether the store has more of a name than that its numbers are taken."""
    of_name = [key for key in all_keys(folder) if name in key.split("/")]
    return any(not key.startswith(".log/") or b'"act"' in read(folder, key) for key in of_name)


def test_other_machines_see_a_renamed_table_under_its_new_name_and_go_on_from_there() -> None:
    with table("store") as folder:
        a, b, c = (on_machine(folder, machine) for machine in "abc")
        put(a, {DAYS[0]: "1", DAYS[1]: "1"})
        put(b, {DAYS[0]: "2"})
        Cursor(a.warehouse, "sales", "totals").write(Position(state_of(a).read_head().point))
        Cursor(a.warehouse, "inputs", "sales").write(Position(Point("x", 3)))
        Cursor(a.warehouse, "sales", "sales").write(Position(Point("x", 4)))
        log = [commit.number for commit in state_of(b).log.after(0)]
        carry_out(a, RENAME)
        assert not is_left(folder, "sales")
        for machine in (a, b, c):
            assert texts_of(machine) == {}
            orders = named(machine, "orders")
            assert texts_of(orders) == {DAYS[0]: "2", DAYS[1]: "1"}
            assert [commit.number for commit in state_of(orders).log.after(0)] == log
            assert Cursor(machine.warehouse, "orders", "totals").read() == Position(state_of(orders).read_head().point)
            assert Cursor(machine.warehouse, "inputs", "orders").read() == Position(Point("x", 3))
            assert Cursor(machine.warehouse, "orders", "orders").read() == Position(Point("x", 4))
            assert followers(machine.warehouse, "orders") == ["orders", "totals"]
        put(named(b, "orders"), {DAYS[0]: "3"})
        assert texts_of(named(c, "orders"))[DAYS[0]] == "3"
        assert shown_texts(named(folder, "orders")) == {DAYS[0]: "3", DAYS[1]: "1"}
        assert verify_table(named(a, "orders")) == []


@pytest.mark.parametrize("move", [RENAME, DROP])
def test_what_was_begun_before_the_table_was_moved_is_not_published(move: TableMove) -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        put(a, {DAYS[0]: "1"})
        begun = state_of(b).read_head().point

        def meanwhile(days: Days) -> Days:
            if keys(folder, "sales"):
                carry_out(a, move)
            return days

        with pytest.raises(
            RequestError, match="sales was renamed or dropped since this was begun, and nothing of it is"
        ):
            put(b, {DAYS[0]: "2"}, run="late", base=begun, wanted=meanwhile)
        assert not is_left(folder, "sales")
        # One that has slept and has not even looked.
        with pytest.raises(RequestError, match="sales was renamed or dropped since this was begun"):
            put(on_machine(folder, "c"), {DAYS[0]: "2"}, run="late", base=begun)
        assert not is_left(folder, "sales")


def test_what_was_begun_for_a_table_that_was_never_published_is_not_published_for_the_next_one_of_its_name() -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        begun = state_of(b).read_head().point
        put(a, {DAYS[0]: "1"})
        carry_out(a, RENAME)
        with pytest.raises(RequestError, match="sales was renamed or dropped since this was begun"):
            put(b, {DAYS[1]: "2"}, run="late", base=begun)
        assert not is_left(folder, "sales")


def test_what_another_machine_publishes_just_before_the_log_ends_moves_with_the_table() -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        put(a, {DAYS[0]: "1"})
        real_create, is_first = ObjectStore.create, [True]

        def create_late(store: ObjectStore, key: str, data: bytes) -> None:
            if key == ".log/sales/2.json" and is_first and is_first.pop():
                put(b, {DAYS[0]: "of b", DAYS[1]: "of b"}, run="run/b")
            real_create(store, key, data)

        with patch.object(ObjectStore, "create", create_late):
            carry_out(a, RENAME)
        assert texts_of(named(a, "orders")) == {DAYS[0]: "of b", DAYS[1]: "of b"}
        assert shown_texts(named(folder, "orders")) == texts_of(named(b, "orders"))


@pytest.mark.parametrize("move", [RENAME, DROP])
def test_a_new_table_of_the_old_name_begins_cleanly_on_all_machines(move: TableMove) -> None:
    with table("store") as folder:
        awake, asleep = on_machine(folder, "awake"), on_machine(folder, "asleep")
        for text in "12":
            put(asleep, {DAYS[0]: text, DAYS[1]: text})
        carry_out(awake, move)
        put(awake, {DAYS[2]: "new"})
        for machine in (awake, asleep, on_machine(folder, "fresh")):
            assert texts_of(machine) == {DAYS[2]: "new"}
            assert verify_table(machine) == []
            assert [commit.changed_days() for commit in state_of(machine).log.after(1)] == [Days.of([DAYS[2]])]
        put(asleep, {DAYS[0]: "newer"})
        assert texts_of(awake) == shown_texts(folder) == {DAYS[0]: "newer", DAYS[2]: "new"}


def test_while_a_table_is_moved_no_machine_reads_or_publishes_it_under_either_name_and_another_one_can_go_on() -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        put(b, {DAYS[0]: "1"})
        planned = plan_stored_move(mirror(a), RENAME)
        with pytest.raises(Killed), patch.object(ObjectStore, "copy", side_effect=Killed):
            carry_out(a, planned)
        sentence = r"is being moved by reloads rename sales orders; wait for it, or give that command again"
        for name in ("sales", "orders"):
            with pytest.raises(HeldError, match=f"{name} {sentence}"):
                put(named(b, name), {DAYS[0]: "2"}, base=Point())
            with pytest.raises(HeldError, match=f"{name} {sentence}"):
                named(on_machine(folder, "c"), name).published()
            with pytest.raises(HeldError, match=f"{name} {sentence}"):
                plan_stored_move(mirror(b), TableMove("drop", name, f"{name}@x"))
        carry_out(b, planned)
        assert texts_of(named(a, "orders")) == shown_texts(named(folder, "orders")) == {DAYS[0]: "1"}


def test_a_name_that_another_machine_takes_first_is_not_taken_from_it() -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        put(a, {DAYS[0]: "1"})
        planned = plan_stored_move(mirror(a), RENAME)
        put(named(b, "orders"), {DAYS[0]: "of b"})
        before = all_keys(folder)
        with pytest.raises(
            RequestError, match="'orders' is taken, another machine published a table of that name just"
        ):
            carry_out(a, planned)
        assert all_keys(folder) == before
        assert texts_of(a) == {DAYS[0]: "1"}
        assert texts_of(named(a, "orders")) == {DAYS[0]: "of b"}
        assert list_stored(mirror(a), "orders") != []


@pytest.mark.parametrize("text", ["", "new"])
def test_who_is_late_to_show_a_table_that_was_moved_shows_nothing_of_it(text: str) -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        put(a, {DAYS[0]: "1", DAYS[1]: "1"})
        real_copy, is_first = ObjectStore.copy, [True]

        def copy_early(store: ObjectStore, keys_by_copy: dict[str, str]) -> list[str]:
            copied = real_copy(store, keys_by_copy)
            if is_first and is_first.pop():
                carry_out(a, RENAME)
                if text:
                    put(a, {DAYS[0]: text})
                # It was under way while the others did all of that.
                store.write(f"sales/day={DAYS[0]}/data.parquet", b"late")
                store.write(f"sales/day={DAYS[1]}/data.parquet", b"late")
            return copied

        with patch.object(ObjectStore, "copy", copy_early):
            put(b, {DAYS[0]: "2", DAYS[1]: "2"})
        assert shown_texts(folder) == ({DAYS[0]: text} if text else {})
        assert shown_texts(named(folder, "orders")) == {DAYS[0]: "2", DAYS[1]: "2"}


def test_a_table_that_comes_back_is_shown_though_somebody_noted_late_that_it_is() -> None:
    with table("store") as folder:
        put(folder, {DAYS[0]: "1"})
        head = state_of(folder).read_head().point
        carry_out(folder, DROP)
        mirror(folder).store.write(".view/sales.json", str(head).encode())
        carry_out(on_machine(folder, "other"), RESTORE)
        assert shown_texts(folder) == texts_of(folder) == {DAYS[0]: "1"}


def test_a_log_that_was_trimmed_moves_with_what_stands_for_it() -> None:
    with table("store") as folder:
        for number in range(4):
            put(folder, {DAYS[0]: str(number), DAYS[1]: "same"})
        head = state_of(folder).read_head().point
        expire(folder, now=NOON + timedelta(days=400), days=0, followed=[Point(head.log, 3)])
        for move in (RENAME, TableMove("drop", "orders", "orders@x"), TableMove("restore", "orders", "orders@x")):
            carry_out(on_machine(folder, move.act), move)
        fresh = named(on_machine(folder, "fresh"), "orders")
        assert texts_of(fresh) == {DAYS[0]: "3", DAYS[1]: "same"}
        assert state_of(fresh).read_head().point == head
        assert state_of(fresh).log.numbers() == [4]
        assert verify_table(fresh) == []


def test_what_was_not_published_from_here_stays_where_it_is() -> None:
    with table("store") as folder:
        put(folder, {DAYS[0]: "1"})
        mirror(folder).store.write("sales/mine.txt", b"mine")
        carry_out(folder, DROP)
        assert keys(folder, "sales") == ["sales/mine.txt"]


def test_a_table_that_was_never_published_moves_too() -> None:
    with table("store") as folder:
        carry_out(folder, RENAME)
        for name in ("sales", "orders"):
            put(named(on_machine(folder, name), name), {DAYS[0]: name})
            assert texts_of(named(folder, name)) == {DAYS[0]: name}


def test_no_number_of_a_log_that_ended_is_ever_free_again() -> None:
    with table("store") as folder:
        for text in "123":
            put(folder, {DAYS[0]: text})
        log = CommitLog(folder.warehouse, "sales", place="")
        commits = list(log.after(0))
        carry_out(folder, RENAME)
        for number in (1, 2, 3, 4):
            with pytest.raises(ConflictError):
                log.create(replace(commits[0], point=Point("late", number)))


def test_who_was_believed_dead_and_goes_on_with_a_move_does_no_harm_to_the_next_table_of_the_name() -> None:
    with table("store") as folder:
        a, b = on_machine(folder, "a"), on_machine(folder, "b")
        put(a, {DAYS[0]: "1", DAYS[1]: "1"})
        planned = plan_stored_move(mirror(a), RENAME)
        for step in ("copy", "copy_new", "remove", "write_all"):
            real_step, is_first = getattr(ObjectStore, step), [True]

            def step_late(store: ObjectStore, *arguments: Any, step: Any = real_step, first: Any = is_first) -> Any:
                if first and first.pop():
                    carry_out(b, planned)
                    put(b, {DAYS[0]: "new"})
                return step(store, *arguments)

            with patch.object(ObjectStore, step, step_late):
                carry_out(a, planned)
            for machine in (a, b):
                assert texts_of(named(machine, "orders")) == {DAYS[0]: "1", DAYS[1]: "1"}
            if step in ("copy", "copy_new", "write_all"):
                assert texts_of(a) == shown_texts(folder) == {DAYS[0]: "new"}
                assert verify_table(b) == []


# whatever happens


@dataclass(frozen=True)
class Act:
    """What one machine does next."""

    machine: str
    what: str
    name: str
    text: str
    kill_after: int | None


acts = st.builds(
    Act,
    st.sampled_from(MACHINES),
    st.sampled_from(["publish", "publish", "rename", "rename", "drop", "restore"]),
    st.sampled_from(["sales", "orders"]),
    st.sampled_from(["1", "2"]),
    st.none() | st.integers(0, 30),
)


@dataclass
class World:
    """Two names, and the texts of the tables that have them by the promise."""

    folder: TableFolder
    texts: dict[str, dict[date, str]] = field(default_factory=dict)
    dropped: dict[str, tuple[str, dict[date, str]]] = field(default_factory=dict)
    """By name, the folder and the texts of the table that was dropped last."""

    def act(self, act: Act, at: datetime) -> None:
        other = "orders" if act.name == "sales" else "sales"
        is_there = act.name in self.texts
        if act.what == "publish":
            place = named(on_machine(self.folder, act.machine), act.name)
            put(place, {DAYS[0]: act.text, DAYS[1]: "x"}, run=f"run/{at:%H%M%S}", now=at)
            self.texts[act.name] = {DAYS[0]: act.text, DAYS[1]: "x"}
        elif act.what == "rename" and is_there and other not in self.texts:
            self.move(act, TableMove("rename", act.name, other))
            self.texts[other] = self.texts.pop(act.name)
        elif act.what == "drop" and is_there:
            dropped = f"{act.name}@{at:%H%M%S}"
            self.move(act, TableMove("drop", act.name, dropped))
            self.dropped[act.name] = dropped, self.texts.pop(act.name)
        elif act.what == "restore" and not is_there and act.name in self.dropped:
            dropped, texts = self.dropped.pop(act.name)
            self.move(act, TableMove("restore", act.name, dropped))
            self.texts[act.name] = texts

    def move(self, act: Act, move: TableMove) -> None:
        """Whoever was killed, another machine goes on by the note."""
        machine = on_machine(self.folder, act.machine)
        planned = plan_stored_move(mirror(machine), move)
        try:
            with killed_after(act.kill_after, machine.warehouse):
                carry_out(machine, planned)
        except Killed:
            carry_out(on_machine(self.folder, MACHINES[MACHINES.index(act.machine) - 1]), planned)

    def check(self) -> None:
        for machine in (*MACHINES, "another"):
            for name in ("sales", "orders"):
                assert texts_of(named(on_machine(self.folder, machine), name)) == self.texts.get(name, {})
        for name in ("sales", "orders"):
            place = named(self.folder, name)
            assert shown_texts(place) == self.texts.get(name, {})
            remove_orphans(place, now=datetime.now(UTC) + timedelta(days=2))
            assert verify_table(place) == []


@settings(max_examples=30)
@given(st.lists(acts, max_size=10))
def test_all_machines_know_each_table_by_the_name_that_it_has_now(history: list[Act]) -> None:
    with table("store") as folder:
        world = World(folder)
        for seconds, act in enumerate(history):
            world.act(act, NOON + timedelta(seconds=seconds))
        world.check()
