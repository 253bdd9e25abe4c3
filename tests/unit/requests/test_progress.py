"""Progress of requests: what their batches say adds up, and never exceeds what was asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reloads.batch import Batch
from reloads.days import Days
from reloads.progress import STEPS, BatchProgress
from reloads.requests.batch_notes import NotedBatch
from reloads.requests.progress import add_progress
from reloads.requests.record import Record

NOW = datetime(2025, 3, 1, tzinfo=UTC)
FIRST = date(2025, 1, 1)
CALENDAR = [FIRST + timedelta(days=number) for number in range(12)]
SOME_DAYS = st.sets(st.sampled_from(CALENDAR)).map(Days.of)
ASKED_DAYS = st.sets(st.sampled_from(CALENDAR), min_size=1).map(Days.of)


def record(name: str, days: Days, published: Days | None = None) -> Record:
    return Record(
        id=name, mode="landing", table="sales", days=days, accepted_at=NOW, published=days & (published or Days())
    )


def noted(batch: Batch, progress: BatchProgress, *, at: datetime = NOW) -> NotedBatch:
    return NotedBatch("sales", "run/1", batch, is_running=True, at=at, progress=progress)


@st.composite
def batches(draw: st.DrawFn) -> list[NotedBatch]:
    """Batches that may share days, as those of other keys do."""
    all_batches: list[NotedBatch] = []
    for number in range(draw(st.integers(0, 4))):
        days = draw(ASKED_DAYS)
        requests = {name: draw(ASKED_DAYS) & days for name in draw(st.sets(st.sampled_from("abc")))}
        staged = draw(SOME_DAYS) & days
        rows = {day: draw(st.integers(0, 9)) for day in staged | (draw(SOME_DAYS) & days)}
        progress = BatchProgress(draw(st.sampled_from(STEPS)), staged, rows, draw(st.none() | st.integers(0, 100)))
        all_batches.append(noted(Batch(days, requests=requests, number=number), progress))
    return all_batches


@given(ASKED_DAYS, SOME_DAYS, batches())
def test_what_is_staged_is_part_of_what_is_rewritten_and_that_of_what_is_left(
    days: Days, published: Days, all_batches: list[NotedBatch]
) -> None:
    asked = record("a", days, published)
    [added] = add_progress([asked], all_batches)
    if added.progress:
        assert 0 <= added.progress.staged <= added.progress.days <= len(asked.outstanding)
        assert added.progress.days > 0


@given(ASKED_DAYS, SOME_DAYS, batches())
def test_a_day_counts_by_all_batches_that_have_it_for_the_request(
    days: Days, published: Days, all_batches: list[NotedBatch]
) -> None:
    asked = record("a", days, published)
    staged = rewritten = rows = 0
    for day in asked.outstanding:
        own = [each for each in all_batches if day in each.batch.requests.get("a", Days())]
        rewritten += bool(own)
        staged += bool(own) and all(day in each.progress.staged for each in own)
        rows += sum(each.progress.rows_by_day.get(day, 0) for each in own)
    [added] = add_progress([asked], all_batches)
    if rewritten:
        assert added.progress
        assert (added.progress.days, added.progress.staged, added.progress.rows) == (rewritten, staged, rows)
    else:
        assert added.progress is None


@given(ASKED_DAYS, batches())
def test_a_request_that_ended_has_no_progress_and_loses_what_it_had(days: Days, all_batches: list[NotedBatch]) -> None:
    [with_some] = add_progress([record("a", days)], all_batches)
    ended = with_some.model_copy(update={"published": days})
    assert add_progress([ended], all_batches)[0].progress is None


@given(batches())
def test_requests_whose_days_have_nothing_in_common_add_up_to_their_batches(all_batches: list[NotedBatch]) -> None:
    halves = {"a": Days.of(CALENDAR[:6]), "b": Days.of(CALENDAR[6:])}
    apart: list[NotedBatch] = []
    for each in all_batches:
        requests = {name: each.batch.days & half for name, half in halves.items()}
        apart.append(noted(Batch(each.batch.days, requests=requests, number=each.batch.number), each.progress))
    added = add_progress([record(name, half) for name, half in halves.items()], apart)
    rows = sum(each.progress.rows for each in added if each.progress)
    assert rows == sum(sum(each.progress.rows_by_day.values()) for each in apart)


def test_the_step_is_that_of_the_batch_that_is_least_far() -> None:
    days = Days.of(CALENDAR)
    far = noted(Batch(days, requests={"a": days}), BatchProgress("writing"))
    behind = noted(
        Batch(days, requests={"a": days}), BatchProgress("reading", percent=40), at=NOW - timedelta(minutes=1)
    )
    [added] = add_progress([record("a", days)], [far, behind])
    assert added.progress
    assert (added.progress.step, added.progress.percent, added.progress.at) == ("reading", 40, NOW)


def test_the_file_of_a_record_holds_no_progress() -> None:
    days = Days.of(CALENDAR)
    [added] = add_progress(
        [record("a", days)], [noted(Batch(days, requests={"a": days}), BatchProgress("writing", days))]
    )
    assert added.progress
    assert "progress" not in added.to_json()
    assert add_progress([Record.model_validate_json(added.to_json())], []) == [record("a", days)]
