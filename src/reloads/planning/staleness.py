"""Whether a day needs rewriting: it is missing, or stale, or neither.

A day is stale if its query or settings changed since it was written, if an input's partition that it depends on is
another than the one that was read, or if it is not known what it was made from. No partition is read to find that out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from reloads.days import Days
from reloads.partition_filter import KeyFilter
from reloads.planning.parts import WrittenParameters
from reloads.tables.definition import Table
from reloads.tables.lineage import input_days
from reloads.warehouse.fingerprint import digest, identities, identity
from reloads.warehouse.ledger import Entry, Ledger, read_ledger
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of

MISSING = "it is missing"
UNKNOWN = "it is not known what it was made from"
OUTDATED = "the query or its settings changed"
GONE = "a partition of it is gone"


@dataclass(frozen=True)
class TableState:
    """What is published of a table now, and what its ledger says."""

    table: Table
    folder: TableFolder
    ledger: Ledger
    identities: Mapping[str, Mapping[date, tuple[str, ...]]]
    """By input, the files that are published now."""

    @classmethod
    def at(cls, table: Table, days: Days, *, warehouse: Path, inputs: Mapping[str, Table]) -> TableState:
        """Look at these days of the table and at what they depend on."""
        input_identities: dict[str, Mapping[date, tuple[str, ...]]] = {}
        for name, window in table.inputs.items():
            input_identities[name] = identities(folder_of(warehouse, inputs[name]), input_days(days, window))
        return cls(table, folder_of(warehouse, table), read_ledger(warehouse, table.name), input_identities)

    def why(self, day: date, key_filter: KeyFilter | None = None, *, is_partly_enough: bool = False) -> str | None:
        """Why the day, or what ``key_filter`` takes of it, is to be rewritten; None if it is as it should be.

        It is missing if a value of the filter has no partition; where some of it is enough, if no value has one.
        """
        if not self.folder.keys:
            return self._why_partition(self.folder.day_name(day))
        names = [name for name in self.folder.names_of(day) if self.is_selected(name, key_filter or {})]
        if self._is_missing(day, names, key_filter, is_partly_enough=is_partly_enough):
            return MISSING
        why = self._why_first(names)
        return why if why or key_filter else self._why_day(day, names)

    def _is_missing(
        self, day: date, names: Sequence[PartitionName], key_filter: KeyFilter | None, *, is_partly_enough: bool
    ) -> bool:
        """Whether the day was never published, or values of the filter have no partition among ``names``."""
        if not self.folder.has_day(day):
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
            for name in self.folder.names_of(day):
                entry = self.ledger.entries.get(name)
                if entry:
                    of_partitions.append((name.key_values, self._declared(entry)))
        entries_of_whole = [self.ledger.entries.get(self.folder.day_name(day)), *self._slice_entries(day)]
        newest = max(filter(None, entries_of_whole), key=lambda entry: entry.checked_at, default=None)
        return WrittenParameters(self._declared(newest) if newest else {}, tuple(of_partitions))

    def _declared(self, entry: Entry) -> Mapping[str, Any]:
        """The parameters of an entry that the table still has."""
        declared = self.table.settings.parameters
        return {key: value for key, value in entry.parameters.items() if key in declared}

    def _why_first(self, names: Sequence[PartitionName]) -> str | None:
        """The first reason that one of these partitions gives."""
        for name in names:
            why = self._why_partition(name)
            if why:
                return why
        return None

    def _why_partition(self, name: PartitionName) -> str | None:
        try:
            published = identity(self.folder.file(name))
        except (FileNotFoundError, NotADirectoryError):
            return MISSING
        entry = self.ledger.entries.get(name)
        if entry is None or entry.file != published:
            return UNKNOWN
        return self._why_entry(name.day, entry)

    def _why_day(self, day: date, published: Sequence[PartitionName]) -> str | None:
        """As of the last time that all keys of the day were rewritten, at once or slice by slice."""
        if self._entered_partitions.get(self.folder.day_name(day), set()).difference(published):
            return GONE
        day_entry = self.ledger.entries.get(self.folder.day_name(day))
        if day_entry and not self._why_entry(day, day_entry):
            return None
        for entry in list(self._slice_entries(day)) or [day_entry]:
            why = self._why_entry(day, entry) if entry else UNKNOWN
            if why:
                return why
        return None

    def _slice_entries(self, day: date) -> Iterator[Entry | None]:
        slice_count = self.table.settings.key_slices
        if slice_count > 1:
            for number in range(slice_count):
                yield self.ledger.entries.get(self.folder.slice_name(day, number, slice_count))

    def _why_entry(self, day: date, entry: Entry) -> str | None:
        if entry.version != self.table.version:
            return OUTDATED
        for name, window in self.table.inputs.items():
            if (name, day) not in self._digests:
                self._digests[name, day] = digest(self.identities[name], day, window)
            if entry.inputs.get(name) != self._digests[name, day]:
                return f"{name} changed"
        return None

    @cached_property
    def _entered_partitions(self) -> Mapping[PartitionName, set[PartitionName]]:
        """The partitions in the ledger of a table with keys, by the name of their day."""
        partitions: dict[PartitionName, set[PartitionName]] = {}
        for name in self.ledger.entries:
            if isinstance(name, PartitionName) and not name.is_of_day:
                partitions.setdefault(name.day_name, set()).add(name)
        return partitions

    @cached_property
    def _digests(self) -> dict[tuple[str, date], str]:
        """Of the inputs, for each day; a day of a table with keys is asked for once for each of them."""
        return {}


def _has_all_values(names: Sequence[PartitionName], key_filter: KeyFilter) -> bool:
    """Whether each value of each key has a partition."""
    for key, values in key_filter.items():
        published_values = {name.key_values[key] for name in names}
        if not published_values.issuperset(values):
            return False
    return True
