"""Batching: daily loads first, then the newest days, the oldest request of each day first, in few disjoint batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from heapq import heapreplace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.batch import Batch
from reloads.days import Days
from reloads.partition_filter import PartitionFilter
from reloads.planning import batching
from reloads.planning.batching import Limits, cut_batches
from reloads.planning.parts import WrittenParameters
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


# for several machines


def end_of_work(seconds_by_batch: Sequence[float], machines: int) -> float:
    """When the last batch ends, if whoever is free begins the next one."""
    free_at = [0.0] * machines
    for seconds in seconds_by_batch:
        heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


some_work = st.tuples(st.integers(1, 800), st.integers(1, 12), st.integers(1, 60))


def cut_for_machines(day_count: int, at_once: int, shortest: int) -> list[Batch]:
    asked = record("a", Days.between(FIRST, FIRST + timedelta(days=day_count - 1)))
    limits = Limits(day_count, at_once, days_per_batch=31, last_batch_days=shortest)
    plan = cut_batches([asked], limits=limits)
    assert Days.union(batch.days for batch in plan.batches) == asked.days
    assert sum(len(batch.days) for batch in plan.batches) == day_count
    return list(plan.batches)


@given(some_work)
def test_machines_end_within_the_shortest_batch_of_one_another(work: tuple[int, int, int]) -> None:
    day_count, at_once, shortest = work
    batches = cut_for_machines(day_count, at_once, shortest)
    # And a day, as a day is not cut.
    assert end_of_work([len(batch.days) for batch in batches], at_once) <= day_count / at_once + shortest + 1


@given(some_work, st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_machines_end_soon_after_one_another_though_some_days_take_twice_as_long(
    work: tuple[int, int, int], slow_part: tuple[float, float]
) -> None:
    day_count, at_once, shortest = work
    begin, end = sorted(FIRST + timedelta(days=int(day_count * share)) for share in slow_part)
    batches = cut_for_machines(day_count, at_once, shortest)
    seconds = [sum(2 if begin <= day < end else 1 for day in batch.days) for batch in batches]
    assert end_of_work(seconds, at_once) <= 1.15 * sum(seconds) / at_once + 2 * shortest + 2


@given(some_work)
def test_no_batch_but_the_last_is_short_and_there_are_few(work: tuple[int, int, int]) -> None:
    day_count, at_once, shortest = work
    lengths = [len(batch.days) for batch in cut_for_machines(day_count, at_once, shortest)]
    assert lengths == sorted(lengths, reverse=True)
    assert all(length >= shortest for length in lengths[:-1])
    rounds = 2 + max(0, math.log2(day_count / (at_once * shortest)))
    assert len(lengths) <= 1 + at_once * rounds


def test_a_year_on_four_machines_ends_with_short_batches_and_begins_with_the_newest_days() -> None:
    batches = cut_for_machines(365, 4, 10)
    assert [len(batch.days) for batch in batches] == [46] * 4 + [23] * 4 + [12] * 4 + [10] * 4 + [1]
    assert batches[0].days.ranges[-1].last == date(2024, 12, 30)
    assert [(batch.number, batch.batch_count) for batch in batches] == [(number, 17) for number in range(17)]


def test_of_days_with_different_parameters_the_longest_batches_come_first_too() -> None:
    first_half, second_half = Days.between(FIRST, date(2024, 2, 9)), Days.between(date(2024, 2, 10), date(2024, 12, 31))
    asked = [with_parameters("a", first_half, 1), with_parameters("b", second_half, 2)]
    plan = cut_batches(asked, limits=Limits(400, 4, 31, last_batch_days=10))
    lengths = [len(batch.days) for batch in plan.batches]
    assert lengths == sorted(lengths, reverse=True)
    assert {batch.parameters["size"] for batch in plan.batches} == {1, 2}


def test_more_batches_than_airflow_can_map_are_never_cut() -> None:
    batches = cut_for_machines(4000, 300, 1)
    assert len(batches) <= batching.BATCHES_PER_RUN + 1
    many = [with_keys(str(day), Days.of([day]), origin=(str(day),)) for day in Days.between(FIRST, date(2024, 12, 31))]
    plan = cut_batches(many, limits=Limits(400, 300, 31, last_batch_days=1))
    assert len(plan.batches) <= batching.BATCHES_PER_RUN + batching.GROUPS_PER_RUN


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


def test_all_keys_of_a_day_are_one_batch_however_many_may_run_at_once() -> None:
    [batch] = cut_batches([record("a", FIFTH)], limits=Limits(400, parallelism=4, days_per_batch=1)).batches
    assert batch.days == FIFTH
    assert batch.partition_filter.is_whole


def with_parameters(name: str, days: Days, size: int, **keys: tuple[str, ...]) -> Record:
    return with_keys(name, days, **keys).model_copy(update={"parameters": {"size": size}})


def test_of_two_requests_with_different_parameters_the_later_one_waits() -> None:
    early, late = with_parameters("a", JUNE, 1), with_parameters("b", FIFTH, 2)
    plan = cut_batches([early, late], limits=LIMITS)
    [batch] = plan.batches
    assert (batch.days, batch.parameters, batch.requests) == (JUNE, {"size": 1}, {"a": JUNE})
    assert plan.days_left == 1
    [batch] = cut_batches([late], limits=LIMITS).batches
    assert (batch.parameters, batch.requests) == ({"size": 2}, {"b": FIFTH})


def test_nobody_overtakes_one_that_waits() -> None:
    early, late, last = (with_parameters(name, FIFTH, size) for name, size in (("a", 1), ("b", 2), ("c", 1)))
    assert [batch.requests for batch in cut_batches([early, late, last], limits=LIMITS).batches] == [{"a": FIFTH}]


def test_different_parameters_for_different_keys_are_two_batches_of_one_run() -> None:
    ewr, jfk = with_parameters("a", FIFTH, 1, origin=("EWR",)), with_parameters("b", FIFTH, 2, origin=("JFK",))
    plan = cut_batches([ewr, jfk], limits=LIMITS)
    assert {batch.parameters["size"]: dict(batch.requests) for batch in plan.batches} == {
        1: {"a": FIFTH},
        2: {"b": FIFTH},
    }
    assert plan.days_left == 0


def test_a_day_that_only_follows_an_input_keeps_its_parameters() -> None:
    cascaded = record("a", JUNE, mode="cascade")
    plan = cut_batches([cascaded], limits=LIMITS, written={FIFTH.ranges[0].first: WrittenParameters({"size": 7})})
    assert {len(batch.days): batch.parameters for batch in plan.batches} == {29: {}, 1: {"size": 7}}


def test_a_day_whose_partitions_were_written_with_different_parameters_is_cut_into_its_parts() -> None:
    written = WrittenParameters({"size": 1}, (({"origin": "EWR"}, {"size": 1}), ({"origin": "JFK"}, {"size": 2})))
    plan = cut_batches([record("a", FIFTH, mode="cascade")], limits=LIMITS, written={FIFTH.ranges[0].first: written})
    jfk = ({"origin": ("JFK",)},)
    assert [(batch.partition_filter, batch.parameters, batch.requests) for batch in plan.batches] == [
        (PartitionFilter(jfk), {"size": 2}, {"a": FIFTH}),
        (PartitionFilter(excluded=jfk), {"size": 1}, {"a": FIFTH}),
    ]


def test_a_run_has_no_more_groups_than_airflow_can_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "GROUPS_PER_RUN", 3)
    records = [with_parameters(str(day), Days.of([day]), day.day) for day in JUNE]
    plan = cut_batches(records, limits=LIMITS)
    assert [batch.days.texts() for batch in plan.batches] == [["2024-06-28"], ["2024-06-29"], ["2024-06-30"]]
    assert plan.days_left == 27
    origins = [with_parameters(str(size), FIFTH, size, origin=(str(size),)) for size in range(5)]
    plan = cut_batches(origins, limits=LIMITS)
    assert [batch.parameters["size"] for batch in plan.batches] == [0, 1, 2]
    assert plan.days_left == 1
