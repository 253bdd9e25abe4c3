"""Batching: which of the outstanding days one run takes, and in how many batches. Pure decisions, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from reloads.batch import Batch
from reloads.days import Days
from reloads.planning.parts import Part, WrittenParameters, kept_parts, named_part
from reloads.requests.record import Record

GROUPS_PER_RUN = 500
"""Groups of other keys or parameters; each is a task at least, and Airflow maps no more than 1024."""

BATCHES_PER_RUN = 400
"""About so many batches at most are cut for several machines, beside one for each group."""


@dataclass(frozen=True)
class Limits:
    """How much one run takes, and how finely it is cut."""

    partitions_per_run: int
    parallelism: int
    days_per_batch: int
    last_batch_days: int | None = None
    """Where several machines rewrite: batches become shorter, down to so many days, so that all machines end at about
    the same time. None for batches of equal length, and no more than run at once."""
    minutes_per_batch: float | None = None
    """How long a task may take for a batch; None for as long as it takes."""


@dataclass(frozen=True)
class Plan:
    """What one run does: batches that have no partition in common."""

    batches: tuple[Batch, ...]
    days_left: int
    """Days of which something stays outstanding for the next run."""


def cut_batches(
    records: Sequence[Record], *, limits: Limits, written: Mapping[date, WrittenParameters] | None = None
) -> Plan:
    """Take outstanding days: those of daily requests first, then the newest, up to the limit of a run.

    ``records`` are in the order in which they were accepted. On each day the oldest is served. A later one joins it if
    both agree on the parameters of what they share; else it waits for the next run, and so does whoever shares
    something with one that waits. Each partition is rewritten once, for all that are served. ``written`` tells how days
    were written whose parameters a record keeps.

    The days are cut into at most ``parallelism`` batches of consecutive days, and into fewer where a batch would hold
    less than ``days_per_batch``; days with other keys or parameters need a batch of their own in any case. With
    ``last_batch_days`` they are cut into more, the longest first. A batch names for each record the days that it
    rewrites for it.
    """
    by_urgency = _sort_by_urgency(records)
    grouping = _Grouping(records, written or {}, max_groups=GROUPS_PER_RUN)
    taken = grouping.take_days(by_urgency[: limits.partitions_per_run])
    batches: list[Batch] = []
    all_days_count = sum(len(group.days) for group in grouping.groups.values())
    for group in grouping.groups.values():
        for batch in _cut_group(group, all_days_count, limits):
            batches.append(_add_requests(batch, group, records))
    if limits.last_batch_days is not None:
        # In the order in which Airflow begins them.
        batches.sort(key=lambda batch: -len(batch.days))
    numbered: list[Batch] = []
    for number, batch in enumerate(batches):
        numbered.append(replace(batch, number=number, batch_count=len(batches), minutes=limits.minutes_per_batch))
    return Plan(tuple(numbered), days_left=len(by_urgency) - len(taken) + len(grouping.days_with_waiting_records))


def _sort_by_urgency(records: Sequence[Record]) -> list[date]:
    """The outstanding days, each once, the most urgent first."""
    daily = Days.union(record.outstanding for record in records if record.mode == "daily")
    on_request = Days.union(record.outstanding for record in records) - daily
    return [*sorted(daily, reverse=True), *sorted(on_request, reverse=True)]


@dataclass
class _Group:
    """Days that share keys and parameters, and the records that they are rewritten for, by position."""

    part: Part
    days: list[date] = field(default_factory=list)
    days_by_record: dict[int, list[date]] = field(default_factory=dict)


@dataclass
class _Served:
    """What is rewritten of one day: its parts, each with the positions of the records that it serves."""

    parts: list[tuple[Part, list[int]]]
    is_somebody_waiting: bool


class _Grouping:
    """Sorts days into groups."""

    def __init__(
        self, records: Sequence[Record], written: Mapping[date, WrittenParameters], *, max_groups: int
    ) -> None:
        self.groups: dict[str, _Group] = {}
        self.days_with_waiting_records: list[date] = []
        self._records = records
        self._written = written
        self._max_groups = max_groups
        self._named_parts = [named_part(record.keys, record.parameters) for record in records]
        self._kept_parts: dict[tuple[date, str], tuple[Part, ...]] = {}
        """By day and keys: many cascades may follow on one day."""
        self._served: dict[tuple[tuple[int, ...], tuple[str, ...]], _Served] = {}
        """By what is asked for on a day: years of days are asked for by the same few records."""

    def take_days(self, days: Sequence[date]) -> Days:
        """Group these days, the most urgent first, until there are too many groups; returns the days taken."""
        positions_by_day: dict[date, list[int]] = {day: [] for day in days}
        candidates = Days.of(days)
        for position, record in enumerate(self._records):
            for day in record.outstanding & candidates:
                positions_by_day[day].append(position)
        taken: list[date] = []
        for day in days:
            served = self._serve(day, positions_by_day[day])
            new_groups = {part.text for part, _ in served.parts} - self.groups.keys()
            if taken and len(self.groups) + len(new_groups) > self._max_groups:
                break
            taken.append(day)
            self._add(day, served)
        for group in self.groups.values():
            group.days.sort()
        self.groups = dict(sorted(self.groups.items(), key=lambda item: item[1].days))
        return Days.of(taken)

    def _serve(self, day: date, positions: Sequence[int]) -> _Served:
        """What is rewritten of a day that these records ask for."""
        keeping = [position for position in positions if self._records[position].keeps_parameters]
        kept_texts = [part.text for position in keeping for part in self._parts(position, day)]
        key = (tuple(positions), tuple(kept_texts))
        if key not in self._served:
            items = [(position, self._parts(position, day)) for position in positions]
            self._served[key] = _serve_in_order(items, self._max_groups)
        return self._served[key]

    def _parts(self, position: int, day: date) -> tuple[Part, ...]:
        record, named = self._records[position], self._named_parts[position]
        if not record.keeps_parameters:
            return (named,)
        key = (day, named.text)
        if key not in self._kept_parts:
            self._kept_parts[key] = kept_parts(record.keys, self._written.get(day, WrittenParameters()))
        return self._kept_parts[key]

    def _add(self, day: date, served: _Served) -> None:
        for part, positions in served.parts:
            group = self.groups.setdefault(part.text, _Group(part))
            group.days.append(day)
            for position in positions:
                group.days_by_record.setdefault(position, []).append(day)
        if served.is_somebody_waiting:
            self.days_with_waiting_records.append(day)


def _serve_in_order(items: Sequence[tuple[int, tuple[Part, ...]]], max_parts: int) -> _Served:
    """The parts that are rewritten of a day that these records ask for, the oldest first."""
    served: dict[str, tuple[Part, list[int]]] = {}
    waiting: dict[str, Part] = {}
    for position, parts in items:
        joined = None if _overlaps_any(parts, waiting.values()) else _join(parts, served)
        if joined is None or (served and len(served.keys() | joined.keys()) > max_parts):
            waiting |= {part.text: part for part in parts}
            continue
        for parameters, part in joined.items():
            positions = served[parameters][1] if parameters in served else []
            served[parameters] = part, [*positions, position]
    return _Served(list(served.values()), is_somebody_waiting=bool(waiting))


def _overlaps_any(parts: Sequence[Part], others: Iterable[Part]) -> bool:
    return any(part.partition_filter.overlaps(other.partition_filter) for other in others for part in parts)


def _join(parts: Sequence[Part], served: Mapping[str, tuple[Part, list[int]]]) -> dict[str, Part] | None:
    """The parts by their parameters, united with those served that have the same; None if they contradict others."""
    joined: dict[str, Part] = {}
    for part in parts:
        if any(part.contradicts(other) for other, _ in served.values()):
            return None
        joined[part.parameters_text] = part
        if part.parameters_text in served:
            other, _ = served[part.parameters_text]
            union = other.partition_filter.union(part.partition_filter)
            if union is None:
                return None
            joined[part.parameters_text] = Part(union, part.parameters)
    return joined


def _cut_group(group: _Group, all_days_count: int, limits: Limits) -> list[Batch]:
    """The batches of one group, which gets its share of the tasks that may run at once.

    ``all_days_count`` counts a day once for each group that it is in.
    """
    group_days = Days.of(group.days)
    share = max(1, limits.parallelism * len(group_days) // all_days_count)
    if limits.last_batch_days is None:
        count = min(share, max(1, len(group_days) // limits.days_per_batch))
        pieces = group_days.split(count)
    else:
        # Each is so long at least, so that there are no more than Airflow can map.
        shortest = max(1, limits.last_batch_days, -(-all_days_count // BATCHES_PER_RUN))
        pieces = _cut_ever_shorter(group_days, share, shortest)
    return [Batch(days, group.part.partition_filter, group.part.parameters) for days in pieces]


def _cut_ever_shorter(days: Days, at_once: int, shortest: int) -> list[Days]:
    """Sets of consecutive days, the newest first: ``at_once`` of a length take half of what is left, and so on.

    Whoever is done early takes a short one more while the others end, however the days differ. The machines end within
    the time of ``shortest`` days of one another, where all days take the same time.
    """
    pieces: list[Days] = []
    remaining = days
    while remaining:
        length = max(shortest, -(-len(remaining) // (2 * at_once)))
        for _ in range(at_once):
            piece = remaining.newest(length)
            if piece:
                pieces.append(piece)
            remaining -= piece
    return pieces


def _add_requests(batch: Batch, group: _Group, records: Sequence[Record]) -> Batch:
    """The batch with the records that it serves, each with its days, and the days that none of them cascades."""
    requests: dict[str, Days] = {}
    cascade_days = Days()
    for position, group_days in sorted(group.days_by_record.items()):
        record = records[position]
        if days := Days.of(group_days) & batch.days:
            requests[record.id] = days
            if record.cascade:
                cascade_days |= days
    return replace(batch, requests=requests, no_cascade_days=batch.days - cascade_days)
