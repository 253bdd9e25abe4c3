"""Expiry: what was replaced long ago goes, and nothing that readers, an undo or a follower still need."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.warehouse.access import open_table, state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.commit_log import CommitLog
from reloads.warehouse.current_view import version_path
from reloads.warehouse.expiry import expire
from reloads.warehouse.layout import log_folder, versions_folder
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from tests.support.commit_history import NOON, History, history
from tests.support.process_kill import Killed, killed_after
from tests.support.touches import count_touches
from tests.support.warehouses import keys

MONDAY, TUESDAY = date(2025, 1, 6), date(2025, 2, 4)
PLACES = [(MONDAY, "a"), (MONDAY, "b"), (TUESDAY, "a")]
HOURS = 24
loads = st.dictionaries(st.sampled_from(PLACES), st.sampled_from(["", "1", "2"]), min_size=1)


def kept_versions(folder: TableFolder) -> set[tuple[str, int]]:
    return {(name, int(file.removesuffix(".parquet"))) for name, file in kept_files(folder)}


def kept_files(folder: TableFolder) -> set[tuple[str, str]]:
    """The files of versions that are kept, by the names of their partitions."""
    if folder.stored:
        places = [key.removeprefix(".versions/sales/").rpartition("/") for key in keys(folder, ".versions/sales")]
        return {(name, file) for name, _, file in places}
    root = versions_folder(folder.warehouse, folder.table)
    return {(str(path.parent.relative_to(root)), path.name) for path in root.rglob("*.parquet")}


@given(st.lists(st.tuples(loads, st.integers(0, 30)), max_size=6), st.integers(0, 3), st.none() | st.integers(0, 12))
def test_what_was_replaced_within_the_days_is_kept_and_nothing_else(
    kind: str, acts: list[tuple[dict[tuple[date, str], str], int]], days: int, kill_after: int | None
) -> None:
    with history(("k",), kind) as here:
        texts: dict[PartitionName, tuple[str, str]] = {}
        replaced: list[tuple[str, str, int]] = []
        """The partition, the file of its version, and the hour in which it was replaced."""
        hour = 0
        for act, hours in acts:
            hour += hours
            here.hours = hour
            named = {here.name(place): text for place, text in act.items()}
            here.load(named, f"r{hour}")
            entries = state_of(here.folder).read_all().entries
            for name, text in named.items():
                before, version = texts.get(name, ("", ""))
                if text != before:
                    if version:
                        replaced.append((str(name), version, hour))
                    texts[name] = (text, entries[name].file_name if text else "")
        now = NOON + timedelta(hours=hour, minutes=59)
        try:
            with killed_after(kill_after, here.folder.warehouse):
                expire(here.folder, now=now, days=days, followed=[])
        except Killed:
            pass
        shown = here.shown()
        expire(here.folder, now=now, days=days, followed=[])
        assert here.shown() == shown == {name: text for name, (text, _) in texts.items() if text}
        current = {(str(name), version) for name, (_, version) in texts.items() if version}
        young = {(name, version) for name, version, at in replaced if at > hour + 1 - days * HOURS - 1}
        assert kept_files(here.folder) == current | young


@pytest.fixture
def here(tmp_path: Path) -> History:
    return History(TableFolder(tmp_path, "sales", "day"))


def test_a_commit_stays_until_all_who_follow_are_past_it(here: History) -> None:
    monday = here.name((MONDAY, ""))
    for text in "1234":
        here.load({monday: text}, "r")
    log, point = CommitLog(here.folder.warehouse, "sales"), state_of(here.folder).read_head().point
    late = NOON + timedelta(days=30)
    expire(here.folder, now=late, days=7, followed=[point, Point(point.log, 2)])
    assert log.numbers() == [3, 4]
    expire(here.folder, now=late, days=7, followed=[point, Point("another", 4)])
    assert log.numbers() == [3, 4]
    expire(here.folder, now=late, days=7, followed=[point])
    assert log.numbers() == []
    here.load({monday: "5"}, "r")
    assert state_of(here.folder).read_head().point == Point(point.log, 5)


def test_a_commit_of_today_stays_although_nothing_is_kept_for_an_undo(here: History) -> None:
    monday = here.name((MONDAY, ""))
    here.load({monday: "1"}, "r")
    here.load({monday: "2"}, "r")
    expire(here.folder, now=NOON + timedelta(hours=1), days=0, followed=[])
    assert kept_versions(here.folder) == {(str(monday), 2)}
    assert CommitLog(here.folder.warehouse, "sales").numbers() == [1, 2]
    with count_touches(log_folder(here.folder.warehouse, "sales")) as touches:
        expire(here.folder, now=NOON + timedelta(hours=2), days=0, followed=[])
    assert not touches["bytes"], "it was read although its time had not come"


def test_a_commit_whose_file_was_touched_since_expires_later(here: History) -> None:
    monday = here.name((MONDAY, ""))
    here.load({monday: "1"}, "r")
    here.load({monday: "2"}, "r")
    for path in log_folder(here.folder.warehouse, "sales").glob("*.json"):
        os.utime(path, (late := (NOON + timedelta(days=5)).timestamp(), late))
    expire(here.folder, now=NOON + timedelta(days=8), days=7, followed=[])
    assert kept_versions(here.folder) == {(str(monday), 1), (str(monday), 2)}
    expire(here.folder, now=NOON + timedelta(days=13), days=7, followed=[])
    assert kept_versions(here.folder) == {(str(monday), 2)}


@pytest.mark.parametrize("is_log_lost", [False, True])
def test_what_is_replaced_after_the_state_was_lost_expires_as_before(here: History, is_log_lost: bool) -> None:  # noqa: FBT001
    monday, late = here.name((MONDAY, "")), NOON + timedelta(days=30)
    for text in "123":
        here.load({monday: text}, "r")
    expire(here.folder, now=late, days=7, followed=[Point(state_of(here.folder).read_head().point.log, 2)])
    shutil.rmtree(state_of(here.folder).folder)
    if is_log_lost:
        shutil.rmtree(log_folder(here.folder.warehouse, "sales"))
    for text in "45":
        here.load({monday: text}, "r")
    expire(here.folder, now=late, days=7, followed=[state_of(here.folder).read_head().point])
    assert CommitLog(here.folder.warehouse, "sales").numbers() == []
    assert (str(monday), 4) not in kept_versions(here.folder)


def test_a_state_that_was_lost_is_made_again_without_a_version_that_was_replaced(here: History) -> None:
    monday = here.name((MONDAY, ""))
    for text in "123":
        here.load({monday: text}, "r")
    Path(version_path(here.folder, monday, 1)).unlink()
    for steps in range(20):
        shutil.rmtree(state_of(here.folder).folder, ignore_errors=True)
        with suppress(Killed), killed_after(steps, here.folder.warehouse), open_table(here.folder):
            pass
        assert here.shown() == {monday: "3"}
    assert state_of(here.folder).read([MONDAY]).entries[monday].version == 3


def test_a_removed_partition_of_a_day_is_forgotten_once_nothing_can_bring_it_back() -> None:
    with history(("k",)) as here:
        north, south = here.name((MONDAY, "north")), here.name((MONDAY, "south"))
        here.load({north: "1", south: "1"}, "r")
        here.load({north: ""}, "s")
        assert north in state_of(here.folder).read_all().entries
        expire(here.folder, now=NOON + timedelta(days=30), days=7, followed=[])
        assert set(state_of(here.folder).read_all().entries) == {south, here.folder.day_name(MONDAY)}
        with open_table(here.folder):
            assert here.shown() == {south: "1"}


def test_a_day_that_was_removed_stays_known_as_those_who_read_it_have_to_see_that_it_changed(here: History) -> None:
    monday = here.name((MONDAY, ""))
    here.load({monday: "1"}, "r")
    here.load({monday: ""}, "s")
    expire(here.folder, now=NOON + timedelta(days=30), days=7, followed=[])
    assert state_of(here.folder).read_all().entries[monday].changed == 2
    with open_table(here.folder):
        assert here.shown() == {}
