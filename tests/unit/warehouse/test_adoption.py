"""Adoption: a file without a commit is a version from then on, with the bytes and the time that it has."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from reloads.warehouse.access import open_table, state_of
from reloads.warehouse.adoption import Facts, adopt, find_strangers
from reloads.warehouse.commit import Commit, Making
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from tests.support.commit_history import NOON, History, history
from tests.support.process_kill import Killed, killed_after

MONDAY, TUESDAY = date(2025, 1, 6), date(2025, 2, 4)


def put(here: History, name: PartitionName, text: str) -> None:
    path = here.folder.file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)


def adopt_strangers(here: History, facts: Facts | None = None) -> Commit | None:
    with open_table(here.folder) as state:
        names = find_strangers(here.folder, state.read_all(), [MONDAY, TUESDAY])
        if not names:
            return None
        return adopt(here.folder, state, dict.fromkeys(names, facts or Facts()), run="adopt", now=here.now)


@pytest.fixture(params=[(), ("k",)], ids=["without keys", "with keys"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    return History(TableFolder(tmp_path, "sales", "day", request.param))


def test_a_file_of_somebody_is_put_back_by_an_undo_of_what_replaced_it(here: History) -> None:
    monday, tuesday = here.name((MONDAY, "a")), here.name((TUESDAY, "a"))
    here.load({monday: "ours", tuesday: "ours"}, "first")
    put(here, monday, "of somebody")
    before = here.folder.file(monday).stat()
    commit = adopt_strangers(here)
    assert commit is not None
    assert set(commit.changed_names()) == {monday}
    after = here.folder.file(monday).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    here.load({monday: "newer"}, "second")
    here.undo("second", "u")
    assert here.shown() == {monday: "of somebody", tuesday: "ours"}
    assert adopt_strangers(here) is None


def test_a_batch_that_had_begun_is_not_superseded_by_an_adoption(here: History) -> None:
    monday = here.name((MONDAY, "a"))
    here.load({monday: "ours"}, "first")
    touched = state_of(here.folder).read_all().entries[monday].touched
    put(here, monday, "of somebody")
    adopt_strangers(here)
    entry = state_of(here.folder).read_all().entries[monday]
    assert (entry.touched, entry.version) == (touched, touched + 1)


def test_what_an_earlier_release_knew_of_a_file_stays_known(here: History) -> None:
    monday = here.name((MONDAY, "a"))
    put(here, monday, "earlier")
    making = Making("v0", {}, {"limit": 10}, "run/0", NOON)
    adopt_strangers(here, Facts(rows=3, content="1:abc", columns={"v": "INTEGER"}, making=making))
    entry = state_of(here.folder).read_all().entries[monday]
    assert (entry.rows, entry.bytes, entry.content, entry.making) == (3, len("earlier"), "1:abc", making)


@pytest.mark.parametrize("steps", range(30))
def test_an_adoption_that_is_killed_is_done_by_the_next_one(steps: int) -> None:
    with history(("k",)) as here:
        names = [here.name((MONDAY, "a")), here.name((MONDAY, "b")), here.name((TUESDAY, "a"))]
        for name in names:
            put(here, name, str(name))
        try:
            with killed_after(steps, here.folder.warehouse):
                adopt_strangers(here)
        except Killed:
            adopt_strangers(here)
        assert here.shown() == {name: str(name) for name in names}
        assert adopt_strangers(here) is None
        entries = state_of(here.folder).read_all().entries
        assert {name for name, entry in entries.items() if entry.version} == set(names)
