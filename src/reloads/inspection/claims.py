"""What requests say of the days of a table: somebody waits for them, a batch works on them, or they failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal, get_args

from reloads.days import Days
from reloads.partition_filter import PartitionFilter
from reloads.requests.batch_notes import NotedBatch, read_batches
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.record_cache import RecordCache
from reloads.warehouse.partition_name import PartitionName

ClaimKind = Literal["running", "open", "waiting", "refused", "failed"]
KINDS: tuple[ClaimKind, ...] = get_args(ClaimKind)
"""In the order in which they are told."""


@dataclass(frozen=True)
class Claim:
    """What one request says of some days."""

    kind: ClaimKind
    request: str
    days: Days
    partition_filter: PartitionFilter
    why: str
    at: datetime
    """When the request was accepted or, of what failed, when it ended."""

    def concerns(self, name: PartitionName) -> bool:
        """Whether it is about that partition of one of its days, or that day as a whole."""
        if self.partition_filter.is_whole or name.is_of_day:
            return True
        key_values = {key: (value,) for key, value in name.key_values.items()}
        return self.partition_filter.overlaps(PartitionFilter((key_values,)))


class Claims:
    """The claims on the days of one table."""

    def __init__(self, claims: Iterable[Claim], days: Days) -> None:
        self._by_day: dict[date, list[Claim]] = {}
        for claim in sorted(claims, key=_order):
            for day in claim.days & days:
                self._by_day.setdefault(day, []).append(claim)

    @property
    def days(self) -> Days:
        """The days that somebody says something of."""
        return Days.of(self._by_day)

    def of_day(self, day: date) -> Sequence[Claim]:
        """The claims on one day, what matters most first."""
        return self._by_day.get(day, ())

    def find(self, name: PartitionName, *, made_at: Callable[[Claim], datetime | None]) -> Claim | None:
        """What matters most of a partition, or of a day as a whole.

        What failed counts only until what the claim is about was made again; ``made_at`` tells when that was.
        """
        for claim in self.of_day(name.day):
            if claim.concerns(name) and not _is_past(claim, made_at):
                return claim
        return None


def _is_past(claim: Claim, made_at: Callable[[Claim], datetime | None]) -> bool:
    if claim.kind not in ("refused", "failed"):
        return False
    time = made_at(claim)
    return time is not None and time >= claim.at


@dataclass(frozen=True)
class RequestLook:
    """The open and failed requests and the batches at work, as they were at one moment."""

    accepted: Mapping[str, Sequence[Record]]
    """By table, oldest first."""
    failed: Mapping[str, Sequence[Record]]
    batches: Sequence[NotedBatch]

    @classmethod
    def read(
        cls, landing: Path, *, now: datetime, table: str | None = None, cache: RecordCache | None = None
    ) -> RequestLook:
        """Look at those of one table, or of all."""
        queue, cache = Queue(landing), cache or RecordCache()
        accepted = _by_table(cache.read(queue, "accepted", table=table))
        failed = _by_table(cache.read(queue, "failed", table=table))
        return cls(accepted, failed, [batch for batch in read_batches(landing, now=now) if batch.is_running])

    def asked_days(self, table: str) -> Days:
        """The days of the table that somebody waits for, or that failed when somebody did."""
        outstanding = [record.outstanding for record in self.accepted.get(table, ())]
        return Days.union([*outstanding, *(record.failed_days for record in self.failed.get(table, ()))])

    def claims(self, table: str, days: Days) -> Claims:
        """What all these say of these days of the table."""
        claims: list[Claim] = []
        for batch in self.batches:
            if batch.table == table:
                claims += claim_running_days(batch)
        for record in self.accepted.get(table, ()):
            claims += claim_open_days(record)
        for record in self.failed.get(table, ()):
            claims += claim_failed_days(record)
        return Claims(claims, days)


def claim_running_days(noted: NotedBatch) -> list[Claim]:
    """What a batch at work says of its days."""
    claims: list[Claim] = []
    for request, days in noted.batch.requests.items():
        why = f"the run {noted.run} is {noted.progress.step}"
        claims.append(Claim("running", request, days & noted.batch.days, noted.batch.partition_filter, why, noted.at))
    return claims


def claim_open_days(record: Record) -> list[Claim]:
    """What an accepted request says of its days that came to no end yet."""
    claims: list[Claim] = []
    waiting_days = Days()
    for reason in record.waiting:
        awaited_days = reason.days & record.outstanding
        waiting_days |= awaited_days
        claims.append(_claim("waiting", record, awaited_days, reason.why))
    open_days = record.outstanding - waiting_days
    claims.append(_claim("open", record, open_days, f"{record.id} asks for it"))
    return [claim for claim in claims if claim.days]


def claim_failed_days(record: Record) -> list[Claim]:
    """What a failed request says of the days that failed: whether a check refused them, and why."""
    refused_days = Days.union(result.days for result in record.checks if result.severity == "error")
    claims: list[Claim] = []
    for failure in record.failed:
        claims.append(_claim("refused", record, failure.days & refused_days, failure.error))
        claims.append(_claim("failed", record, failure.days - refused_days, failure.error))
    return [claim for claim in claims if claim.days]


def _claim(kind: ClaimKind, record: Record, days: Days, why: str) -> Claim:
    partition_filter = PartitionFilter((record.keys,)) if record.keys else PartitionFilter()
    return Claim(kind, record.id, days, partition_filter, why, record.finished_at or record.accepted_at)


def _by_table(records: Iterable[Record]) -> dict[str, list[Record]]:
    by_table: dict[str, list[Record]] = {}
    for record in records:
        by_table.setdefault(record.table, []).append(record)
    return by_table


def _order(claim: Claim) -> tuple[int, float]:
    """By kind, and of one kind the latest first."""
    return min(KINDS.index(claim.kind), KINDS.index("refused")), -claim.at.timestamp()
