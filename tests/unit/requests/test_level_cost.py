"""Level cost: what an act reads and writes of requests does not depend on how many have ended."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.cli.wait import Wave, follow_wave
from reloads.days import Days
from reloads.outcome import Failure, Outcome
from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.control import cancel_request, find_records, retry_request
from reloads.requests.conversion import new_record
from reloads.requests.intake import collect_requests
from reloads.requests.neglect import find_neglected, knock
from reloads.requests.notes import find_note
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.request import parse_request
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from tests.support.command_line import call
from tests.support.touches import count_touches

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
DAY = Days.parse(["2024-06-01"])
FEW, MANY = 40, 300
"""Records in each folder: of either there are more than the newest endings that are kept."""

Act = Callable[[Settings], object]


def make(number: int, *, file: str | None = None) -> Record:
    request = parse_request({"table": "sales", "start_date": "2024-06-01"})
    return new_record(
        request, "sales", mode="landing", origin=str(number), now=NOW + timedelta(seconds=number), file=file
    )


def fill(landing: Path, count: int) -> None:
    """So many requests that ended in each way, of files with names that begin alike."""
    for state in ("done", "failed", "cancelled", "rejected"):
        (landing / state).mkdir()
    for number in range(1000, 1000 + count):
        name = f"a-name-that-is-too-long-for-the-label-of-an-id-{number}"
        for state in ("done", "failed", "cancelled"):
            record = make(number, file=f"{name}-{state}.json").model_copy(update={"finished_at": NOW})
            path = landing / state / f"{record.id}.json"
            path.write_text(record.to_json())
            os.utime(path, (number, number))
        (landing / "rejected" / f"{name}.json").touch()
        (landing / "rejected" / f"{name}.error.txt").write_text(f"{name}.json: no\n")
        os.utime(landing / "rejected" / f"{name}.error.txt", (number, number))


def finish(settings: Settings, number: int = 1, *, outcome: Outcome | None = None, file: str | None = None) -> Record:
    record = make(number, file=file)
    queue = Queue(settings.landing)
    queue.add(record)
    queue.plan(record.id, planned={"asked for": DAY}, skipped={}, now=NOW)
    queue.settle(record.id, outcome or Outcome(published=DAY), run="run", now=NOW)
    return record


def accept(settings: Settings) -> list[Record]:
    (settings.landing / "new.json").write_text(json.dumps({"table": "sales", "start_date": "2024-06-01"}))
    (settings.landing / "bad.json").write_text("{}")
    later = datetime.now(UTC) + timedelta(minutes=1)
    return collect_requests(
        settings, Catalog.load(settings.tables), clock=lambda: later, leave_out=leave_out_waiting
    ).files.accepted


def cancel_and_retry(settings: Settings, asked: str) -> None:
    queue = Queue(settings.landing)
    queue.add(make(1, file="mine.json"))
    cancel_request(queue, asked, now=NOW)
    retry_request(queue, asked)


def fail_and_clear(settings: Settings) -> None:
    failed = finish(settings, outcome=Outcome(failed=(Failure(days=DAY, error="bad"),)))
    Queue(settings.landing).settle(failed.id, Outcome(published=DAY), run="run", now=NOW)


def attend_to_neglected(settings: Settings) -> None:
    queue = Queue(settings.landing)
    record = make(1)
    queue.add(record)
    knock(queue, [record])
    assert find_neglected(queue, now=NOW + timedelta(days=1), after=timedelta(seconds=1)) == [record]
    queue.note_children(record.id, ["child"])


def await_the_end(settings: Settings) -> None:
    finish(settings, file="mine.json")
    follow_wave(Wave(settings, ["mine.json"]))


ID = make(1, file="mine.json").id
ACTS: dict[str, Act] = {
    "accept": accept,
    "plan and settle": finish,
    "settle again": fail_and_clear,
    "neglect, knock, children": attend_to_neglected,
    "cancel and retry by id": lambda settings: cancel_and_retry(settings, ID),
    "cancel and retry by file": lambda settings: cancel_and_retry(settings, "mine.json"),
    "undo by id": lambda settings: find_records(Queue(settings.landing), finish(settings).id),
    "request --wait": await_the_end,
    "status": lambda _: call("status"),
    "status of an id": lambda settings: call("status", finish(settings).id),
    "status of a file": lambda settings: call("status", finish(settings, file="mine.json").file or ""),
}
ACTS_BY_FILE = ("cancel and retry by file", "request --wait", "status of a file")
"""They list the names in each folder, and read what has the name."""
ENDED_FOLDERS = ("done", "failed", "cancelled", "rejected")


@pytest.fixture
def homes(tmp_path: Path, sales_settings: Settings) -> dict[int, Settings]:
    """A home where few requests have ended, and one where many have; one has ended in each since the upgrade."""
    homes: dict[int, Settings] = {}
    for count in (FEW, MANY):
        home = tmp_path / str(count)
        (home / "landing").mkdir(parents=True)
        (home / "tables").symlink_to(sales_settings.tables)
        homes[count] = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC"})
        fill(homes[count].landing, count)
        finish(homes[count], 0)
    return homes


def touch(settings: Settings, act: Act, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    monkeypatch.setenv("RELOADS_HOME", str(settings.home))
    with count_touches(settings.landing) as touches:
        act(settings)
    return touches


@pytest.mark.parametrize("name", ACTS)
def test_an_act_opens_lists_and_reads_as_much_beside_many_ended_requests_as_beside_few(
    homes: dict[int, Settings], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (touch(settings, ACTS[name], monkeypatch) for settings in homes.values())
    # Some names hold a count of milliseconds, and the sum of the newest endings differs by it.
    assert many.pop("bytes") == pytest.approx(few.pop("bytes"), rel=0.02)
    assert many == few
    if name not in ACTS_BY_FILE:
        assert not {f"list {folder}" for folder in ENDED_FOLDERS} & many.keys()


def test_of_rejected_files_no_more_are_read_beside_many(
    homes: dict[int, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_unlike(settings: Settings) -> None:
        assert find_note(settings.landing / "rejected", "another.json") is None

    for settings in homes.values():
        assert touch(settings, find_unlike, monkeypatch) == Counter({"list rejected": 1})
