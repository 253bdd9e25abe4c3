"""Verification: each thing that does not agree is named, and what can be mended without losing anything is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from reloads.warehouse.access import state_of
from reloads.warehouse.current_view import PREPARED, version_path
from reloads.warehouse.layout import log_folder, state_folder
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.verification import verify_table
from tests.support.commit_history import History

MONDAY, TUESDAY = date(2025, 1, 6), date(2025, 1, 7)
Harm = Callable[[History], None]


@pytest.fixture
def here(tmp_path: Path) -> History:
    """A table with two commits; both changed Monday."""
    history = History(TableFolder(tmp_path, "sales", "day", ("k",)))
    monday, tuesday = history.name((MONDAY, "a")), history.name((TUESDAY, "a"))
    history.load({monday: "1", tuesday: "1"}, "first", is_whole=True)
    history.load({monday: "22"}, "second")
    return history


def monday_file(here: History, number: int) -> Path:
    return Path(version_path(here.folder, here.name((MONDAY, "a")), number))


def remove_partition(here: History) -> None:
    here.folder.file(here.name((MONDAY, "a"))).unlink()


def remove_current_version(here: History) -> None:
    monday_file(here, 2).unlink()


def remove_both(here: History) -> None:
    remove_partition(here)
    remove_current_version(here)


def change_in_place(here: History) -> None:
    here.folder.file(here.name((MONDAY, "a"))).write_text("longer than it was")


def put_a_file_of_somebody(here: History) -> None:
    remove_partition(here)
    here.folder.file(here.name((MONDAY, "a"))).write_text("another")


def put_a_partition_of_somebody(here: History) -> None:
    path = here.folder.file(here.name((TUESDAY, "b")))
    path.parent.mkdir()
    path.write_text("another")


def change_state(here: History) -> None:
    path = state_folder(here.folder.warehouse, "sales") / f"{MONDAY}.json"
    fields = json.loads(path.read_text())
    fields["entries"]["day=2025-01-06/k=a"]["changed"] = 1
    path.write_text(json.dumps(fields))


def remove_state_piece(here: History) -> None:
    (state_folder(here.folder.warehouse, "sales") / f"{MONDAY}.json").unlink()


def leave_an_orphan(here: History) -> None:
    monday_file(here, 3).write_text("what a crash left")


def leave_a_link(here: History) -> None:
    (here.folder.file(here.name((MONDAY, "a"))).with_name(PREPARED)).write_text("what a crash left")


def remove_a_commit(here: History) -> None:
    here.load({here.name((MONDAY, "a")): "333"}, "third")
    (log_folder(here.folder.warehouse, "sales") / "2.json").unlink()


MENDED: dict[Harm, str] = {
    remove_partition: "sales/day=2025-01-06/k=a/data.parquet is gone; link it again with --repair",
    remove_current_version: "day=2025-01-06/k=a/2.parquet is gone; link it again with --repair",
    change_state: "does not have what the log says of day=2025-01-06/k=a; write it again with --repair",
    remove_state_piece: "what the log says of day=2025-01-06/k=a and 1 more; write it again with --repair",
    leave_an_orphan: "day=2025-01-06/k=a/3.parquet belongs to no commit; remove it with --repair",
    leave_a_link: "day=2025-01-06/k=a/.data.parquet.next was left by a crash; remove it with --repair",
}
NAMED: dict[Harm, str] = {
    remove_both: "2.parquet is gone, and {}/sales/day=2025-01-06/k=a/data.parquet is another file or none; reload",
    change_in_place: "2.parquet has 18 bytes and was published with 2; reload day=2025-01-06/k=a",
    put_a_file_of_somebody: "k=a/data.parquet was not published from here; move it away, or reload day=2025-01-06/k=a",
    put_a_partition_of_somebody: "k=b/data.parquet was not published from here; move it away, or reload",
    remove_a_commit: "lacks the commits 2, which nothing else holds; restore their files",
}


def test_a_table_as_it_should_be_has_no_faults(here: History) -> None:
    assert verify_table(here.folder) == []


@pytest.mark.parametrize("harm", MENDED, ids=lambda harm: harm.__name__)
def test_what_follows_from_the_log_is_mended_and_is_then_as_before(here: History, harm: Harm) -> None:
    shown, state = here.shown(), state_of(here.folder).read_all()
    harm(here)
    [fault] = verify_table(here.folder)
    assert MENDED[harm] in fault.sentence
    # Only to look mends nothing.
    assert [found.sentence for found in verify_table(here.folder, is_repairing=True)] == [fault.sentence]
    assert verify_table(here.folder) == []
    assert (here.shown(), state_of(here.folder).read_all()) == (shown, state)


@pytest.mark.parametrize("harm", NAMED, ids=lambda harm: harm.__name__)
def test_what_only_a_person_can_mend_is_named_and_left_alone(here: History, harm: Harm) -> None:
    harm(here)
    shown = here.shown()
    sentences = [fault.sentence for fault in verify_table(here.folder, is_repairing=True)]
    assert any(NAMED[harm].format(here.folder.warehouse) in sentence for sentence in sentences), sentences
    assert here.shown() == shown


def test_a_state_that_was_lost_is_written_again_by_the_next_publication(here: History) -> None:
    before = state_of(here.folder).read_all()
    shutil.rmtree(state_folder(here.folder.warehouse, "sales"))
    assert verify_table(here.folder) == []
    assert state_of(here.folder).read_all() == before


def test_once_a_state_is_made_again_a_file_that_somebody_put_there_meanwhile_lies_there_still(here: History) -> None:
    monday = here.folder.file(here.name((MONDAY, "a")))
    monday.unlink()
    monday.write_text("of somebody")
    shutil.rmtree(state_folder(here.folder.warehouse, "sales"))
    [fault] = verify_table(here.folder)
    assert "was not published from here" in fault.sentence
    assert monday.read_text() == "of somebody"


def test_a_lost_version_keeps_nobody_out_of_a_table_whose_state_is_lost(here: History) -> None:
    remove_both(here)
    shutil.rmtree(state_folder(here.folder.warehouse, "sales"))
    [fault] = verify_table(here.folder)
    assert "is gone, and" in fault.sentence
    here.load({here.name((MONDAY, "a")): "333"}, "third")
    assert verify_table(here.folder) == []
