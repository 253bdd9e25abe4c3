"""Batch notes: who looks sees the batches at work and how far they are, and never a batch that was killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from reloads.batch import Batch
from reloads.days import Days
from reloads.progress import BatchProgress
from reloads.requests.batch_notes import (
    BatchNote,
    NotedBatch,
    forget_batches,
    note_batch,
    note_run,
    open_runs,
    read_batches,
    read_begun_batches,
)

DAYS = Days.parse(["2025-01-01..2025-01-04"])
BATCH = Batch(DAYS, requests={"r": DAYS}, number=3)
HALF = BatchProgress("writing", Days.parse(["2025-01-01..2025-01-02"]), {date(2025, 1, 1): 5, date(2025, 1, 2): 0})

NOTE_AND_WAIT = """
import sys
from pathlib import Path
from reloads.batch import Batch
from reloads.days import Days
from reloads.progress import BatchProgress
from reloads.requests.batch_notes import note_batch
days = Days.parse(["2025-01-01..2025-01-04"])
with note_batch(Path(sys.argv[1]), "sales", Batch(days, requests={"r": days}), run="run") as note:
    note.write(BatchProgress("writing", days))
    note.flush()
    print("noted", flush=True)
    sys.stdin.read()
"""


def read(landing: Path, *, after: timedelta = timedelta()) -> list[NotedBatch]:
    return read_batches(landing, now=datetime.now(UTC) + after)


@contextmanager
def another_process(landing: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that notes a batch and works at it until it is let go."""
    command = [sys.executable, "-c", NOTE_AND_WAIT, str(landing)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "noted\n"
        yield process


def test_a_batch_at_work_is_seen_with_what_it_said_last(tmp_path: Path) -> None:
    with note_batch(tmp_path, "sales", BATCH, run="run/1") as note:
        [begun] = read(tmp_path)
        note.write(HALF)
        note.flush()
        [noted] = read(tmp_path)
    assert (begun.table, begun.run, begun.batch, begun.is_running) == ("sales", "run/1", BATCH, True)
    assert begun.progress == BatchProgress()
    assert (noted.progress, noted.is_running) == (HALF, True)


def test_a_batch_at_work_is_seen_however_long_it_said_nothing(tmp_path: Path) -> None:
    with note_batch(tmp_path, "sales", BATCH, run="run/1"):
        assert len(read(tmp_path, after=timedelta(days=1))) == 1


def test_a_batch_of_another_process_is_seen_and_no_more_once_that_is_killed(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        [noted] = read(tmp_path)
        assert (noted.is_running, noted.progress.staged) == (True, DAYS)
        process.kill()
        process.wait()
        assert read(tmp_path) == []


def test_a_batch_that_raised_is_not_seen_any_more(tmp_path: Path) -> None:
    with pytest.raises(KeyError), note_batch(tmp_path, "sales", BATCH, run="run/1"):
        raise KeyError
    assert read(tmp_path) == []


def test_a_batch_that_is_done_counts_while_its_run_works_and_a_minute_longer(tmp_path: Path) -> None:
    with note_batch(tmp_path, "sales", Batch(DAYS, number=2), run="run/1"):
        with note_batch(tmp_path, "sales", BATCH, run="run/1") as note:
            note.write(HALF)
        steps = {noted.batch.number: noted.progress.step for noted in read(tmp_path, after=timedelta(hours=1))}
        assert steps == {2: "starting", 3: "done"}
    assert len(read(tmp_path)) == 2
    assert read(tmp_path, after=timedelta(minutes=2)) == []


def test_a_run_is_open_until_its_notes_are_forgotten_or_nobody_wrote_one_for_an_hour(tmp_path: Path) -> None:
    def find(after: timedelta) -> set[str]:
        return open_runs(tmp_path, "sales", now=datetime.now(UTC) + after)

    with note_batch(tmp_path, "sales", BATCH, run="run/1"), note_batch(tmp_path, "other", BATCH, run="run/2"):
        assert find(timedelta(days=1)) == {"run/1"}
    assert find(timedelta(minutes=59)) == {"run/1"}
    assert find(timedelta(minutes=61)) == set()
    forget_batches(tmp_path, "sales", run="run/1")
    assert find(timedelta()) == set()


def test_a_run_is_open_from_its_plan_on_for_a_day_at_most(tmp_path: Path) -> None:
    def find(after: timedelta = timedelta()) -> set[str]:
        return open_runs(tmp_path, "sales", now=datetime.now(UTC) + after)

    note_run(tmp_path, "sales", [BATCH], run="run/1")
    note_run(tmp_path, "other", [BATCH], run="run/2")
    assert find() == find(timedelta(hours=23)) == {"run/1"}
    assert find(timedelta(hours=25)) == set()
    with note_batch(tmp_path, "sales", BATCH, run="run/1"):
        forget_batches(tmp_path, "sales", run="run/2")
    assert find(timedelta(hours=23)) == {"run/1"}, "neither a try of a batch nor the end of another run ends it"
    forget_batches(tmp_path, "sales", run="run/1")
    assert find() == set()


def test_another_plan_forgets_the_run_before(tmp_path: Path) -> None:
    note_run(tmp_path, "sales", [BATCH], run="run/1")
    forget_batches(tmp_path, "sales")
    assert open_runs(tmp_path, "sales", now=datetime.now(UTC)) == set()
    assert list((tmp_path / ".progress/sales").iterdir()) == []


def test_a_run_has_all_batches_of_its_plan_whether_or_not_they_were_begun(tmp_path: Path) -> None:
    batches = [Batch(DAYS, number=number) for number in range(3)]
    note_run(tmp_path, "sales", batches, run="run/1")
    with note_batch(tmp_path, "sales", Batch(Days.parse(["2025-01-01"]), number=1), run="run/1"):
        assert read_begun_batches(tmp_path, "sales", run="run/1") == batches
    assert read_begun_batches(tmp_path, "sales", run="run/2") == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"run": 3}', '{"run": "run/1", "planned_at": "now"}'])
def test_a_run_whose_note_is_not_ours_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / ".progress/sales").mkdir(parents=True)
    (tmp_path / ".progress/sales/other.run").write_text(content)
    assert open_runs(tmp_path, "sales", now=datetime.now(UTC)) == set()
    assert read_begun_batches(tmp_path, "sales", run="run/1") == []
    forget_batches(tmp_path, "sales", run="run/2")
    forget_batches(tmp_path, "sales")
    assert list((tmp_path / ".progress/sales").iterdir()) == []


def test_a_batch_that_is_done_gives_the_numbers_that_it_said_last(tmp_path: Path) -> None:
    with note_batch(tmp_path, "sales", BATCH, run="run/1") as note:
        note.write(BatchProgress("reading", percent=3))
        note.write(HALF)
    [noted] = read(tmp_path)
    assert (noted.progress.step, noted.progress.staged, noted.is_running) == ("done", HALF.staged, False)


def test_a_process_that_the_batch_started_may_say_how_far_it_is(tmp_path: Path) -> None:
    with note_batch(tmp_path, "sales", BATCH, run="run/1") as note:
        child = BatchNote(note.path)
        child.write(HALF)
        child.flush()
        assert read(tmp_path)[0].progress == HALF
    assert read(tmp_path)[0].progress.staged == HALF.staged


def test_another_try_of_a_batch_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for _ in range(2):
        with note_batch(tmp_path, "sales", BATCH, run="run/1") as note:
            note.write(HALF)
            assert [noted.is_running for noted in read(tmp_path)] == [True]
    assert len(read(tmp_path)) == 1


def test_no_more_than_a_second_is_written_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    note = BatchNote(tmp_path / "a.json")
    written: list[int] = []
    for tenth in range(50):
        now = 100 + tenth / 10
        note.write(BatchProgress("reading", percent=tenth))
        if note.path.exists():
            written.append(json.loads(note.path.read_text())["percent"])
    assert sorted(set(written)) == [10, 20, 30, 40]


def test_whatever_was_not_at_work_is_forgotten_and_what_is_stays(tmp_path: Path) -> None:
    with note_batch(tmp_path, "sales", Batch(DAYS, number=1), run="run/1"):
        for table, run in (("sales", "run/1"), ("sales", "run/2"), ("visits", "run/2")):
            with note_batch(tmp_path, table, BATCH, run=run):
                pass
        forget_batches(tmp_path, "sales", run="run/2")
        kept = {(noted.table, noted.run, noted.batch.number) for noted in read(tmp_path)}
        assert kept == {("sales", "run/1", 1), ("sales", "run/1", 3), ("visits", "run/2", 3)}
        forget_batches(tmp_path, "sales")
        assert [noted.batch.number for noted in read(tmp_path) if noted.table == "sales"] == [1]
    forget_batches(tmp_path, "sales")
    assert list((tmp_path / ".progress/sales").iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"step": "done"}', '{"table": 3, "batch": {}}'])
def test_a_note_that_is_not_ours_is_passed_over(tmp_path: Path, content: str) -> None:
    with note_batch(tmp_path, "sales", BATCH, run="run/1"):
        folder = tmp_path / ".progress/sales"
        for ending in ("batch", "json"):
            (folder / f"other.{ending}").write_text(content)
        assert [noted.run for noted in read(tmp_path)] == ["run/1"]


def test_a_folder_that_takes_no_notes_holds_up_no_batch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".progress").touch()
    note_run(tmp_path, "sales", [BATCH], run="run/1")
    with note_batch(tmp_path, "sales", BATCH, run="run/1") as note:
        note.write(HALF)
        note.flush()
    assert read(tmp_path) == []
    assert "how far its batch is cannot be noted" in caplog.text
    assert "that its run is open cannot be noted" in caplog.text
