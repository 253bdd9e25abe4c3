"""The outbox: what is to be told is written with the act, and only where somebody wants to hear of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.outcome import CheckResult, Failure, Outcome
from reloads.requests.acceptance import process_files
from reloads.requests.control import cancel_request
from reloads.requests.end_note import find_events
from reloads.requests.outbox import Note, Outbox
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Event
from reloads.tables.catalog import Catalog
from tests.support.process_kill import Killed, killed_after

NOW = datetime(2025, 2, 1, 12, tzinfo=UTC)
REST = timedelta(minutes=1)
JANUARY = Days.between(date(2025, 1, 1), date(2025, 1, 31))
FIRST, SECOND = Days.of([date(2025, 1, 1)]), Days.of([date(2025, 1, 2)])
ALL: tuple[Event, ...] = ("failed", "refused", "rejected", "late", "done")


def record(name: str = "r1") -> Record:
    return Record(id=name, mode="landing", table="flights", days=JANUARY, accepted_at=NOW)


def failed(days: Days = FIRST) -> Outcome:
    return Outcome(failed=(Failure(days=days, error="no"),), published=JANUARY - days)


def refused(days: Days = SECOND) -> Outcome:
    check = CheckResult(check="positive", severity="error", days=days, rows=3)
    return Outcome(failed=(Failure(days=days, error=check.sentence()),), published=JANUARY - days, checks=(check,))


@pytest.fixture
def box(queue: Queue) -> Outbox:
    """The outbox of the queue, where all is wanted."""
    outbox = Outbox(queue.landing)
    outbox.open(ALL)
    return outbox


@pytest.mark.parametrize(
    ("outcome", "events"),
    [
        pytest.param(Outcome(published=JANUARY), {"done"}, id="done"),
        pytest.param(failed(), {"failed"}, id="failed"),
        pytest.param(refused(), {"refused"}, id="refused"),
        pytest.param(
            Outcome(failed=(*failed().failed, *refused().failed), checks=refused().checks, published=JANUARY),
            {"failed", "refused"},
            id="both",
        ),
        pytest.param(Outcome(cancelled=JANUARY), set(), id="cancelled"),
        pytest.param(
            Outcome(published=JANUARY, checks=(CheckResult(check="odd", severity="warn", days=FIRST, rows=1),)),
            {"done"},
            id="a warning",
        ),
    ],
)
def test_what_the_end_of_a_request_is_about(outcome: Outcome, events: set[Event]) -> None:
    assert find_events(record().with_outcome(outcome, run="run/1", now=NOW)) == events


def test_a_request_that_fails_over_several_runs_is_one_note(queue: Queue, box: Outbox) -> None:
    queue.add(record())
    queue.settle("r1", Outcome(failed=failed().failed), run="run/1", now=NOW)
    assert box.notes() == []
    queue.settle("r1", Outcome(failed=failed(SECOND).failed), run="run/2", now=NOW)
    assert box.notes() == []
    queue.settle("r1", Outcome(published=JANUARY - FIRST - SECOND), run="run/3", now=NOW)
    [note] = box.notes()
    assert Record.model_validate(note.content).failed_days == FIRST | SECOND


def test_nothing_is_written_of_what_nobody_wants_to_hear(queue: Queue, box: Outbox) -> None:
    box.open(["failed"])
    queue.add(record())
    queue.settle("r1", Outcome(published=JANUARY), run="run/1", now=NOW)
    assert box.notes() == []


def test_where_nobody_wants_anything_nothing_is_there(queue: Queue) -> None:
    queue.add(record())
    queue.settle("r1", failed(), run="run/1", now=NOW)
    assert not Outbox(queue.landing).folder.exists()


def test_a_command_without_airflow_leaves_its_note_too(queue: Queue, box: Outbox) -> None:
    queue.file_away(record().with_outcome(failed(), run="command/1", now=NOW))
    assert [note.kind for note in box.notes()] == ["ended"]


def test_a_cancelled_request_is_no_news_unless_days_of_it_failed(queue: Queue, box: Outbox) -> None:
    queue.add_all([record("r1"), record("r2")])
    queue.settle("r2", Outcome(failed=failed().failed), run="run/1", now=NOW)
    cancel_request(queue, "r1", now=NOW)
    cancel_request(queue, "r2", now=NOW)
    assert [note.content["id"] for note in box.notes()] == ["r2"]


def test_a_failed_request_that_is_finished_later_is_news_again(queue: Queue, box: Outbox) -> None:
    queue.add(record())
    queue.settle("r1", failed(), run="run/1", now=NOW)
    queue.settle("r1", Outcome(published=FIRST), run="run/1", now=NOW)
    assert len(box.notes()) == 2


def test_a_rejected_file_is_one_note(queue: Queue, catalog: Catalog, box: Outbox) -> None:
    (queue.landing / "bad.json").write_text('{"table": "nowhere", "start_date": "2025-01-01"}')
    process_files(queue, catalog=catalog, now=datetime.now(UTC) + REST, today=NOW.date(), stable_seconds=1)
    [note] = box.notes()
    assert (note.kind, note.content["file"]) == ("rejected", "bad.json")
    assert "nowhere" in note.content["sentence"]


def test_what_happened_does_not_fail_where_no_note_can_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    Outbox(tmp_path / "file").leave([Note("rejected", "a", NOW, {"file": "a.json"})])
    [line] = caplog.messages
    assert line.startswith("nobody will be told: ")
    assert line.endswith("make room or grant access")


def test_closing_forgets_what_was_not_told(queue: Queue, box: Outbox) -> None:
    queue.file_away(record().with_outcome(failed(), run="command/1", now=NOW))
    box.open([])
    assert (box.notes(), box.wanted()) == ([], [])
    queue.file_away(record("r2").with_outcome(failed(), run="command/1", now=NOW))
    assert box.notes() == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "x"}', "\x00", '{"kind": "ended", "content": []}'])
def test_a_file_that_is_not_a_note_is_left_alone(box: Outbox, text: str) -> None:
    note = Note("rejected", "a", NOW, {"file": "a.json"})
    box.put([note])
    (box.folder / "of-somebody.json").write_text(text)
    assert box.notes() == [note]
    assert (box.folder / "of-somebody.json").exists()


def test_one_process_at_a_time_sends(box: Outbox) -> None:
    with box.held() as first, box.held() as second:
        assert (first, second) == (True, False)
    with box.held() as third:
        assert third


def test_a_note_keeps_who_was_told(box: Outbox) -> None:
    note = Note("rejected", "a", NOW, {"file": "a.json"})
    box.put([note])
    box.mark_told(note, "URL 1")
    assert [each.told for each in box.notes()] == [("URL 1",)]


def test_wherever_a_process_is_killed_an_end_is_one_note(tmp_path: Path) -> None:
    steps = 0
    while True:
        landing = tmp_path / str(steps)
        landing.mkdir()
        queue, box = Queue(landing), Outbox(landing)
        box.open(ALL)
        queue.add(record())
        try:
            with killed_after(steps, landing):
                queue.settle("r1", failed(), run="run/1", now=NOW)
        except Killed:
            queue.settle("r1", failed(), run="run/1", now=NOW)
        else:
            break
        assert [each.id for each in queue.records("failed")] == ["r1"]
        assert [note.content["id"] for note in box.notes()] == ["r1"], f"killed before step {steps}"
        steps += 1
    assert steps > 5


def test_wherever_a_process_is_killed_a_rejection_is_one_note(tmp_path: Path, catalog: Catalog) -> None:
    steps = 0
    while True:
        landing = tmp_path / str(steps)
        landing.mkdir()
        queue, box = Queue(landing), Outbox(landing)
        box.open(ALL)
        (landing / "bad.json").write_text("{}")
        try:
            with killed_after(steps, landing):
                process_files(queue, catalog=catalog, now=datetime.now(UTC) + REST, today=NOW.date(), stable_seconds=1)
        except Killed:
            process_files(queue, catalog=catalog, now=datetime.now(UTC) + REST, today=NOW.date(), stable_seconds=1)
        else:
            break
        assert len(list((landing / "rejected").glob("*.json"))) == 1
        [note] = box.notes()
        assert (landing / "rejected" / note.content["path"]).exists(), f"killed before step {steps}"
        steps += 1
    assert steps > 5
