"""Planning: which of the outstanding days one run takes, and in how many batches. Pure decisions, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reloads.days import Days
from reloads.record import Record


@dataclass(frozen=True)
class Plan:
    """What one run does: disjoint batches of days."""

    batches: tuple[Days, ...]
    left: int
    """Days that stay outstanding for the next run."""


def make_plan(records: Sequence[Record], *, partitions_per_run: int, parallelism: int, days_per_batch: int) -> Plan:
    """Take each outstanding day once: those of daily requests first, then the newest, up to ``partitions_per_run``.

    The days taken are cut into at most ``parallelism`` batches of consecutive days, and into fewer where a batch would
    hold less than ``days_per_batch``.
    """
    daily = _outstanding(record for record in records if record.mode == "daily")
    others = _outstanding(records) - daily
    wanted = [*sorted(daily, reverse=True), *sorted(others, reverse=True)]
    taken = Days.of(wanted[:partitions_per_run])
    pieces = min(parallelism, max(1, len(taken) // days_per_batch))
    return Plan(
        batches=tuple(taken.cut(pieces)),
        left=len(wanted) - len(taken),
    )


def _outstanding(records: Iterable[Record]) -> Days:
    return Days.of(day for record in records for day in record.outstanding)
