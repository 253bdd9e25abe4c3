"""The newest endings: a list of bounded size that only says where to look."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.outcome import Outcome
from reloads.requests.endings import KEPT, Ending, note_endings, read_endings
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings
from tests.support.command_line import call
from tests.support.process_kill import Killed, killed_after

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
DAY = Days.parse(["2024-06-01"])


def ending(number: int, *, is_rejected: bool = False) -> Ending:
    return Ending(NOW + timedelta(seconds=number), is_rejected, f"r{number}")


def record(number: int) -> Record:
    at = NOW + timedelta(seconds=number)
    return Record(id=f"r{number}", mode="landing", table="sales", days=DAY, accepted_at=at)


@pytest.fixture
def landing(sales_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RELOADS_HOME", str(sales_settings.home))
    return sales_settings.landing


def shown() -> list[str]:
    """The requests that ``reloads status`` lists."""
    return [line.split("\t")[1] for line in call("status").lines if "\t" in line]


def test_the_newest_are_kept_each_once_oldest_first(tmp_path: Path) -> None:
    for number in range(KEPT + 20):
        note_endings(tmp_path, [ending(number), ending(0)])
    assert read_endings(tmp_path) == [ending(number) for number in range(20, KEPT + 20)]


def test_a_name_is_kept_whatever_it_holds(tmp_path: Path) -> None:
    name = os.fsdecode(b"two\nlines \xff.error.txt")
    note_endings(tmp_path, [Ending(NOW, is_rejected=True, name=name)])
    assert read_endings(tmp_path) == [Ending(NOW, is_rejected=True, name=name)]


@pytest.mark.parametrize("content", [None, b"", b"broken", b"[1]\n", b"[1, 2, 3]\n", b"\xff\n"])
def test_a_list_that_is_missing_or_broken_is_made_from_the_times_of_the_files(
    tmp_path: Path, content: bytes | None
) -> None:
    for number, (state, name) in enumerate([("failed", "a.json"), ("done", "b.json"), ("rejected", "c.error.txt")]):
        (tmp_path / state).mkdir()
        (tmp_path / state / name).touch()
        os.utime(tmp_path / state / name, (number, number))
    if content is not None:
        (tmp_path / ".ended").mkdir()
        (tmp_path / ".ended" / "newest.jsonl").write_bytes(content)
    note_endings(tmp_path, [ending(1)])
    names = [ending.name for ending in read_endings(tmp_path) or ()]
    assert names == ["a", "b", "c.error.txt", "r1"]


def test_status_shows_what_ended_before_there_was_a_list(landing: Path) -> None:
    for number in range(12):
        Queue(landing).file_away(record(number).model_copy(update={"published": DAY}))
    (landing / ".ended" / "newest.jsonl").unlink()
    assert shown() == [f"r{number}" for number in range(2, 12)]


def test_status_passes_over_what_was_removed_by_hand(landing: Path) -> None:
    queue = Queue(landing)
    for number in range(KEPT + 15):
        queue.file_away(record(number).model_copy(update={"published": DAY}))
    for number in range(10, KEPT + 15):
        (landing / "done" / f"r{number}.json").unlink()
    assert shown() == [f"r{number}" for number in range(10)]


def test_a_request_whose_run_was_killed_at_any_moment_is_shown_once_and_as_what_it_is(landing: Path) -> None:
    queue = Queue(landing)
    for step in range(40):
        queue.add(record(step))
        at = NOW + timedelta(seconds=step)
        try:
            with killed_after(step, landing):
                queue.settle(f"r{step}", Outcome(published=DAY), run="run", now=at)
        except Killed:
            assert shown().count(f"r{step}") == 1
            queue.settle(f"r{step}", Outcome(published=DAY), run="run", now=at)
            assert f"r{step}" in shown()
        else:
            break
        assert queue.records("accepted") == []
    else:
        pytest.fail("it was always killed")
