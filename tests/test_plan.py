"""Planning: each outstanding day once, daily loads first, then the newest, in few disjoint batches."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.plan import make_plan
from reloads.record import Mode, Record

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
FIRST = date(2024, 1, 1)


def record(name: str, days: Days, *, mode: Mode = "landing", published: Days = Days()) -> Record:  # noqa: B008 - a value
    return Record(id=name, mode=mode, table="sales", days=days, accepted_at=NOW, published=published)


some_days = st.frozensets(st.integers(0, 60).map(lambda n: FIRST + timedelta(days=n)), max_size=25).map(Days.of)
modes: st.SearchStrategy[Mode] = st.sampled_from(["daily", "landing", "manual"])
queues = st.lists(st.tuples(some_days, some_days, modes), max_size=6).map(
    lambda parts: [record(str(n), days, mode=mode, published=days & done) for n, (days, done, mode) in enumerate(parts)]
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
    plan = make_plan(
        records, partitions_per_run=partitions_per_run, parallelism=parallelism, days_per_batch=days_per_batch
    )
    outstanding = {day for one in records for day in one.outstanding}
    daily = {day for one in records if one.mode == "daily" for day in one.outstanding}
    taken = [day for batch in plan.batches for day in batch]

    # Each day once, none that nobody wants, and as many as one run may take.
    assert len(taken) == len(set(taken)) == min(partitions_per_run, len(outstanding))
    assert set(taken) <= outstanding
    assert plan.left == len(outstanding) - len(taken)

    # No day that is left comes before one that is taken: daily before others, newest first.
    def urgency(day: date) -> tuple[bool, date]:
        return day in daily, day

    left = outstanding - set(taken)
    assert not left or not taken or max(map(urgency, left)) < min(map(urgency, taken))

    # Few batches of like size, none empty.
    sizes = [len(batch) for batch in plan.batches]
    assert len(sizes) <= parallelism
    assert len(sizes) <= 1 or len(sizes) * days_per_batch <= len(taken)
    assert not sizes or 0 < min(sizes) <= max(sizes) <= min(sizes) + 1
    assert all(
        before.ranges[-1].last < after.ranges[0].first
        for before, after in zip(plan.batches, plan.batches[1:], strict=False)
    )

    # It names the requests it works for, and those that only wait to be filed away.


def test_days_asked_for_twice_are_taken_once() -> None:
    june = Days.between(date(2024, 6, 1), date(2024, 6, 30))
    plan = make_plan([record("a", june), record("b", june)], partitions_per_run=400, parallelism=4, days_per_batch=31)
    assert plan.batches == (june,)


def test_a_daily_load_does_not_wait_behind_a_long_reload() -> None:
    years = record("years", Days.between(date(2020, 1, 1), date(2024, 6, 30)))
    yesterday = Days.of([date(2019, 12, 31)])
    plan = make_plan(
        [years, record("daily", yesterday, mode="daily")], partitions_per_run=10, parallelism=1, days_per_batch=31
    )
    [batch] = plan.batches
    assert batch.texts() == ["2019-12-31", "2024-06-22..2024-06-30"]


def test_nothing_outstanding_is_no_batch() -> None:
    plan = make_plan([], partitions_per_run=400, parallelism=4, days_per_batch=31)
    assert (plan.batches, plan.left) == ((), 0)
