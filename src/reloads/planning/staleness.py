"""Whether a day needs rewriting: it is missing, or stale, or neither.

A day is stale if its query or settings changed since it was written, if an input's partition that it depends on is
another than the one that was read, or if it is not known what it was made from. No partition is read to find that out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from reloads.days import Days
from reloads.partition_filter import KeyFilter
from reloads.tables.definition import Table
from reloads.tables.lineage import input_days
from reloads.warehouse.fingerprint import digest, identities, identity
from reloads.warehouse.ledger import Entry, Ledger, read_ledger
from reloads.warehouse.partitions import TableFolder, day_part, folder_of, is_of_day

MISSING = "it is missing"
UNKNOWN = "it is not known what it was made from"
OUTDATED = "the query or its settings changed"
GONE = "a partition of it is gone"


@dataclass(frozen=True)
class TableState:
    """What is published of a table now, and what is known of it."""

    table: Table
    folder: TableFolder
    ledger: Ledger
    identities: Mapping[str, Mapping[date, tuple[str, ...]]]
    """By input, the files that are published now."""

    @classmethod
    def at(cls, table: Table, days: Days, *, warehouse: Path, inputs: Mapping[str, Table]) -> TableState:
        """Look at these days of the table and at what they depend on."""
        now = {
            name: identities(folder_of(warehouse, inputs[name]), input_days(days, window))
            for name, window in table.inputs.items()
        }
        return cls(table, folder_of(warehouse, table), read_ledger(warehouse, table.name), now)

    def why(self, day: date, choice: KeyFilter | None = None, *, is_partly_enough: bool = False) -> str | None:
        """Why the day, or what ``choice`` names of it, is to be rewritten; None if it is as it should be.

        A choice of which a value has no partition is missing, unless some of it is enough.
        """
        if not self.folder.keys:
            return self._why_file(day, self.folder.day_name(day))
        names = [name for name in self.folder.names_of(day) if self.is_chosen(name, choice or {})]
        is_all = not choice or (bool(names) if is_partly_enough else _has_all(self.folder, names, choice))
        if not self.folder.has_day(day) or not is_all:
            return MISSING
        whys = [self._why_file(day, name) for name in names]
        if not choice:
            is_gone = bool(self._entered.get(self.folder.day_name(day), set()).difference(names))
            whys += [GONE if is_gone else None, self._why_day(day)]
        return next((why for why in whys if why), None)

    @cached_property
    def _entered(self) -> Mapping[str, set[str]]:
        """The partitions in the ledger, by the name of their day."""
        found: dict[str, set[str]] = {}
        for name in self.ledger.entries:
            if "/" in name and not is_of_day(name):
                found.setdefault(day_part(name), set()).add(name)
        return found

    def is_chosen(self, name: str, choice: KeyFilter) -> bool:
        """Whether the partition has values of the keys that ``choice`` wants."""
        values = dict(zip(self.folder.keys, self.folder.key_values(name), strict=True))
        return all(values[key] in wanted for key, wanted in choice.items())

    def parameters(self, day: date) -> Mapping[str, Any]:
        """The parameters with which the day was written; none if it is missing."""
        name = self.folder.day_name(day)
        entries = (self.ledger.entries.get(one) for one in (name, *self.folder.names_of(day)))
        found = next((entry.parameters for entry in entries if entry), {})
        return {name: value for name, value in found.items() if name in self.table.settings.parameters}

    def _why_file(self, day: date, name: str) -> str | None:
        try:
            now = identity(self.folder.file(name))
        except (FileNotFoundError, NotADirectoryError):
            return MISSING
        entry = self.ledger.entries.get(name)
        return UNKNOWN if entry is None or entry.file != now else self._why_entry(day, entry)

    def _why_day(self, day: date) -> str | None:
        """As of the last time that all keys of the day were rewritten."""
        whole, parts = self.ledger.entries.get(self.folder.day_name(day)), list(self._parts(day))
        if whole and not self._why_entry(day, whole):
            return None
        found = [self._why_entry(day, part) if part else UNKNOWN for part in parts or [whole]]
        return next((why for why in found if why), None)

    def _parts(self, day: date) -> Iterator[Entry | None]:
        of = self.table.settings.key_slices
        if of > 1:
            yield from (self.ledger.entries.get(f"{self.folder.day_name(day)}#{part}/{of}") for part in range(of))

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
    def _digests(self) -> dict[tuple[str, date], str]:
        """Of the inputs, for each day; a day of a table with keys is asked for once for each of them."""
        return {}


def _has_all(folder: TableFolder, names: list[str], choice: KeyFilter) -> bool:
    there = [dict(zip(folder.keys, folder.key_values(name), strict=True)) for name in names]
    return all(any(values[key] == value for values in there) for key, wanted in choice.items() for value in wanted)
