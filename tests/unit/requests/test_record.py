"""A record: frozen request and honest progress, under an id that only the act of asking decides."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from reloads.days import Days
from reloads.errors import RequestError
from reloads.outcome import Failure, Outcome
from reloads.requests.conversion import new_record, record_put_back, request_from_record
from reloads.requests.record import Record
from reloads.requests.request import parse_request

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
WEEK = Days.between(date(2024, 6, 1), date(2024, 6, 7))


def record(days: Days = WEEK, **fields: Any) -> Record:
    return Record(id="r", mode="landing", table="sales", days=days, accepted_at=NOW, **fields)


def days(*texts: str) -> Days:
    return Days.parse(texts)


def failure(*texts: str, error: str = "bad row") -> Failure:
    return Failure(days=days(*texts), error=error)


# ids


def new(origin: str = "o", file: str | None = "june.json", table: str = "sales") -> Record:
    request = parse_request({"table": table, "start_date": "2024-06-01"})
    return new_record(request, table, mode="landing", origin=origin, now=NOW, file=file)


def test_the_same_act_of_asking_has_the_same_id_and_another_has_another() -> None:
    assert new(origin="o").id == new(origin="o").id
    assert new(origin="o").id != new(origin="p").id
    assert new(table="sales").id.rpartition("-")[2] != new(table="visits").id.rpartition("-")[2]


def test_a_person_finds_the_file_and_the_table_in_the_id() -> None:
    assert new(file="June & July.json").id.startswith("june-july-sales-")
    assert new(file=None).id.startswith("landing-sales-")
    assert re.match(r"landing-[0-9a-f]{6}-sales-", new(file="🎉.json").id)


@given(st.binary(min_size=1, max_size=255))
@example(b"x" * 250 + b".json")
def test_an_id_is_safe_as_a_file_name_whatever_was_dropped(name: bytes) -> None:
    record_id = new(file=os.fsdecode(name)).id
    assert record_id.isascii()
    assert set("/. \n'\"") & set(record_id) == set()
    assert len(f"{record_id}.json") <= 255


# progress


@given(st.data())
def test_every_day_asked_for_is_outstanding_published_or_failed_and_no_other(data: st.DataObject) -> None:
    some_days = st.frozensets(st.integers(1, 12).map(lambda day: date(2024, 6, day)))
    before = record(Days.of(data.draw(some_days.filter(bool))))
    for number in range(3):
        published = data.draw(some_days)
        failed = data.draw(some_days) - published
        outcome = Outcome(
            published=Days.of(published),
            failed=(Failure(days=Days.of(failed), error="bad row"),) if failed else (),
            rows={str(day): 1 for day in published},
        )
        after = before.with_outcome(outcome, run=f"run {number}", now=NOW)
        failed_days = Days.union(failure.days for failure in after.failed)
        assert after.outstanding | after.published | failed_days == after.days == before.days
        assert len(after.outstanding) + len(after.published) + len(failed_days) == len(after.days)
        assert after.published == before.published | (Days.of(published) & before.days)
        assert after.rows == len(after.published)
        assert bool(after.finished_at) == (not after.outstanding)
        before = after


def test_an_outcome_recorded_twice_counts_once() -> None:
    outcome = Outcome(
        published=WEEK, rows={str(day): 10 for day in WEEK}, bytes={str(day): 9 for day in WEEK}, seconds=1
    )
    once = record().with_outcome(outcome, run="run", now=NOW)
    assert (once.rows, once.bytes, once.seconds, once.runs) == (70, 63, 1, ("run",))
    assert once.with_outcome(outcome, run="run", now=NOW + timedelta(hours=1)) == once


def test_the_time_of_a_record_is_that_of_all_batches_of_its_runs() -> None:
    first = Outcome(published=days("2024-06-01"), seconds=2) + Outcome(published=days("2024-05-31"), seconds=3)
    once = record().with_outcome(first, run="1", now=NOW)
    assert once.seconds == 5
    assert once.with_outcome(Outcome(published=days("2024-05-30"), seconds=7), run="2", now=NOW).seconds == 5


def test_progress_is_told_in_a_few_words() -> None:
    part = record(published=days("2024-06-01"), cancelled=days("2024-06-02"), failed=(failure("2024-06-03"),))
    assert part.describe_progress() == "r has 4 days left: 1 of 7 days published, 1 failed, 1 cancelled"
    assert record(published=WEEK).describe_progress() == "r is done: 7 of 7 days published, 0 failed"
    assert (
        record(failed=(failure("2024-06-01..2024-06-07"),)).describe_progress()
        == "r failed: 0 of 7 days published, 7 failed"
    )


def test_an_outcome_of_other_days_changes_nothing() -> None:
    outcome = Outcome(published=days("2024-05-01"), failed=(failure("2024-05-02"),), seconds=1)
    assert record().with_outcome(outcome, run="run", now=NOW) == record()


def test_a_failed_day_that_is_published_later_has_not_failed() -> None:
    failed = record().with_outcome(
        Outcome(published=WEEK - days("2024-06-03"), failed=(failure("2024-06-03"),)), run="1", now=NOW
    )
    assert failed.failed == (failure("2024-06-03"),)
    mended = failed.with_outcome(Outcome(published=days("2024-06-03")), run="2", now=NOW)
    assert (mended.failed, mended.published, mended.runs) == ((), WEEK, ("1", "2"))


def rewritten(worker: str, *texts: str) -> Outcome:
    return Outcome(published=days(*texts)).rewritten_by(worker)


def test_a_record_says_which_machine_rewrote_which_of_its_days() -> None:
    outcome = rewritten("one", "2024-06-01", "2024-06-02") + rewritten("two", "2024-06-03", "2024-06-20")

    changed = record().with_outcome(outcome, run="1", now=NOW)
    changed = changed.with_outcome(rewritten("one", "2024-06-04"), run="2", now=NOW)

    expected = {"one": days("2024-06-01", "2024-06-02", "2024-06-04"), "two": days("2024-06-03")}
    assert {part.worker: part.days for part in changed.workers} == expected
    assert Record.model_validate_json(changed.to_json()) == changed


def test_a_day_that_failed_on_one_machine_is_the_work_of_that_which_published_it() -> None:
    failed = Outcome(failed=(failure("2024-06-01"),)).rewritten_by("one")

    changed = record().with_outcome(failed, run="1", now=NOW)
    assert changed.workers == ()
    changed = changed.with_outcome(rewritten("two", "2024-06-01"), run="2", now=NOW)

    assert [part.worker for part in changed.workers] == ["two"]


def test_a_published_day_does_not_fail_afterwards() -> None:
    published = record().with_outcome(Outcome(published=WEEK), run="1", now=NOW)
    assert published.with_outcome(Outcome(failed=(failure("2024-06-03"),)), run="2", now=NOW) == published


def test_the_file_of_a_record_holds_all_of_it() -> None:
    full = record(
        failed=(failure("2024-06-03"),), published=days("2024-06-01"), dropped={"a": ["ü", 1]}, finished_at=NOW
    )
    assert Record.model_validate_json(full.to_json()) == full
    assert Outcome.model_validate(Outcome(published=WEEK, failed=full.failed).to_json()).published == WEEK


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"days": ["2024-6-1"]}, "days", id="wrong day"),
        pytest.param({"days": ["2024-06-07..2024-06-01"]}, "days", id="inverted range"),
        pytest.param({"days": [1]}, "days", id="number for a day"),
        pytest.param({"days": "2024-06-01"}, "days", id="text for the days"),
        pytest.param({"days": None}, "days", id="null for the days"),
        pytest.param({"accepted_at": "2024-06-01T00:00:00"}, "accepted_at", id="time without zone"),
        pytest.param({"mode": "yearly"}, "mode", id="unknown mode"),
    ],
)
def test_what_is_not_a_record_is_refused_by_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Record.model_validate_json(json.dumps(json.loads(record().to_json()) | change))
    assert refused.value.errors()[0]["loc"] == (field,)


# a record put back


def put_back(record: Record) -> Days:
    fields = request_from_record(record)
    return parse_request(fields).days


def test_a_done_record_asks_for_all_its_days_again() -> None:
    gaps = days("2024-06-01", "2024-06-03..2024-06-05", "2024-06-30")
    assert put_back(record(gaps, published=gaps)) == gaps


def test_a_failed_record_asks_for_the_unpublished_days_only() -> None:
    failed = (failure("2024-06-02"), failure("2024-06-05..2024-06-06"))
    assert put_back(record(published=days("2024-06-01"), failed=failed)) == WEEK - days("2024-06-01")


def test_who_asked_and_why_is_kept() -> None:
    fields = request_from_record(record(reason="late files", requested_by="Ada"))
    assert (fields["reason"], fields["requested_by"]) == ("late files", "Ada")


def test_a_request_is_not_a_record() -> None:
    assert record_put_back({"table": "sales", "start_date": "2024-06-01"}) is None


@pytest.mark.parametrize(
    "empty", [record(Days()), record(published=WEEK, failed=(failure("2024-06-01"),))], ids=["no days", "all published"]
)
def test_a_record_that_asks_for_no_days_is_refused(empty: Record) -> None:
    with pytest.raises(RequestError, match="asks for no days; write a request with a start_date"):
        request_from_record(empty)
