"""Credit: a request is told what came of the days planned for it, and a day is done once all of its batches did it."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import CheckResult, Failure, Outcome, Postponement
from reloads.partition_filter import PartitionFilter
from reloads.runs.credit import complete_outcomes, credit_requests

FIRST, SECOND = date(2024, 6, 1), date(2024, 6, 2)
ENDINGS = ("published", "unchanged", "failed", "cancelled", "postponed", "silent")


def outcome_of(batch: Batch, endings: dict[date, str]) -> Outcome:
    """What a task says whose days ended like this; each day has as many rows as the batch's number says."""
    of = {ending: Days.of(day for day in endings if endings[day] == ending) for ending in ENDINGS}
    counts = {str(day): batch.number + 1 for day in of["published"] | of["unchanged"]}
    return Outcome(
        published=of["published"],
        unchanged=of["unchanged"],
        failed=tuple(Failure(days=Days.of([day]), error=f"batch {batch.number}") for day in of["failed"]),
        cancelled=of["cancelled"],
        postponed=tuple(Postponement(days=Days.of([day]), why="broken") for day in of["postponed"]),
        rows=counts,
        rows_before=counts,
        bytes=counts,
        checks=(CheckResult(check=f"check {batch.number}", severity="warn", days=batch.days, rows=1),),
        seconds=2.0**batch.number,
        batch=batch.number,
    )


run_days = st.frozensets(st.integers(0, 4).map(lambda number: FIRST + timedelta(days=number)))


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Batch], list[dict[date, str]]]:
    """Batches of a few days for a few requests, which may share days, and how each day of each batch ended."""
    batches: list[Batch] = []
    endings: list[dict[date, str]] = []
    for number in range(draw(st.integers(0, 5))):
        requests = draw(st.dictionaries(st.sampled_from("rst"), run_days.filter(bool).map(Days.of), min_size=1))
        batches.append(Batch(Days.union(requests.values()), requests=requests, number=number))
        endings.append({day: draw(st.sampled_from(ENDINGS)) for day in batches[-1].days})
    return batches, endings


@given(run=runs(), data=st.data())
def test_a_request_is_told_what_its_own_batches_did_on_its_own_days(
    run: tuple[list[Batch], list[dict[date, str]]], data: st.DataObject
) -> None:
    batches, endings = run
    outcomes = [outcome_of(batch, ends) for batch, ends in zip(batches, endings, strict=True)]
    completed = complete_outcomes(batches, data.draw(st.permutations(outcomes)), run="run/1")
    told = credit_requests(batches, completed)

    assert told.keys() == {request for batch in batches for request in batch.requests}
    for request, outcome in told.items():
        mine = [batch for batch in batches if request in batch.requests]
        assert outcome.days == Days.union(batch.requests[request] for batch in mine)
        assert outcome.seconds == sum(2.0**batch.number for batch in mine)
        for day in outcome.days:
            parts = [batch for batch in mine if day in batch.requests[request]]
            ends = {endings[batch.number][day] for batch in parts}
            assert (day in outcome.fulfilled) == (ends <= {"published", "unchanged"})
            assert (day in outcome.published) == (ends <= {"published", "unchanged"} and "published" in ends)
            assert (day in outcome.failed_days) == bool(ends & {"failed", "silent"})
            assert (day in outcome.cancelled) == ("cancelled" in ends)
            assert (day in outcome.postponed_days) == ("postponed" in ends)
            assert {check.check for check in outcome.checks if day in check.days} == {
                f"check {batch.number}" for batch in parts
            }
            if day in outcome.fulfilled:
                rows = sum(batch.number + 1 for batch in parts)
                counts = outcome.rows[str(day)], outcome.rows_before[str(day)], outcome.bytes[str(day)]
                assert counts == (rows, rows, rows)


def test_a_batch_without_an_outcome_fails_its_own_days_only() -> None:
    done = Batch(Days.of([FIRST]), requests={"r": Days.of([FIRST])}, number=0)
    killed = Batch(Days.of([SECOND]), requests={"r": Days.of([SECOND]), "s": Days.of([SECOND])}, number=1)
    completed = complete_outcomes([done, killed], [Outcome(published=done.days, batch=0)], run="run/1")
    told = credit_requests([done, killed], completed)
    assert (told["r"].published, told["r"].failed_days) == (done.days, killed.days)
    assert (told["s"].published, told["s"].failed_days) == (Days(), killed.days)
    [failure] = told["s"].failed
    assert failure.error == ("the task ended without a result, it was killed or stopped; read its log in the run run/1")
    assert failure.transient


def test_another_requests_batch_of_the_same_day_says_nothing_of_mine() -> None:
    day = Days.of([FIRST])
    mine = Batch(day, PartitionFilter(({"shop": ("a",)},)), requests={"mine": day}, number=0)
    theirs = Batch(day, PartitionFilter(({"shop": ("b",)},)), requests={"theirs": day}, number=1)
    failed = Outcome(failed=(Failure(days=day, error="bad row"),), batch=0)
    told = credit_requests([mine, theirs], [failed, Outcome(published=day, rows={str(FIRST): 7}, batch=1)])
    assert (told["mine"].published, told["mine"].failed_days, told["mine"].rows) == (Days(), day, {})
    assert (told["theirs"].published, told["theirs"].failed_days, told["theirs"].rows) == (
        day,
        Days(),
        {"2024-06-01": 7},
    )
