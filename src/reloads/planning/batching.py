"""Batching: which of the outstanding days one run takes, and in how many batches. Pure decisions, no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from reloads.batch import Batch
from reloads.days import Days
from reloads.partition_filter import KeyFilter, PartitionFilter
from reloads.requests.record import Record


@dataclass(frozen=True)
class Limits:
    """How much one run takes, and how finely it is cut."""

    partitions_per_run: int
    parallelism: int
    days_per_batch: int
    key_slices: int = 1


@dataclass(frozen=True)
class Plan:
    """What one run does: disjoint batches."""

    batches: tuple[Batch, ...]
    days_left: int
    """Days that stay outstanding for the next run."""


def cut_batches(
    records: Sequence[Record], *, limits: Limits, kept_parameters: Mapping[date, Mapping[str, Any]] | None = None
) -> Plan:
    """Take each outstanding day once: those of daily requests first, then the newest, up to the limit of a run.

    ``records`` are in the order in which they were accepted. A day in several of them is rewritten once: for the keys
    of all of them, with the parameters of the last. A day that only follows an input keeps its parameters, those in
    ``kept_parameters``.

    The days are cut into at most ``parallelism`` batches of consecutive days, and into fewer where a batch would hold
    less than ``days_per_batch``; days with other keys or parameters need a batch of their own in any case.
    """
    by_urgency = _sort_by_urgency(records)
    taken = Days.of(by_urgency[: limits.partitions_per_run])
    batches: list[Batch] = []
    for group in _group_days(records, taken, kept_parameters or {}):
        batches += _cut_group(group, len(taken), limits)
    numbered: list[Batch] = []
    for number, batch in enumerate(batches):
        numbered.append(_add_requests(replace(batch, number=number, batch_count=len(batches)), records))
    return Plan(tuple(numbered), days_left=len(by_urgency) - len(taken))


def _sort_by_urgency(records: Sequence[Record]) -> list[date]:
    """The outstanding days, each once, the most urgent first."""
    daily = Days.union(record.outstanding for record in records if record.mode == "daily")
    on_request = Days.union(record.outstanding for record in records) - daily
    return [*sorted(daily, reverse=True), *sorted(on_request, reverse=True)]


def _group_days(
    records: Sequence[Record], taken: Days, kept_parameters: Mapping[date, Mapping[str, Any]]
) -> list[Batch]:
    """One batch for all days taken that share keys and parameters."""
    records_by_day: dict[date, list[Record]] = {}
    for record in records:
        for day in record.outstanding & taken:
            records_by_day.setdefault(day, []).append(record)
    templates: dict[str, Batch] = {}
    days_by_template: dict[str, list[date]] = {}
    for day in taken:
        key_filters = _key_filters(records_by_day[day])
        parameters = _parameters(records_by_day[day], kept_parameters.get(day, {}))
        template = json.dumps([key_filters, parameters], sort_keys=True, default=str)
        templates.setdefault(template, Batch(Days(), PartitionFilter(key_filters), parameters))
        days_by_template.setdefault(template, []).append(day)
    return [replace(batch, days=Days.of(days_by_template[template])) for template, batch in templates.items()]


def _key_filters(records: Sequence[Record]) -> tuple[KeyFilter, ...]:
    """The keys that these records ask for; none if one of them asks for all."""
    key_filters: list[KeyFilter] = []
    for record in records:
        if not record.keys:
            return ()
        if record.keys not in key_filters:
            key_filters.append(record.keys)
    return tuple(key_filters)


def _parameters(records: Sequence[Record], kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the request accepted last; a day that only follows an input keeps the ones that it was written with."""
    requests = [record for record in records if not record.is_follow_up]
    return requests[-1].parameters if requests else kept


def _cut_group(group: Batch, taken_count: int, limits: Limits) -> list[Batch]:
    """The batches of one group, which gets its share of the tasks that may run at once."""
    share = max(1, limits.parallelism * len(group.days) // (taken_count * limits.key_slices))
    count = min(share, max(1, len(group.days) // limits.days_per_batch))
    batches: list[Batch] = []
    for days in group.days.split(count):
        for slice_number in range(limits.key_slices):
            partition_filter = PartitionFilter(group.partition_filter.key_filters, slice_number, limits.key_slices)
            batches.append(replace(group, days=days, partition_filter=partition_filter))
    return batches


def _add_requests(batch: Batch, records: Sequence[Record]) -> Batch:
    """The batch with the requests that ask for some of its days, and the days that none of them cascades."""
    requests: dict[str, Days] = {}
    cascade_days = Days()
    for record in records:
        if days := record.outstanding & batch.days:
            requests[record.id] = days
            if record.cascade:
                cascade_days |= days
    return replace(batch, requests=requests, no_cascade_days=batch.days - cascade_days)
