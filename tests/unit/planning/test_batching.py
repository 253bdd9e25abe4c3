"""Planning: each outstanding day once, daily loads first, then the newest, in few disjoint batches."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.planning.batching import Limits, cut_batches
from reloads.requests.record import Mode, Record

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
FIRST = date(2024, 1, 1)
LIMITS = Limits(partitions_per_run=400, parallelism=4, days_per_batch=31)


def record(name: str, days: Days, *, mode: Mode = "landing", published: Days = Days()) -> Record:  # noqa: B008 - a value
    return Record(id=name, mode=mode, table="sales", days=days, accepted_at=NOW, published=published)


some_days = st.frozensets(st.integers(0, 60).map(lambda n: FIRST + timedelta(days=n)), max_size=25).map(Days.of)
modes: st.SearchStrategy[Mode] = st.sampled_from(["daily", "landing", "manual"])
queues = st.lists(st.tuples(some_days, some_days, modes), max_size=6).map(
    lambda parts: [
        record(str(n), days, mode=mode, published=days & published) for n, (days, published, mode) in enumerate(parts)
    ]
)


@given(
    records=queues,
    partitions_per_run=st.integers(1, 70),
    parallelism=st.integers(1, 8),
    days_per_batch=st.integers(1, 40),
)
def test_a_plan_keeps_its_promises(
    records: list[Record], partitions_per_run: int, parallelism: int, days_per_batch: int
) -> None:
    plan = cut_batches(records, limits=Limits(partitions_per_run, parallelism, days_per_batch))
    batch_days = [batch.days for batch in plan.batches]
    outstanding = set(Days.union(record.outstanding for record in records))
    daily = set(Days.union(record.outstanding for record in records if record.mode == "daily"))
    taken = [day for days in batch_days for day in days]

    # Each day once, none that nobody asked for, and as many as one run may take.
    assert len(taken) == len(set(taken)) == min(partitions_per_run, len(outstanding))
    assert set(taken) <= outstanding
    assert plan.days_left == len(outstanding) - len(taken)

    # No day that stays is more urgent than one that is taken: daily ones first, then the newest.
    def urgency(day: date) -> tuple[bool, date]:
        return day in daily, day

    remaining = outstanding - set(taken)
    assert not remaining or not taken or max(map(urgency, remaining)) < min(map(urgency, taken))

    # Few batches of like size, none empty.
    sizes = [len(days) for days in batch_days]
    assert len(sizes) <= parallelism
    assert len(sizes) <= 1 or len(sizes) * days_per_batch <= len(taken)
    assert not sizes or 0 < min(sizes) <= max(sizes) <= min(sizes) + 1
    assert all(before.ranges[-1].last < after.ranges[0].first for before, after in pairwise(batch_days))

    # Each batch names the requests it serves, each with the days that it asks for.
    for batch in plan.batches:
        for request in records:
            assert batch.requests.get(request.id, Days()) == request.outstanding & batch.days


def test_days_asked_for_twice_are_taken_once() -> None:
    june = Days.between(date(2024, 6, 1), date(2024, 6, 30))
    plan = cut_batches([record("a", june), record("b", june)], limits=Limits(400, 4, 31))
    assert [batch.days for batch in plan.batches] == [june]


def test_a_daily_load_does_not_wait_behind_a_long_reload() -> None:
    years = record("years", Days.between(date(2020, 1, 1), date(2024, 6, 30)))
    yesterday = Days.of([date(2019, 12, 31)])
    plan = cut_batches([years, record("daily", yesterday, mode="daily")], limits=Limits(10, 1, 31))
    [batch] = plan.batches
    assert batch.days.texts() == ["2019-12-31", "2024-06-22..2024-06-30"]


def test_nothing_outstanding_is_no_batch() -> None:
    plan = cut_batches([], limits=Limits(400, 4, 31))
    assert (plan.batches, plan.days_left) == ((), 0)


JUNE = Days.between(date(2024, 6, 1), date(2024, 6, 30))
FIFTH = Days.of([date(2024, 6, 5)])


def with_keys(name: str, days: Days, **keys: tuple[str, ...]) -> Record:
    return record(name, days).model_copy(update={"keys": keys})


def test_days_that_are_asked_for_with_different_keys_are_a_batch_of_their_own() -> None:
    plan = cut_batches([with_keys("a", JUNE, origin=("EWR",)), with_keys("b", FIFTH, origin=("JFK",))], limits=LIMITS)
    assert {str(batch.days): batch.partition_filter.key_filters for batch in plan.batches} == {
        "2024-06-01..2024-06-04, 2024-06-06..2024-06-30": ({"origin": ("EWR",)},),
        "2024-06-05": ({"origin": ("EWR",)}, {"origin": ("JFK",)}),
    }


def test_a_request_for_all_keys_covers_those_for_some() -> None:
    plan = cut_batches([with_keys("a", FIFTH, origin=("EWR",)), record("b", FIFTH)], limits=LIMITS)
    assert [batch.partition_filter.key_filters for batch in plan.batches] == [()]


def test_slices_of_the_same_days_are_batches_side_by_side() -> None:
    plan = cut_batches([record("a", FIFTH)], limits=Limits(400, 4, 31, key_slices=3))
    assert [batch.days for batch in plan.batches] == [FIFTH] * 3
    slices = [(batch.partition_filter.slice_number, batch.partition_filter.slice_count) for batch in plan.batches]
    assert slices == [(0, 3), (1, 3), (2, 3)]


def test_of_two_requests_with_different_parameters_the_later_one_counts() -> None:
    early = record("a", JUNE).model_copy(update={"parameters": {"size": 1}})
    late = record("b", FIFTH).model_copy(update={"parameters": {"size": 2}})
    plan = cut_batches([early, late], limits=LIMITS)
    assert {batch.parameters["size"]: len(batch.days) for batch in plan.batches} == {1: 29, 2: 1}


def test_a_day_that_only_follows_an_input_keeps_its_parameters() -> None:
    cascaded = record("a", JUNE, mode="cascade")
    plan = cut_batches([cascaded], limits=LIMITS, kept_parameters={FIFTH.ranges[0].first: {"size": 7}})
    assert {len(batch.days): batch.parameters for batch in plan.batches} == {29: {}, 1: {"size": 7}}
