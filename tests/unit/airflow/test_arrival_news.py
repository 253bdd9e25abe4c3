"""News of raw files: every change is told once it has rested, a burst together, nothing of a folder that is away."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.airflow.arrival_news import (
    LONGEST_DELAY_SECONDS,
    ArrivalNews,
    FileSignature,
    Group,
    GroupSight,
    News,
)
from reloads.airflow.attention import REST_MARGIN_SECONDS, SHORTEST_GAP_SECONDS

STABLE = 3.0
REST = STABLE + REST_MARGIN_SECONDS
DAY, OTHER = Group("flights", "2013-01-05.csv"), Group("flights", "2013-01-06.csv")
A, B, C, D = "a.csv", "b.csv", "_DONE", "d.csv"
START_NS = 1_700_000_000 * 10**9


@dataclass
class Folder:
    """Raw files as they lie there, a clock that stands still, and a policy that looks at them."""

    now: float = 100.0
    news: ArrivalNews = field(default_factory=lambda: ArrivalNews(STABLE))
    groups: dict[Group, GroupSight | None] = field(default_factory=dict)
    inode: int = 0

    def wall_ns(self) -> int:
        return START_NS + int(self.now * 1e9)

    def put(self, path: str, *, group: Group = DAY, age: float = 0.0, is_marker: bool = False) -> None:
        self.inode += 1
        moment = self.wall_ns() - int(age * 1e9)
        sight = self.groups.get(group) or GroupSight()
        which = "markers" if is_marker else "files"
        files = {**getattr(sight, which), path: FileSignature(self.inode, 1, moment, moment)}
        self.groups[group] = GroupSight(**{"files": sight.files, "markers": sight.markers, which: files})

    def remove(self, path: str, *, group: Group = DAY) -> None:
        sight = self.groups.get(group) or GroupSight()
        files = {name: file for name, file in sight.files.items() if name != path}
        self.groups[group] = GroupSight(files, sight.markers)

    def look(self, *, after: float = 0.0) -> list[str]:
        self.now += after
        news = self.news.look(self.groups, began=self.now, now=self.now, wall_ns=self.wall_ns())
        return [item.path for item in news]

    def watch(self, *groups: Group) -> None:
        """Look at these groups for the first time, while nothing is there."""
        for group in groups or (DAY,):
            self.groups[group] = GroupSight()
        assert self.look() == []


def test_a_file_that_came_is_told_once_it_has_rested_and_only_once() -> None:
    folder = Folder()
    folder.watch()
    folder.put(A)
    assert folder.look() == []
    assert folder.news.seconds_to_next_look(now=folder.now) == REST
    assert folder.look(after=REST - 0.01) == []
    assert folder.look(after=0.02) == [A]
    assert folder.look(after=100) == []
    assert folder.news.seconds_to_next_look(now=folder.now) == float("inf")


@pytest.mark.parametrize("what", ["replaced", "removed"])
def test_a_file_that_is_another_one_or_gone_is_told(what: str) -> None:
    folder = Folder()
    folder.watch()
    folder.put(A)
    folder.look()
    assert folder.look(after=REST) == [A]
    if what == "replaced":
        folder.put(A)
    else:
        folder.remove(A)
    assert folder.look() == []
    assert folder.look(after=REST) == [A]
    assert folder.look(after=REST) == []


def test_nothing_is_kept_of_a_file_that_is_gone_and_told() -> None:
    folder = Folder()
    folder.put(A, age=60)
    folder.look()
    folder.remove(A)
    folder.look()
    assert folder.look(after=REST) == [A]
    assert folder.news._paths == {DAY: {}}


def test_a_file_whose_times_say_that_it_is_old_rests_too_when_it_comes() -> None:
    folder = Folder()
    folder.watch()
    folder.put(A, age=1000)
    assert folder.look() == []
    assert folder.look(after=REST) == [A]


def test_the_next_look_comes_no_later_than_ten_seconds_after_something_could_have_been_told() -> None:
    folder = Folder()
    folder.watch()
    folder.put(A)
    folder.look()
    for _ in range(4):
        folder.put(B)
        assert folder.look(after=REST - 0.25) == []
    # The first could be told after 3.25 s, 12 s have gone by, and the other one rests for 3.25 s more.
    assert folder.news.seconds_to_next_look(now=folder.now) == REST + LONGEST_DELAY_SECONDS - 4 * (REST - 0.25)


def test_a_file_that_grows_is_told_when_it_has_rested_since_the_last_change() -> None:
    folder = Folder()
    folder.watch()
    for _ in range(10):
        folder.put(A)
        assert folder.look(after=1) == []
    assert folder.look(after=REST) == [A]


def test_the_files_of_a_burst_are_told_together() -> None:
    folder = Folder()
    folder.watch()
    folder.put(A)
    assert folder.look() == []
    folder.put(B)
    assert folder.look(after=2) == []
    assert folder.look(after=REST - 2) == []
    assert folder.look(after=2) == [A, B]


def test_a_file_that_never_rests_holds_up_the_others_no_longer_than_ten_seconds() -> None:
    folder = Folder()
    folder.watch()
    folder.put(A)
    waited, told = 0.0, folder.look()
    while not told:
        folder.put(B)
        told = folder.look(after=0.25)
        waited += 0.25
    assert told == [A]
    assert waited == REST + LONGEST_DELAY_SECONDS
    assert folder.look(after=REST) == [B]


def test_what_lies_there_at_the_first_look_is_told_at_once_unless_it_may_still_be_written() -> None:
    folder = Folder()
    folder.put(A, age=REST)
    assert folder.look() == [A]
    other = Folder()
    other.put(A, age=STABLE - 1)
    assert other.look() == []
    assert other.look(after=REST) == [A]


def test_what_lies_there_when_a_day_is_watched_from_then_on_is_told() -> None:
    folder = Folder()
    folder.watch()
    folder.put(B, group=OTHER, age=60)
    assert folder.look() == [B]


def test_a_marker_is_told_at_once_with_the_files_that_it_speaks_for() -> None:
    folder = Folder()
    folder.watch()
    folder.put(A)
    assert folder.look() == []
    folder.put(C, is_marker=True)
    assert folder.look(after=0.5) == [C, A]


def test_the_marker_of_one_day_waits_for_the_files_of_another() -> None:
    folder = Folder()
    folder.watch(DAY, OTHER)
    folder.put(C, is_marker=True)
    folder.put(B, group=OTHER)
    assert folder.look() == []
    assert folder.look(after=REST) == [C, B]


def test_nothing_is_told_of_a_folder_that_is_away_nor_that_its_files_went() -> None:
    folder = Folder()
    folder.put(A, age=60)
    assert folder.look() == [A]
    before = folder.groups[DAY]
    folder.groups[DAY] = None
    assert folder.look(after=100) == []
    assert folder.news.seconds_to_next_look(now=folder.now) == float("inf")
    folder.groups[DAY] = before
    assert folder.look(after=100) == [A], "somebody may have waited for the folder"
    assert folder.look(after=100) == []


def test_what_changed_while_a_folder_was_away_is_told_when_it_is_back() -> None:
    folder = Folder()
    folder.put(A, age=60)
    folder.put(B, age=60)
    assert folder.look() == [A, B]
    folder.groups[DAY] = None
    folder.look(after=100)
    folder.groups = {DAY: GroupSight()}
    folder.put(A)
    assert folder.look() == []
    assert folder.look(after=REST) == [A, B]


def test_files_that_went_with_their_folder_one_after_another_are_not_told_to_be_gone() -> None:
    folder = Folder()
    folder.put(A, age=60)
    folder.put(B, age=60)
    folder.look()
    before = folder.groups[DAY]
    folder.remove(A)
    assert folder.look(after=1) == []
    folder.groups[DAY] = None
    assert folder.look(after=1) == []
    folder.groups[DAY] = before
    assert folder.look(after=100) == [A, B], "as all that lies in a folder that is back"
    assert folder.look(after=100) == []


def test_a_folder_that_is_away_does_not_hold_up_the_others() -> None:
    folder = Folder()
    folder.watch(DAY, OTHER)
    folder.put(A)
    folder.put(B, group=OTHER)
    folder.look()
    folder.groups[DAY] = None
    assert folder.look(after=REST) == [B]


def test_news_of_a_day_that_nobody_waits_for_any_more_are_told_all_the_same() -> None:
    folder = Folder()
    folder.watch(DAY, OTHER)
    folder.put(A)
    assert folder.look() == []
    del folder.groups[DAY]
    assert folder.look(after=REST) == [A]
    assert folder.look(after=REST) == []


def test_that_a_day_is_watched_no_more_is_no_news() -> None:
    folder = Folder()
    folder.put(A, age=60)
    assert folder.look() == [A]
    del folder.groups[DAY]
    assert folder.look(after=100) == []


def test_a_slow_look_does_not_make_a_file_rest_sooner() -> None:
    folder = Folder()
    folder.watch()
    folder.put(A)
    news = folder.news.look(folder.groups, began=0, now=20, wall_ns=folder.wall_ns())
    news += folder.news.look(folder.groups, began=20 + STABLE, now=60, wall_ns=folder.wall_ns())
    assert news == []
    assert folder.news.look(folder.groups, began=61, now=61, wall_ns=folder.wall_ns()) == [News("flights", A)]


ACTS = st.tuples(st.sampled_from(["put", "remove", "away", "back", "nothing"]), st.sampled_from([A, B, D]))
STEPS = st.lists(st.tuples(ACTS, st.floats(0.01, 12)), max_size=40)


@given(STEPS)
def test_whatever_happens_every_change_is_told_after_its_rest_and_a_burst_at_once(
    steps: list[tuple[tuple[str, str], float]],
) -> None:
    folder = Folder()
    folder.watch()
    untold: set[str] = set()  # what is there and was not told as it is, or was told and is gone
    told_files: dict[str, FileSignature] = {}
    changed_at: dict[str, float] = {}
    real = folder.groups[DAY] or GroupSight()
    is_away = False

    def check(told: list[str]) -> None:
        assert len(told) == len(set(told))
        for path in told:
            assert folder.now - changed_at[path] >= REST - 1e-6
            if path in real.files:
                told_files[path] = real.files[path]
            else:
                told_files.pop(path, None)
        assert not (told and is_away)

    for (act, path), pause in steps:
        if act in ("away", "back"):
            is_away = act == "away"
        elif act != "nothing":
            folder.groups[DAY] = real
            folder.put(path) if act == "put" else folder.remove(path)
            if folder.groups[DAY] != real:
                changed_at[path] = folder.now
            real = folder.groups[DAY] or GroupSight()
        folder.groups[DAY] = None if is_away else real
        check(folder.look())
        check(folder.look(after=pause))
    folder.groups[DAY] = real
    is_away = False
    check(folder.look())
    check(folder.look(after=REST))
    untold = {path for path in {*told_files, *real.files} if told_files.get(path) != real.files.get(path)}
    assert untold == set()


@given(st.lists(st.floats(0.0, 2.9), min_size=1, max_size=30))
def test_a_burst_is_told_once_if_looks_follow_the_advice_of_the_policy(pauses: list[float]) -> None:
    folder = Folder()
    folder.watch()
    rings: list[list[str]] = []
    end = folder.now
    for number, pause in enumerate(pauses):
        folder.put(f"{number}.csv")
        rings.append(folder.look())
        folder.now += pause
        end += pause
    while (wait := folder.news.seconds_to_next_look(now=folder.now)) != float("inf"):
        assert wait >= SHORTEST_GAP_SECONDS
        rings.append(folder.look(after=wait))
    rings = [ring for ring in rings if ring]
    assert sorted(path for ring in rings for path in ring) == sorted(f"{number}.csv" for number in range(len(pauses)))
    assert len(rings) <= 1 + sum(pauses) // LONGEST_DELAY_SECONDS
