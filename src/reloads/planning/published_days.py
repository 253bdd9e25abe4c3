"""What is published of some days of a table: by the log, and by what lies there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from reloads.days import Days
from reloads.partition_filter import KeyFilter
from reloads.planning.parts import WrittenParameters
from reloads.tables.definition import Table
from reloads.warehouse.adoption import FoundFile, look_at_files
from reloads.warehouse.commit import Entry, Making
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Snapshot


@dataclass(frozen=True)
class PublishedDays:
    """What the log says of some days of a table, and what lies there."""

    table: Table
    folder: TableFolder
    days: Days
    published: Snapshot

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
