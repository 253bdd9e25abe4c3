"""Notes for the doorbell: due when they are left, quiet while somebody takes care, gone unless they are left again."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.errors import OperatorError
from reloads.requests.doorbell_notes import Note, Notes, arrived
from reloads.requests.neglect import LONGEST_WAIT


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return arrived(tmp_path)


def test_a_note_is_due_when_it_is_left_and_again_if_nothing_comes_of_it(notes: Notes) -> None:
    notes.leave("flight_files")
    notes.leave("flight_files")
    now = datetime.now(UTC)
    assert notes.find_due(now=now) == ["flight_files"]
    assert [note.name for note in notes.take()] == ["flight_files"]
    assert notes.find_due(now=now) == []
    assert notes.find_due(now=now + LONGEST_WAIT + timedelta(seconds=5)) == ["flight_files"]


def test_a_note_that_somebody_attends_to_is_not_due_until_it_is_left_again(notes: Notes) -> None:
    notes.leave("flight_files")
    notes.attend("flight_files")
    assert notes.find_due(now=datetime.now(UTC)) == []
    notes.leave("flight_files")
    assert notes.find_due(now=datetime.now(UTC)) == ["flight_files"]


def test_a_note_that_was_taken_is_forgotten(notes: Notes) -> None:
    notes.leave("flight_files")
    [note] = notes.take()
    assert notes.forget(note)
    assert notes.take() == []
    assert notes.forget(note)


def test_a_note_that_is_left_again_after_it_was_taken_stays_and_is_due(notes: Notes) -> None:
    notes.leave("flight_files")
    [note] = notes.take()
    notes.leave("flight_files")
    assert not notes.forget(note)
    assert notes.find_due(now=datetime.now(UTC)) == ["flight_files"]


def test_a_note_that_somebody_else_took_meanwhile_stays_until_they_are_through(notes: Notes) -> None:
    notes.leave("flight_files")
    [first] = notes.take()
    [second] = notes.take()
    assert first.mtime_ns != second.mtime_ns
    assert not notes.forget(first)
    assert notes.forget(second)


class LeftMeanwhile(Notes):
    """Notes of which one is left between the last look at it and its removal."""

    def remove(self, name: str) -> None:
        self.leaving = threading.Thread(target=self.leave, args=[name])
        self.leaving.start()
        self.leaving.join(timeout=0.3)  # it ends here where nothing holds it up
        super().remove(name)


def test_a_note_that_is_left_at_the_moment_in_which_it_is_forgotten_stays(tmp_path: Path) -> None:
    notes = LeftMeanwhile(tmp_path / ".arrived")
    notes.leave("flight_files")
    [note] = notes.take()
    notes.forget(note)
    notes.leaving.join()
    assert notes.find_due(now=datetime.now(UTC)) == ["flight_files"]


def test_what_is_hidden_is_no_note_and_an_absent_folder_has_none(notes: Notes, tmp_path: Path) -> None:
    assert notes.take() == []
    assert notes.find_due(now=datetime.now(UTC)) == []
    notes.attend("flight_files")
    notes.leave("flight_files")
    (tmp_path / ".arrived" / ".x").touch()
    assert [note.name for note in notes.take()] == ["flight_files"]


def test_a_note_that_cannot_be_left_is_the_operators_to_mend(notes: Notes) -> None:
    with pytest.raises(OperatorError, match=r"cannot be written \(File name too long\); make room"):
        notes.leave("x" * 300)


def test_a_note_that_never_was_counts_as_forgotten(notes: Notes) -> None:
    assert notes.forget(Note("flight_files", 1))
