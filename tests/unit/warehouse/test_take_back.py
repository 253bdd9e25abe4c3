"""Undo by the log: random loads and undos of several requests, beside a model that remembers contents in a chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.warehouse.access import open_table, state_of
from reloads.warehouse.current_view import version_path
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from tests.support.commit_history import History, history
from tests.support.process_kill import Killed, killed_after

MONDAY, TUESDAY = date(2025, 1, 6), date(2025, 2, 4)
PLACES = [(day, key) for day in (MONDAY, TUESDAY) for key in ("a", "b")]


@dataclass(frozen=True)
class Content:
    """A content of one partition ('' is none), who brought it, and what was there before that."""

    text: str = ""
    request: str = ""
    before: Content | None = None


@dataclass
class Model:
    """Which content each partition has, and what the last undo of it took away."""

    contents: dict[PartitionName, Content] = field(default_factory=dict)
    taken: dict[PartitionName, tuple[str, Content]] = field(default_factory=dict)
    """The last act if it was an undo, and the content that it took away."""

    def load(self, name: PartitionName, text: str, request: str) -> None:
        content = self.contents.get(name, Content())
        if content.text != text:
            self.contents[name] = Content(text, request, content)
            self.taken.pop(name, None)

    def undo(self, name: PartitionName, request: str, undo: str) -> bool:
        content = self.contents.get(name, Content())
        if name in self.taken and self.taken[name][0] == request:
            self.contents[name], self.taken[name] = self.taken[name][1], (undo, content)
            return True
        if not request or content.request != request:
            return False
        before = content
        while before.before is not None and before.request == request:
            before = before.before
        self.contents[name], self.taken[name] = before, (undo, content)
        return True


loads = st.tuples(
    st.just("load"),
    st.sampled_from(["r", "s", "t"]),
    st.dictionaries(st.sampled_from(PLACES), st.sampled_from(["", "1", "2", "3"]), min_size=1),
    st.booleans(),
)
undos = st.tuples(st.just("undo"), st.integers(0, 5), st.none() | st.integers(0, 30), st.none())


@given(st.lists(loads | undos, max_size=9), st.sampled_from([(), ("k",)]))
def test_an_undo_puts_back_what_was_there_before_the_request(
    kind: str, acts: list[tuple[str, object, object, object]], keys: tuple[str, ...]
) -> None:
    with history(keys, kind) as here:
        model, asked = Model(), ["r", "s", "t"]
        for act, who, what, is_whole in acts:
            if act == "load":
                assert isinstance(what, dict)
                texts = {here.name(place): text for place, text in what.items()}
                here.load(texts, str(who), is_whole=bool(is_whole and keys))
                for name, text in texts.items():
                    model.load(name, text, str(who))
            else:
                assert isinstance(who, int)
                request, undo = asked[who % len(asked)], f"u{len(asked)}"
                try:
                    with killed_after(what if isinstance(what, int) else None, here.folder.warehouse):
                        here.undo(request, undo)
                except Killed:
                    with open_table(here.folder):
                        pass
                    # The same command, again.
                    here.undo(request, undo)
                done = [model.undo(here.name(place), request, undo) for place in dict.fromkeys(PLACES)]
                if any(done):
                    asked.append(undo)
            assert here.shown() == {name: content.text for name, content in model.contents.items() if content.text}


@pytest.fixture
def here(tmp_path: Path) -> History:
    return History(TableFolder(tmp_path, "sales", "day"))


@pytest.mark.parametrize("kept", ["", "1"])
def test_what_came_out_as_before_is_still_taken_back_so_that_what_came_earlier_can_be(here: History, kept: str) -> None:
    monday = here.name((MONDAY, ""))
    here.load({monday: "0"}, "zeroth")
    here.load({monday: kept}, "first")
    here.load({monday: "2"}, "second")
    here.load({monday: kept}, "second")

    assert here.find("first").later == {monday: "second"}

    assert set(here.undo("second", "u").back) == {monday}

    assert here.find("second").undone_by
    assert here.shown() == ({monday: kept} if kept else {})
    assert set(here.undo("first", "v").back) == {monday}
    assert here.shown() == {monday: "0"}


def test_an_undo_leaves_the_versions_of_before_as_they_were(here: History) -> None:
    monday = here.name((MONDAY, ""))
    here.load({monday: "1"}, "first")
    version = Path(version_path(here.folder, monday, 1))
    time = version.stat().st_mtime_ns
    here.load({monday: "2"}, "second")
    here.undo("second", "u")
    assert here.shown() == {monday: "1"}
    assert version.stat().st_mtime_ns == time
    assert here.folder.file(monday).stat().st_mtime_ns == time


def test_what_somebody_rewrote_later_stays_and_is_named_unless_it_is_forced(here: History) -> None:
    monday, tuesday = here.name((MONDAY, "")), here.name((TUESDAY, ""))
    here.load({monday: "1", tuesday: "1"}, "first")
    here.load({monday: "2", tuesday: "2"}, "second")
    here.load({tuesday: "3"}, "third")
    found = here.undo("second", "u")
    assert (set(found.back), found.later) == ({monday}, {tuesday: "third"})
    assert here.shown() == {monday: "1", tuesday: "3"}
    assert here.find("second").undone_by
    here.undo("second", "u2", force=True)
    assert here.shown() == {monday: "1", tuesday: "1"}


def test_what_was_put_back_was_made_from_what_it_was_made_from_then(here: History) -> None:
    monday = here.name((MONDAY, ""))
    here.load({monday: "1"}, "first")
    before = state_of(here.folder).read([MONDAY]).entries[monday]
    here.load({monday: "2"}, "second")
    here.undo("second", "u")
    after = state_of(here.folder).read([MONDAY]).entries[monday]
    assert (after.making, after.content, after.origin) == (before.making, before.content, before.origin)
    # But it changed now: whoever read it before has to follow.
    assert after.changed > before.changed


def test_a_version_that_is_not_kept_any_more_is_named(here: History) -> None:
    monday = here.name((MONDAY, ""))
    here.load({monday: "1"}, "first")
    here.load({monday: "2"}, "second")
    Path(version_path(here.folder, monday, 1)).unlink()
    assert here.find("second").expired == {monday}
    assert here.find("second").back == {}


def test_force_does_not_put_back_a_second_time_what_is_back(here: History) -> None:
    monday, tuesday = here.name((MONDAY, "")), here.name((TUESDAY, ""))
    here.load({monday: "1"}, "first")
    here.load({monday: "2", tuesday: "2"}, "second")
    here.undo("second", "u")
    found = here.find("second", force=True)
    assert (found.back, bool(found.undone_by)) == ({}, True)
    here.load({tuesday: "3"}, "third")
    here.load({tuesday: ""}, "fourth")
    assert here.find("second", force=True).back == {}, "it is gone as it was before"
