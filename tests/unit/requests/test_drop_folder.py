"""The drop folder: what lies there in which order, and what a taken file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.requests.drop_folder import (
    TAKEN,
    DroppedFile,
    list_arrivals,
    read_file,
    reject_all,
    remove_accepted,
    remove_old_notes,
    take,
    write_note,
)
from reloads.requests.endings import NOTE


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path


def drop(landing: Path, name: str, content: str = "x") -> DroppedFile:
    (landing / name).write_text(content)
    return next(file for file in list_arrivals(landing) if file.path.name == name)


def test_files_are_listed_in_the_order_in_which_they_arrived_whatever_their_names(landing: Path) -> None:
    names = [f"{name}.json" for name in "bdacfe"]
    for name in names:
        drop(landing, name)
    assert [file.name for file in list_arrivals(landing)] == names


def test_a_taken_file_keeps_its_place_and_its_origin(landing: Path) -> None:
    first = drop(landing, "z.json")
    drop(landing, "a.json")
    taken = take(first, landing)
    assert taken is not None
    assert list_arrivals(landing)[0] == taken
    assert (taken.origin, taken.name, taken.path.parent.name) == (first.origin, "z.json", TAKEN)


def test_a_file_that_was_taken_away_is_not_taken(landing: Path) -> None:
    file = drop(landing, "a.json")
    file.path.unlink()
    assert take(file, landing) is None


def test_a_taken_file_that_is_written_to_after_it_was_read_is_not_removed(landing: Path) -> None:
    with (landing / "a.json").open("w") as writer:
        writer.write("first")
        writer.flush()
        [file] = list_arrivals(landing)
        taken = take(file, landing)
        assert taken is not None
        content, status = read_file(taken.path)
        writer.write(" and more")
    remove_accepted(taken, status)
    assert content == b"first"
    assert taken.path.read_text() == "first and more"


def test_two_taken_files_of_one_name_are_rejected_beside_each_other(landing: Path) -> None:
    taken: dict[DroppedFile, str] = {}
    for content in ("first", "second"):
        file = take(drop(landing, "a.json", content), landing)
        assert file is not None
        taken[file] = f"a.json: {content}"
    rejected = landing / "rejected"
    rejected.mkdir()
    assert reject_all(rejected, taken) == {}
    assert (rejected / "a.json").read_text() == "first"
    assert (rejected / f"a{NOTE}").read_text() == "a.json: first\n"
    assert (rejected / "a-2.json").read_text() == "second"
    assert (rejected / f"a-2{NOTE}").read_text() == "a.json: second\n"


def test_a_note_goes_with_its_file_and_a_file_of_somebody_else_stays(landing: Path) -> None:
    waiting, other = drop(landing, "a.json"), drop(landing, "b.json")
    # It reads like a note, and is none.
    mine = "b.json cannot be read, I found; the b.json file of Monday was late\n"
    (landing / f"b{NOTE}").write_text(mine)
    for file in (waiting, other):
        write_note(landing, file, f"{file.name} waits: the table is broken")
    remove_old_notes(landing, [waiting, other])
    assert (landing / f"a{NOTE}").read_text() == "a.json waits: the table is broken\n"
    remove_old_notes(landing, [])
    assert not (landing / f"a{NOTE}").exists()
    assert (landing / f"b{NOTE}").read_text() == mine


def test_a_note_that_somebody_wrote_to_is_theirs(landing: Path) -> None:
    waiting = drop(landing, "a.json")
    write_note(landing, waiting, "a.json waits: the table is broken")
    with (landing / f"a{NOTE}").open("a") as note:
        note.write("I have asked Eva to mend it\n")
    write_note(landing, waiting, "a.json waits: it is still broken")
    remove_old_notes(landing, [])
    assert (landing / f"a{NOTE}").read_text() == "a.json waits: the table is broken\nI have asked Eva to mend it\n"
