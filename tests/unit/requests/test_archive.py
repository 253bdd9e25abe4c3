"""Old done requests move into one file a month, and no crash loses or doubles one."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from reloads.errors import OperatorError
from reloads.outcome import Outcome
from reloads.requests import archive
from reloads.requests.acceptance import process_files
from reloads.requests.archive import archive_done
from reloads.requests.conversion import new_record
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.request import parse_request
from reloads.tables.catalog import Catalog

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 5, 12, tzinfo=UTC)
SEPTEMBER = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)


def done(queue: Queue, number: int, at: datetime, *, file: str | None = None) -> Record:
    """A request for one day that was done at ``at``."""
    day = date(2024, 1, 1) + timedelta(days=number)
    request = parse_request({"table": "sales", "start_date": str(day), "reason": "nächtlich\u2028"})
    record = new_record(request, "sales", mode="landing", origin=f"drop {number}", now=at, file=file)
    queue.file_away(record.with_outcome(Outcome(published=record.days), run="run", now=at))
    return record


def singles(queue: Queue) -> set[str]:
    return {path.stem for path in (queue.landing / "done").glob("*.json")}


def archived(queue: Queue, month: str) -> list[dict[str, object]]:
    text = (queue.landing / "done" / "archive" / f"{month}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_old_requests_move_into_the_archive_of_their_month_whole(queue: Queue) -> None:
    old = [done(queue, 1, OCTOBER), done(queue, 2, OCTOBER), done(queue, 3, SEPTEMBER)]
    files = {r.id: json.loads((queue.landing / "done" / f"{r.id}.json").read_bytes()) for r in old}
    assert archive_done(queue, now=NOW, older_than_days=30) == 3
    assert singles(queue) == set()
    assert archived(queue, "2026-10") == [files[record.id] for record in sorted(old[:2], key=lambda r: r.id)]
    assert archived(queue, "2026-09") == [files[old[2].id]]


def test_young_requests_and_other_folders_stay(queue: Queue) -> None:
    young = done(queue, 1, NOW - timedelta(days=30))
    for state in ("accepted", "failed", "rejected"):
        (queue.folder(state) / "old.json").write_text("{}")
    (queue.folder("done") / "no-record.json").write_text("{}")
    assert archive_done(queue, now=NOW, older_than_days=30) == 0
    assert singles(queue) == {young.id, "no-record"}
    assert all((queue.landing / state / "old.json").exists() for state in ("accepted", "failed", "rejected"))
    assert not (queue.landing / "done" / "archive").exists()


def test_a_later_call_adds_to_the_month_and_keeps_what_is_there(queue: Queue) -> None:
    first = done(queue, 1, OCTOBER)
    archive_done(queue, now=NOW, older_than_days=30)
    second = done(queue, 2, OCTOBER)
    archive_done(queue, now=NOW, older_than_days=30)
    assert [line["id"] for line in archived(queue, "2026-10")] == [first.id, second.id]


def test_a_crash_before_the_single_files_are_removed_doubles_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: list[Path]) -> None:
        raise KeyboardInterrupt

    records = [done(queue, number, OCTOBER) for number in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(archive, "_remove_files", crash)
        with pytest.raises(KeyboardInterrupt):
            archive_done(queue, now=NOW, older_than_days=30)
    assert singles(queue) == {record.id for record in records}
    archive_done(queue, now=NOW, older_than_days=30)
    assert singles(queue) == set()
    assert len(archived(queue, "2026-10")) == 3


def test_a_full_disk_keeps_every_single_file_and_the_old_archive(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    first = done(queue, 1, OCTOBER)
    archive_done(queue, now=NOW, older_than_days=30)
    second = done(queue, 2, OCTOBER)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OperatorError, match="No space left"):
        archive_done(queue, now=NOW, older_than_days=30)
    assert singles(queue) == {second.id}
    assert [line["id"] for line in archived(queue, "2026-10")] == [first.id]


def test_the_record_of_a_file_that_still_lies_there_stays_in_done(queue: Queue) -> None:
    (queue.landing / "stuck.json").write_text("{}")
    record = done(queue, 1, OCTOBER, file="stuck.json")
    assert archive_done(queue, now=NOW, older_than_days=30) == 0
    assert queue.find(record.id)


def test_a_line_put_back_asks_again(queue: Queue, sales_tables: Path) -> None:
    record = done(queue, 1, OCTOBER)
    archive_done(queue, now=NOW, older_than_days=30)
    (queue.landing / "again.json").write_text(json.dumps(archived(queue, "2026-10")[0]))
    files = process_files(queue, catalog=Catalog.load(sales_tables), now=NOW, today=NOW.date(), stable_seconds=1)
    assert [again.days for again in files.accepted] == [record.days]


def test_what_may_be_asked_for_once_more_by_itself_is_too_young(queue: Queue) -> None:
    with pytest.raises(OperatorError, match="6 days is too young to be archived; write 7 or more"):
        archive_done(queue, now=NOW, older_than_days=6)
