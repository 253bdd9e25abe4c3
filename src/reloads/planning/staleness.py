"""Whether a day needs rewriting: it is missing, or stale, or neither.

A day is stale if its query or settings changed since it was written, if an input's partition that it depends on changed
in a later commit than the one up to which the input was read, if one of its raw files is another one, came or went, or
if it is not known what it was made from. No partition is read to find that out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from reloads.days import Days
from reloads.partition_filter import KeyFilter
from reloads.planning.input_changes import InputChanges
from reloads.planning.published_days import PublishedDays
from reloads.planning.raw_file_changes import RawFileChanges
from reloads.planning.whole_days import GONE, MISSING, UNKNOWN, WholeDay, look_at_whole_days, why_file
from reloads.tables.definition import Table
from reloads.tables.lineage import input_days
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Making
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.state import Snapshot

OUTDATED = "the query or its settings changed"


class Sizes(NamedTuple):
    """Partitions, and what is published of them."""

    partitions: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class TableState(PublishedDays):
    """Some days of a table, with what they depend on."""

    inputs: Mapping[str, Snapshot]
    raw: RawFiles

    @classmethod
    def at(cls, table: Table, days: Days, *, warehouse: Path, inputs: Mapping[str, Table], raw: RawFiles) -> TableState:
        """Look at these days of the table and at what they depend on."""
        snapshots: dict[str, Snapshot] = {}
        for name, window in table.inputs.items():
            snapshots[name] = state_of(folder_of(warehouse, inputs[name])).read(input_days(days, window))
        folder = folder_of(warehouse, table)
        return cls(table, folder, days, state_of(folder).read(days), snapshots, raw)

    def why(self, day: date, key_filter: KeyFilter | None = None, *, is_partly_enough: bool = False) -> str | None:
        """Why the day, or what ``key_filter`` takes of it, is to be rewritten; None if it is as it should be.

        It is missing if it was never loaded, or a value of the filter has no partition; where some of it is enough, if
        no value has one. What was loaded, and whose file somebody removed, is gone.
        """
        if not self.folder.keys:
            return self._whole_days[day].why
        names = [name for name in self.names_of(day) if self.is_selected(name, key_filter or {})]
        if self._is_missing(day, names, key_filter, is_partly_enough=is_partly_enough):
            return MISSING
        why = self._why_partitions(names)
        return why if why or key_filter else self._why_day(day)

    def why_partition(self, name: PartitionName) -> str | None:
        """Why one partition of a day that was looked at is to be rewritten; None if it is as it should be."""
        entry = self.entry(name)
        why = why_file(entry.version if entry else 0, is_there=name in self._files, is_ours=name not in self._strangers)
        return why or self._why_making(name.day, entry.making if entry else None)

    def sort(
        self, days: Days, key_filter: KeyFilter | None = None, *, is_partly_enough: bool = False
    ) -> dict[str | None, Days]:
        """These of the days by what ``why`` says of them."""
        by_reason: dict[str | None, list[date]] = {}
        for day in days:
            why = self.why(day, key_filter, is_partly_enough=is_partly_enough)
            if why in by_reason:
                by_reason[why].append(day)
            else:
                by_reason[why] = [day]
        return {why: Days.of(some) for why, some in by_reason.items()}

    def sizes(self, days: Days) -> Sizes:
        """What is published of these days, of a table without keys."""
        rows = size = 0
        found = self._whole_days
        for day in days:
            each = found[day]
            rows += each.rows or 0
            size += each.bytes or 0
        return Sizes(len(days), rows, size)

    def _is_missing(
        self, day: date, names: Sequence[PartitionName], key_filter: KeyFilter | None, *, is_partly_enough: bool
    ) -> bool:
        """Whether the day was never published, or values of the filter have none of these partitions."""
        if not self.has_day(day):
            return True
        if not key_filter:
            return False
        return not names if is_partly_enough else not _has_all_values(names, key_filter)

    def _why_partitions(self, names: Sequence[PartitionName]) -> str | None:
        """That one of these partitions is gone, or else the first reason that one of them gives."""
        first: str | None = None
        for name in names:
            why = self.why_partition(name)
            if why == GONE:
                return GONE
            first = first or why
        return first

    def _why_day(self, day: date) -> str | None:
        """As of the last time that all keys of the day were rewritten."""
        if day in self._strangers_by_day:
            return UNKNOWN
        return self._why_making(day, self.making_of_day(day))

    def _why_making(self, day: date, making: Making | None) -> str | None:
        if making is None:
            return UNKNOWN
        if making.definition != self.table.version:
            return OUTDATED
        return self._input_changes.why_changed(day, making) or self.raw_files.why_changed(day, making)

    def why_arrived(self, day: date) -> str | None:
        """Why the raw files of the day ask for it: it was never loaded whole, or they are other ones since.

        None where they do not, or where some of them are not there. A day without any file, of a table that needs none,
        asks only if it was loaded from some.
        """
        look = self.raw_files.look_at(day)
        if look.missing:
            return None
        making = self.making_of_day(day)
        if making is None:
            return MISSING if look.files else None
        for name in self.names_of(day):
            entry = self.entry(name)
            if entry and entry.making and (why := self.raw_files.why_changed(day, entry.making)):
                return why
        return self.raw_files.why_changed(day, making)

    @cached_property
    def raw_files(self) -> RawFileChanges:
        """Those of the table, looked at when a day is asked for."""
        return RawFileChanges(self.table, self.raw)

    @cached_property
    def _input_changes(self) -> InputChanges:
        return InputChanges(self.table.inputs, self.inputs)

    @cached_property
    def _whole_days(self) -> Mapping[date, WholeDay]:
        """All days, of a table without keys."""
        return look_at_whole_days(self.folder, self.published, self.days, self._why_making)


def _has_all_values(names: Sequence[PartitionName], key_filter: KeyFilter) -> bool:
    """Whether each value of each key has a partition."""
    for key, values in key_filter.items():
        published_values = {name.key_values[key] for name in names}
        if not published_values.issuperset(values):
            return False
    return True
