"""What partitions were made from, by a ledger: of each input a digest of the files that were read, and nothing else.

Where the digest is that of the files that lie there now, the input was read as it is now, and the making says so. Where
it is another, the making says that it read nothing, which is older than whatever the input has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from reloads.days import Days
from reloads.tables.lineage import input_days
from reloads.warehouse.access import open_table
from reloads.warehouse.commit import Making, Point
from reloads.warehouse.old_layout import OldEntry, digest, identity
from reloads.warehouse.partitions import TableFolder


@dataclass(frozen=True)
class InputNow:
    """An input as it is now: how far its log has come, and the files of each day."""

    point: Point
    window: int
    identities: Mapping[date, Sequence[str]]

    @classmethod
    def unknown(cls) -> InputNow:
        """An input of which it is not known where its files lie."""
        return cls(Point(), 1, {})

    def files_of(self, day: date) -> list[str]:
        """The files that a day of the table that reads it depends on."""
        files: list[str] = []
        for input_day in input_days(Days.of([day]), self.window):
            files += self.identities.get(input_day, ())
        return files


def look_at_input(folder: TableFolder, window: int) -> InputNow:
    """The input as of one moment: nothing is published meanwhile."""
    identities: dict[date, list[str]] = {}
    with open_table(folder) as state:
        for name, file in folder.published().items():
            identities.setdefault(name.day, []).append(f"{name}:{identity(file)}")
        return InputNow(state.read_head().point, window, identities)


@dataclass(frozen=True)
class Makings:
    """The makings of one table's partitions."""

    definition: str
    """The version of the table's definition now."""
    inputs: Mapping[str, InputNow]
    _digests: dict[tuple[str, date], str] = field(default_factory=dict)

    def find(self, entry: OldEntry, day: date) -> Making:
        """What an entry of that day says."""
        definition, points = entry.version, dict[str, Point]()
        for name, now in self.inputs.items():
            is_current = self._is_current(entry, name, day)
            points[name] = now.point if is_current else Point()
            if not is_current and not now.files_of(day):
                # Nothing is left that could be newer. So another reason has to make it stale.
                definition = ""
        return Making(definition, points, entry.parameters, entry.run, datetime.fromisoformat(entry.checked_at))

    def is_fresh(self, entry: OldEntry, day: date) -> bool:
        """Whether the day would come out the same now."""
        is_current = all(self._is_current(entry, name, day) for name in self.inputs)
        return is_current and entry.version == self.definition

    def _is_current(self, entry: OldEntry, name: str, day: date) -> bool:
        if (name, day) not in self._digests:
            self._digests[name, day] = digest(self.inputs[name].files_of(day))
        return entry.inputs.get(name) == self._digests[name, day]
