"""Finding requests: by an id or by a file's name, wherever they are, and whatever was typed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from reloads.requests.conversion import new_record
from reloads.requests.lookup import find_named
from reloads.requests.queue import RECORD_STATES, Queue, State
from reloads.requests.record import Record
from reloads.requests.request import parse_request

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)


def put(queue: Queue, state: State, *, file: str, minutes: int = 0) -> Record:
    request, at = parse_request({"table": "sales", "start_date": "2024-06-01"}), NOW + timedelta(minutes=minutes)
    record = new_record(request, "sales", mode="landing", origin=f"{state} {minutes}", now=at, file=file)
    (queue.folder(state) / f"{record.id}.json").write_text(record.to_json())
    return record


def test_the_records_of_a_file_are_found_in_every_state_oldest_first(queue: Queue) -> None:
    records = [put(queue, state, file="mine.json", minutes=-n) for n, state in enumerate(RECORD_STATES)]
    put(queue, "done", file="other.json")
    assert find_named(queue, "mine.json") == records[::-1]
    assert [find_named(queue, record.id) for record in records] == [[record] for record in records]


def test_files_whose_names_come_to_the_same_label_are_told_apart(queue: Queue) -> None:
    first, second = put(queue, "done", file="June & July.json"), put(queue, "failed", file="june-july.json")
    assert find_named(queue, "June & July.json") == [first]
    assert find_named(queue, "june-july.json") == [second]


def test_a_name_is_found_as_it_is_and_as_it_is_shown(queue: Queue) -> None:
    record = put(queue, "done", file=r"caf\xe9.json")
    assert find_named(queue, os.fsdecode(b"caf\xe9.json")) == find_named(queue, r"caf\xe9.json") == [record]


@pytest.mark.parametrize("state", RECORD_STATES)
def test_a_file_that_is_not_a_record_is_passed_over(queue: Queue, state: State) -> None:
    record = put(queue, state, file="mine.json")
    broken = queue.landing / state / "mine-visits-0123456789ab.json"
    broken.write_text("broken")
    assert find_named(queue, "mine.json") == [record]
    assert find_named(queue, broken.stem) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "../done/x", "a/b.json", "x" * 5000, ".json", "x" * 300 + ".json", "\0"]
)
def test_whatever_is_no_name_of_a_request_finds_none(queue: Queue, name: str) -> None:
    put(queue, "done", file="mine.json")
    assert find_named(queue, name) == []
