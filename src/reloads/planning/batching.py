"""Planning: which of the outstanding days one run takes, and in how many batches. Pure decisions, no I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from reloads.days import Days
from reloads.partition_filter import Choice, Scope
from reloads.requests.record import Record


@dataclass(frozen=True)
class Limits:
    """How much one run takes, and how finely it is cut."""

    partitions_per_run: int
    parallelism: int
    days_per_batch: int
    key_slices: int = 1


@dataclass(frozen=True)
class Piece:
    """What one batch rewrites: some days, which partitions of each, and with which parameters."""

    days: Days
    scope: Scope = field(default_factory=Scope)
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What one run does: disjoint pieces."""

    pieces: tuple[Piece, ...]
    left: int
    """Days that stay outstanding for the next run."""


def make_plan(
    records: Sequence[Record], *, limits: Limits, own: Mapping[date, Mapping[str, Any]] | None = None
) -> Plan:
    """Take each outstanding day once: those of daily requests first, then the newest, up to the limit of a run.

    ``records`` are in the order in which they were accepted. A day that several want is rewritten once: for the keys of
    all of them, with the parameters of the last. One that only follows an input keeps its ``own`` parameters.

    The days are cut into at most ``parallelism`` pieces of consecutive days, and into fewer where a piece would hold
    less than ``days_per_batch``; days with other keys or parameters need a piece of their own in any case.
    """
    daily = _outstanding(record for record in records if record.mode == "daily")
    others = _outstanding(records) - daily
    wanted = [*sorted(daily, reverse=True), *sorted(others, reverse=True)]
    taken = Days.of(wanted[: limits.partitions_per_run])
    pieces = [piece for group in _groups(records, taken, own or {}) for piece in _cut(group, len(taken), limits)]
    return Plan(tuple(pieces), left=len(wanted) - len(taken))


def _groups(records: Sequence[Record], taken: Days, own: Mapping[date, Mapping[str, Any]]) -> list[Piece]:
    """The days taken, by what is to be rewritten of each."""
    wanting: dict[date, list[Record]] = {}
    for record in records:
        for day in record.outstanding & taken:
            wanting.setdefault(day, []).append(record)
    groups: dict[str, tuple[Piece, list[date]]] = {}
    for day in taken:
        choices, parameters = _choices(wanting[day]), _parameters(wanting[day], own.get(day, {}))
        text = json.dumps([choices, parameters], sort_keys=True, default=str)
        piece = Piece(Days(), Scope(choices), parameters)
        groups.setdefault(text, (piece, []))[1].append(day)
    return [Piece(Days.of(days), piece.scope, piece.parameters) for piece, days in groups.values()]


def _choices(records: Sequence[Record]) -> tuple[Choice, ...]:
    """The keys that these records want; none if one of them wants all."""
    if not all(record.keys for record in records):
        return ()
    found: list[Choice] = []
    for record in records:
        found += [record.keys] if record.keys not in found else []
    return tuple(found)


def _parameters(records: Sequence[Record], own: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = [record for record in records if record.mode not in ("cascade", "schema")]
    return asked[-1].parameters if asked else own


def _cut(group: Piece, total: int, limits: Limits) -> list[Piece]:
    share = max(1, limits.parallelism * len(group.days) // (total * limits.key_slices))
    pieces = min(share, max(1, len(group.days) // limits.days_per_batch))
    scopes = [Scope(group.scope.choices, part, limits.key_slices) for part in range(limits.key_slices)]
    return [Piece(days, scope, group.parameters) for days in group.days.cut(pieces) for scope in scopes]


def _outstanding(records: Iterable[Record]) -> Days:
    return Days.parse(text for record in records for text in record.outstanding.texts())
