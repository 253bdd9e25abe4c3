"""The queue: folders are states, renames are transitions, and a bad file does not hide the good ones."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.outcome import Failure, Outcome
from reloads.requests.neglect import find_neglected
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from reloads.requests.record_file import read_record

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
WEEK = Days.between(date(2024, 6, 1), date(2024, 6, 7))
MINUTE = timedelta(minutes=1)


def record(name: str = "r", *, accepted_at: datetime = NOW, **changes: Any) -> Record:
    fields = {"mode": "landing", "table": "sales", "days": WEEK} | changes
    return Record(id=name, accepted_at=accepted_at, **fields)


def failing(*texts: str) -> Outcome:
    return Outcome(failed=(Failure(days=Days.parse(texts), error="bad row"),))


def state_of(queue: Queue, name: str = "r") -> State | None:
    location = queue.find(name)
    return location.state if location else None


# accepting


def test_a_record_added_can_be_read_again(queue: Queue) -> None:
    assert queue.add(record())
    assert queue.records("accepted") == [record()]
    assert state_of(queue) == "accepted"


@pytest.mark.parametrize("state", ["accepted", "done", "failed", "cancelled"])
def test_an_act_of_asking_is_accepted_once_whatever_came_of_it(queue: Queue, state: State) -> None:
    path = queue.folder(state) / "r.json"
    path.write_text("as it is")
    assert not queue.add(record())
    assert path.read_text() == "as it is"
    assert [file.name for file in queue.landing.rglob("*.json")] == ["r.json"]


def test_requests_are_listed_oldest_first_and_by_table(queue: Queue) -> None:
    queue.add(record("a", accepted_at=NOW + MINUTE))
    queue.add(record("b"))
    queue.add(record("c", accepted_at=NOW - MINUTE, table="visits"))
    assert [listed.id for listed in queue.records("accepted")] == ["c", "b", "a"]
    assert [listed.id for listed in queue.accepted("sales")] == ["b", "a"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"id": "bad"', id="truncated"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[]", id="a list"),
        pytest.param(record("bad").to_json().replace("2024-06-01..", "2024-6-1..").encode(), id="wrong day"),
        pytest.param(record("bad").to_json().replace('"2024-06-01..2024-06-07"', "7").encode(), id="number for a day"),
        pytest.param(record("bad").to_json().replace(":00Z", ":00").encode(), id="time without zone"),
        pytest.param(record("other").to_json().encode(), id="another one's record"),
        pytest.param(record("../../etc/bad").to_json().encode(), id="a path for an id"),
    ],
)
def test_a_corrupt_record_does_not_hide_the_others(
    queue: Queue, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    queue.add(record())
    corrupt = queue.folder("accepted") / "bad.json"
    corrupt.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert queue.records("accepted") == [record()]
        assert find_neglected(queue, now=NOW, after=timedelta()) == [record()]
    assert all(str(corrupt) in message and "move it out" in message for message in caplog.messages)
    assert len(caplog.messages) == 2
    assert corrupt.read_bytes() == content


def test_a_folder_named_like_a_record_does_not_hide_the_others(queue: Queue) -> None:
    queue.add(record())
    (queue.folder("accepted") / "bad.json").mkdir()
    assert queue.records("accepted") == [record()]


def test_a_record_that_moved_on_is_told_from_one_that_is_corrupt(queue: Queue) -> None:
    with pytest.raises(FileNotFoundError):
        read_record(queue.landing / "accepted" / "gone.json")


def test_a_folder_that_cannot_be_made_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "landing").touch()
    with pytest.raises(OperatorError, match=r"accepted cannot be written \(.*\); make room or grant access"):
        Queue(tmp_path / "landing").add(record())


# settling


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        pytest.param(Outcome(published=WEEK), "done", id="all published"),
        pytest.param(Outcome(published=WEEK | Days.parse(["2024-07-01"])), "done", id="and more"),
        pytest.param(Outcome(published=Days.parse(["2024-06-01"])), "accepted", id="some published"),
        pytest.param(failing("2024-06-01"), "accepted", id="some failed"),
        pytest.param(
            Outcome(published=WEEK - Days.parse(["2024-06-03"])) + failing("2024-06-03"), "failed", id="mixed"
        ),
        pytest.param(failing("2024-06-01..2024-06-07"), "failed", id="all failed"),
        pytest.param(Outcome(), "accepted", id="nothing"),
    ],
)
def test_a_request_moves_on_once_nothing_of_it_is_outstanding(queue: Queue, outcome: Outcome, state: State) -> None:
    queue.add(record())
    changed = queue.settle("r", outcome, run="run", now=NOW + MINUTE)
    assert state_of(queue) == state
    assert queue.records(state) == [changed]
    assert len(list(queue.landing.rglob("*.json"))) == 1


def test_progress_of_days_nobody_asked_for_is_not_recorded(queue: Queue) -> None:
    queue.add(record())
    before = (queue.landing / "accepted" / "r.json").read_bytes()
    outcome = Outcome(published=Days.parse(["2024-05-31"]), rows={"2024-05-31": 5}) + failing("2024-06-08")
    queue.settle("r", outcome, run="run", now=NOW)
    assert (queue.landing / "accepted" / "r.json").read_bytes() == before


def test_several_runs_finish_a_request(queue: Queue) -> None:
    queue.add(record())
    for number, text in enumerate(["2024-06-05..2024-06-07", "2024-06-03..2024-06-04", "2024-06-01..2024-06-02"]):
        assert state_of(queue) == "accepted"
        queue.settle("r", Outcome(published=Days.parse([text])), run=f"run {number}", now=NOW)
    [done_record] = queue.records("done")
    assert (done_record.published, done_record.runs) == (WEEK, ("run 0", "run 1", "run 2"))


def test_a_failed_request_whose_task_was_cleared_and_succeeded_is_done(queue: Queue) -> None:
    queue.add(record())
    queue.settle("r", failing("2024-06-01..2024-06-07"), run="run", now=NOW)
    assert state_of(queue) == "failed"
    queue.settle("r", Outcome(published=WEEK), run="run", now=NOW)
    assert state_of(queue) == "done"


def test_a_request_that_is_done_is_not_touched(queue: Queue) -> None:
    path = queue.folder("done") / "r.json"
    path.write_text(record().to_json())
    assert queue.settle("r", Outcome(published=WEEK), run="run", now=NOW) is None
    assert path.read_text() == record().to_json()


def test_a_request_that_is_gone_cannot_be_settled(queue: Queue) -> None:
    assert queue.settle("r", Outcome(published=WEEK), run="run", now=NOW) is None


def test_a_crash_between_recording_and_moving_is_made_up_for(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_path: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    queue.add(record())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            queue.settle("r", Outcome(published=WEEK, rows={"2024-06-01": 5}), run="run", now=NOW)
    assert state_of(queue) == "accepted"
    queue.settle("r", Outcome(published=WEEK, rows={"2024-06-01": 5}), run="run", now=NOW)
    [done_record] = queue.records("done")
    assert done_record.rows == 5


def test_a_full_disk_keeps_the_progress_recorded_before(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    queue.add(record())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OperatorError, match="No space left"):
            queue.settle("r", Outcome(published=WEEK), run="run", now=NOW)
    assert queue.records("accepted") == [record()]


# planning


STALE, MISSING = "the query changed", "it is missing"


def plan(queue: Queue, planned: dict[str, list[str]], skipped: dict[str, list[str]] | None = None) -> Record | None:
    def as_days(reasons: dict[str, list[str]]) -> dict[str, Days]:
        return {why: Days.parse(texts) for why, texts in reasons.items()}

    return queue.plan("r", planned=as_days(planned), skipped=as_days(skipped or {}), now=NOW + MINUTE)


def test_a_plan_is_written_into_the_record(queue: Queue) -> None:
    queue.add(record())
    changed = plan(queue, {STALE: ["2024-06-01"]}, {"it is there": ["2024-06-02..2024-06-06"]})
    assert queue.records("accepted") == [changed]
    assert changed
    assert changed.outstanding == Days.parse(["2024-06-01", "2024-06-07"])


def test_a_request_that_needs_nothing_is_done_when_it_is_planned(queue: Queue) -> None:
    queue.add(record())
    changed = plan(queue, {}, {"it is there": ["2024-06-01..2024-06-07"]})
    assert state_of(queue) == "done"
    assert queue.records("done") == [changed]
    assert changed
    assert changed.finished_at == NOW + MINUTE


def test_a_plan_that_says_nothing_new_writes_nothing(queue: Queue) -> None:
    queue.add(record())
    plan(queue, {STALE: ["2024-06-01"], MISSING: ["2024-06-02"]})
    path = queue.landing / "accepted" / "r.json"
    before = path.stat()
    plan(queue, {STALE: ["2024-06-01"], MISSING: ["2024-06-02"]})
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


# cancelling


def test_what_is_left_of_a_request_is_given_up(queue: Queue) -> None:
    queue.add(record())
    queue.settle("r", Outcome(published=Days.parse(["2024-06-07"])), run="run", now=NOW)
    changed = queue.cancel("r", now=NOW + MINUTE)
    assert (state_of(queue), queue.records("cancelled")) == ("cancelled", [changed])
    assert changed
    assert (changed.cancelled.texts(), changed.finished_at) == (["2024-06-01..2024-06-06"], NOW + MINUTE)


def test_a_request_of_which_a_day_failed_is_failed_even_if_the_rest_is_given_up(queue: Queue) -> None:
    queue.add(record())
    queue.settle("r", failing("2024-06-07"), run="run", now=NOW)
    queue.cancel("r", now=NOW)
    assert state_of(queue) == "failed"


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_what_is_not_accepted_any_more_cannot_be_cancelled(queue: Queue, state: State) -> None:
    path = queue.folder(state) / "r.json"
    path.write_text(record().to_json())
    assert queue.cancel("r", now=NOW) is None
    assert path.read_text() == record().to_json()


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        pytest.param(Outcome(published=WEEK), "done", id="all days were under way"),
        pytest.param(Outcome(published=Days.parse(["2024-06-01"])), "cancelled", id="one day was"),
        pytest.param(Outcome(cancelled=WEEK), "cancelled", id="none was"),
        pytest.param(failing("2024-06-01..2024-06-07"), "cancelled", id="all failed, which nobody wants to know"),
    ],
)
def test_what_was_under_way_when_it_was_cancelled_is_written_down(queue: Queue, outcome: Outcome, state: State) -> None:
    queue.add(record())
    queue.cancel("r", now=NOW)
    changed = queue.settle("r", outcome, run="run", now=NOW + MINUTE)
    assert (state_of(queue), queue.records(state)) == (state, [changed])
    assert changed
    assert (changed.published, changed.cancelled, changed.failed) == (outcome.published, WEEK - outcome.published, ())


# children


@pytest.mark.parametrize("state", ["accepted", "done", "failed", "cancelled"])
def test_what_follows_from_a_request_is_noted_wherever_it_is_and_once(queue: Queue, state: State) -> None:
    ended: dict[str, dict[str, Any]] = {
        "done": {"published": WEEK},
        "failed": {"failed": (Failure(days=WEEK, error="bad row"),)},
        "cancelled": {"cancelled": WEEK},
    }
    (queue.folder(state) / "r.json").write_text(record(**ended.get(state, {})).to_json())
    for children in (["b"], ["b", "c"], ["c"]):
        queue.note_children("r", children)
    [changed] = queue.records(state)
    assert (changed.children, state_of(queue)) == (("b", "c"), state)


def test_children_of_a_request_that_is_gone_are_noted_nowhere(queue: Queue) -> None:
    queue.note_children("r", ["b"])
    assert list(queue.landing.rglob("*.json")) == []


# several processes at once


CHANGES = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from reloads.days import Days
from reloads.outcome import Outcome
from reloads.requests.queue import Queue

queue, month, now = Queue(Path(sys.argv[1])), sys.argv[2], datetime(2024, 7, 1, 12, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
for day in (f"{month}-{n:02}" for n in range(1, 21)):
    queue.settle("r", Outcome(published=Days.parse([day]), rows={day: 1}, seconds=1), run=month, now=now)
    queue.note_children("r", [f"child of {day}"])
    if day == "2024-07-10":
        queue.cancel("r", now=now)
"""


def test_two_processes_that_change_one_record_at_once_lose_nothing(queue: Queue) -> None:
    queue.add(record(days=Days.parse(["2024-06-01..2024-07-31"])))
    command = [sys.executable, "-c", CHANGES, str(queue.landing)]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen([*command, "2024-06"], stdin=pipe, stdout=pipe, text=True) as june,
        subprocess.Popen([*command, "2024-07"], stdin=pipe, stdout=pipe, text=True) as july,
    ):
        for worker in (june, july):
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        for worker in (june, july):
            assert worker.stdin
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in (june, july):
            worker.communicate(timeout=60)
            assert worker.returncode == 0
    [changed] = queue.records("cancelled")
    assert changed.published.texts() == ["2024-06-01..2024-06-20", "2024-07-01..2024-07-20"]
    assert changed.cancelled.texts() == ["2024-06-21..2024-06-30", "2024-07-21..2024-07-31"]
    assert (changed.rows, changed.seconds, len(changed.children)) == (40, 40, 40)


@pytest.mark.parametrize(("outcome", "state"), [(Outcome(published=WEEK), "done"), (failing("2024-06-01"), "failed")])
def test_a_request_run_elsewhere_is_filed_away(queue: Queue, outcome: Outcome, state: State) -> None:
    finished = record().with_outcome(outcome, run="here", now=NOW)
    path = queue.file_away(finished)
    assert path.parent.name == state
    assert read_record(path) == finished
    assert json.loads(path.read_text())["days"] == ["2024-06-01..2024-06-07"]


def test_a_record_that_cannot_be_moved_on_is_the_operators_to_mend(queue: Queue) -> None:
    queue.add(record())
    (queue.folder("done") / "r.json" / "in the way").mkdir(parents=True)
    with pytest.raises(OperatorError, match=r"done/r\.json cannot be written \(Is a directory\); make room"):
        queue.settle("r", Outcome(published=WEEK), run="run", now=NOW)
    assert state_of(queue) == "accepted"


def test_many_records_change_together_and_one_that_is_not_a_record_holds_up_none(queue: Queue) -> None:
    names = [f"r{number}" for number in range(1200)]
    assert len(queue.add_all([record(name) for name in [*names, *names]])) == len(names)
    assert queue.add_all([record(names[0])]) == []
    (queue.landing / "accepted" / "r7.json").write_text("{}")
    settled = queue.settle_all({name: Outcome(published=WEEK) for name in [*names, "gone"]}, run="run", now=NOW)
    assert {each.id for each in settled} == set(names) - {"r7"}
    assert len(queue.records("done")) == len(names) - 1
    assert (queue.landing / "accepted" / "r7.json").read_text() == "{}"
