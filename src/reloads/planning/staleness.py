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
from typing import Any, NamedTuple

from reloads.days import Days
from reloads.partition_filter import KeyFilter
from reloads.planning.parts import WrittenParameters
from reloads.planning.whole_days import GONE, MISSING, UNKNOWN, WholeDay, look_at_whole_days, why_file
from reloads.raw_file import describe_change
from reloads.tables.definition import Table
from reloads.tables.lineage import input_days
from reloads.tables.raw_files import DayFiles, RawFiles
from reloads.warehouse.access import state_of
from reloads.warehouse.adoption import FoundFile, look_at_files
from reloads.warehouse.commit import Entry, Making, Point
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.state import Snapshot

OUTDATED = "the query or its settings changed"

NOTHING_READ = Point()


class Sizes(NamedTuple):
    """Partitions, and what is published of them."""

    partitions: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class TableState:
    """What the log says of some days of a table and of what they depend on, and what lies there."""

    table: Table
    folder: TableFolder
    days: Days
    published: Snapshot
    inputs: Mapping[str, Snapshot]
    raw: RawFiles
    """The raw files, looked at when a day is asked for."""

    @classmethod
    def at(cls, table: Table, days: Days, *, warehouse: Path, inputs: Mapping[str, Table], raw: RawFiles) -> TableState:
        """Look at these days of the table and at what they depend on."""
        snapshots: dict[str, Snapshot] = {}
        for name, window in table.inputs.items():
            snapshots[name] = state_of(folder_of(warehouse, inputs[name])).read(input_days(days, window))
        folder = folder_of(warehouse, table)
        return cls(table, folder, days, state_of(folder).read(days), snapshots, raw)

    def names_of(self, day: date) -> list[PartitionName]:
        """The partitions of the day that have rows, by the log, or whose file somebody else put there."""
        if day not in self._names:
            names = set(self._strangers_by_day.get(day, ()))
            for name, entry in self.published.of_day(day).items():
                if entry.version and self.folder.has_form_of(name):
                    names.add(name)
            self._names[day] = sorted(names, key=str)
        return self._names[day]

    def has_day(self, day: date) -> bool:
        """Whether the day was ever loaded, with rows or without, and was not taken back."""
        return bool(self.names_of(day)) or self.making_of_day(day) is not None

    def entry(self, name: PartitionName) -> Entry | None:
        """What the log says of a partition."""
        return self.published.of_day(name.day).get(name)

    def making_of_day(self, day: date) -> Making | None:
        """What the day was made from when it was last rewritten whole; None where it never was."""
        entry = self.entry(self.folder.day_name(day))
        return entry.making if entry and (entry.version or self.folder.keys) else None

    def file(self, name: PartitionName) -> FoundFile | None:
        """The file of a partition as it was found when the first one was looked at; None where there is none."""
        return self._files.get(name)

    def is_known(self, name: PartitionName) -> bool:
        """Whether the partition's file is the one that the log speaks of; somebody else may have replaced it."""
        return self.entry(name) is not None and name not in self._strangers

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

    def is_selected(self, name: PartitionName, key_filter: KeyFilter) -> bool:
        """Whether the partition has values of the keys that ``key_filter`` takes."""
        key_values = name.key_values
        return all(key_values[key] in values for key, values in key_filter.items())

    def written_parameters(self, day: date) -> WrittenParameters:
        """The parameters with which the day and its partitions were written; none where that is not known."""
        of_partitions: list[tuple[Mapping[str, str], Mapping[str, Any]]] = []
        if self.folder.keys:
            for name in self.names_of(day):
                entry = self.entry(name)
                of_partitions.append((name.key_values, self._declared(entry.making if entry else None)))
        return WrittenParameters(self._declared(self.making_of_day(day)), tuple(of_partitions))

    def _declared(self, making: Making | None) -> Mapping[str, Any]:
        """The parameters of a making that the table still has."""
        declared = self.table.settings.parameters
        return {key: value for key, value in making.parameters.items() if key in declared} if making else {}

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
        for name, window in self.table.inputs.items():
            if not making.inputs.get(name, NOTHING_READ).has_read(*self._last_change(name, day, window)):
                return f"{name} changed"
        return self._why_files(day, making)

    def _why_files(self, day: date, making: Making) -> str | None:
        """Which raw file of the day is another one, came or went; nothing where a folder of them is away."""
        if not self.table.file_sources:
            return None
        look = self._raw_files(day)
        return None if look.is_unknown else describe_change(making.files, look.files)

    def why_arrived(self, day: date) -> str | None:
        """Why the raw files of the day ask for it: it was never loaded whole, or they are other ones since.

        None where they do not, or where some of them are not there. A day without any file, of a table that needs none,
        asks only if it was loaded from some.
        """
        look = self._raw_files(day)
        if look.missing:
            return None
        making = self.making_of_day(day)
        if making is None:
            return MISSING if look.files else None
        for name in self.names_of(day):
            entry = self.entry(name)
            if entry and entry.making and (why := self._why_files(day, entry.making)):
                return why
        return self._why_files(day, making)

    def undecidable(self, days: Days) -> Days:
        """Those of the days of which a raw file cannot be looked at, so that nobody knows whether they are stale."""
        if not self.table.file_sources:
            return Days()
        return Days.of(day for day in days if self._raw_files(day).is_unknown)

    def why_waiting(self, day: date) -> str | None:
        """Why the day cannot be rewritten yet: the raw file that is not there; None where all are."""
        look = self._raw_files(day) if self.table.file_sources else None
        return f"it waits for raw files: {look.missing}" if look and look.missing else None

    def _last_change(self, name: str, day: date, window: int) -> tuple[str, int]:
        """The log of an input, and the last commit in it that changed what the day depends on; 0 if none ever did."""
        snapshot = self.inputs[name]
        if window == 1:
            return snapshot.head.point.log, snapshot.last_changes.get(day, 0)
        if (name, day) not in self._last_changes:
            changes, ordinal = snapshot.last_changes, day.toordinal()
            days = (date.fromordinal(each) for each in range(max(1, ordinal + 1 - window), ordinal + 1))
            self._last_changes[name, day] = max(changes.get(each, 0) for each in days)
        return snapshot.head.point.log, self._last_changes[name, day]

    def _raw_files(self, day: date) -> DayFiles:
        if day not in self._raw_looks:
            self._raw_looks[day] = self.raw.of_day(self.table, day)
        return self._raw_looks[day]

    @cached_property
    def _raw_looks(self) -> dict[date, DayFiles]:
        return {}

    @cached_property
    def _whole_days(self) -> Mapping[date, WholeDay]:
        """All days, of a table without keys."""
        return look_at_whole_days(self.folder, self.published, self.days, self._why_making)

    @cached_property
    def _files(self) -> Mapping[PartitionName, FoundFile]:
        return look_at_files(self.folder, self.published, self.days)

    @cached_property
    def _strangers(self) -> frozenset[PartitionName]:
        """The partitions whose file somebody else put there."""
        return frozenset(name for name, file in self._files.items() if not file.is_ours)

    @cached_property
    def _names(self) -> dict[date, list[PartitionName]]:
        return {}

    @cached_property
    def _strangers_by_day(self) -> Mapping[date, list[PartitionName]]:
        names: dict[date, list[PartitionName]] = {}
        for name in self._strangers:
            names.setdefault(name.day, []).append(name)
        return names

    @cached_property
    def _last_changes(self) -> dict[tuple[str, date], int]:
        """Of the inputs, for each day; a day of a table with keys is asked for once for each of them."""
        return {}


def _has_all_values(names: Sequence[PartitionName], key_filter: KeyFilter) -> bool:
    """Whether each value of each key has a partition."""
    for key, values in key_filter.items():
        published_values = {name.key_values[key] for name in names}
        if not published_values.issuperset(values):
            return False
    return True
