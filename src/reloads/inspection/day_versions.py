"""A day of a table as it stood after a commit: which files it had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path

from reloads.errors import RequestError
from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.access import state_of
from reloads.warehouse.adoption import find_strangers
from reloads.warehouse.commit import Commit, Entry
from reloads.warehouse.current_view import version_file
from reloads.warehouse.mirror import fetch_files
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of

MOST_NUMBERS = 2


@dataclass(frozen=True)
class DayVersion:
    """A day as it stood after the commit of that number; 0 is before the first one, None is now."""

    number: int | None
    files: tuple[Path, ...]
    at: datetime | None = None
    """When that commit published; None where it is not kept."""


def find_versions(
    settings: Settings, table: Table, day: date, numbers: Sequence[int] = ()
) -> tuple[DayVersion, DayVersion]:
    """The two versions of these numbers, the earlier one first as a rule.

    With one number the other version is what is published; without any it is that, and the one before the last change.
    Raises ``RequestError`` where one of them is not kept.
    """
    if len(numbers) > MOST_NUMBERS or min(numbers, default=0) < 0:
        raise RequestError(f"{' '.join(map(str, numbers))} does not name two versions; reloads history lists them")
    look = _DayLook(settings, table, day)
    first = numbers[0] if numbers else look.last_change() - 1
    found = look.version(first), look.version(numbers[1] if len(numbers) == MOST_NUMBERS else None)
    fetch_files(settings.warehouse, {file for version in found for file in version.files})
    return found


class _DayLook:
    """The entries of one day, and the commits behind them, each read once."""

    def __init__(self, settings: Settings, table: Table, day: date) -> None:
        self._day, self._folder = day, folder_of(settings.warehouse, table)
        self._state = state_of(self._folder)
        snapshot = self._state.read([day])
        self._last = snapshot.head.point.number
        self._entries = {name: entry for name, entry in snapshot.entries.items() if self._folder.has_form_of(name)}
        self._strangers = set(find_strangers(self._folder, snapshot, [day]))
        self._read_commit: Callable[[int], Commit | None] = cache(self._state.log.read)

    def last_change(self) -> int:
        """The number of the last commit that changed the day; a file that is not in the log came after all of them."""
        last = max((entry.changed for entry in self._entries.values()), default=0)
        if not last and not self._strangers:
            raise RequestError(
                f"nothing of {self._folder.table} was ever published on {self._day}; ask for another day"
            )
        return last + 1 if self._strangers else last

    def version(self, number: int | None) -> DayVersion:
        """The day after that commit."""
        if number is not None and number > self._last:
            raise RequestError(f"{number} is not a version of {self._folder.table}, whose last one is {self._last}")
        files: list[Path] = []
        if number is None:
            files += [self._folder.file(name) for name in sorted(self._strangers, key=str)]
        for name, entry in sorted(self._entries.items(), key=lambda item: str(item[0])):
            if number is None and name in self._strangers:
                continue
            as_of = entry if number is None else self._go_back(name, entry, number)
            if as_of and as_of.version:
                files.append(self._kept_file(name, as_of))
        commit = self._read_commit(number) if number else None
        return DayVersion(number, tuple(files), commit.published_at if commit else None)

    def _go_back(self, name: PartitionName, entry: Entry, number: int) -> Entry | None:
        """What was known of the partition after that commit; None where it was not there yet."""
        current: Entry | None = entry
        while current and current.changed > number:
            commit = self._read_commit(current.changed)
            if commit is None:
                raise self._is_gone(number)
            current = commit.before.get(name)
        return current

    def _kept_file(self, name: PartitionName, entry: Entry) -> Path:
        if not self._state.keeps(name, entry):
            raise self._is_gone(entry.changed)
        return version_file(self._folder, name, entry)

    def _is_gone(self, number: int) -> RequestError:
        return RequestError(
            f"version {number} of {self._day} of {self._folder.table} is not kept any more; "
            "reloads history lists those that are"
        )
