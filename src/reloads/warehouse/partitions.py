"""The partitions of a table: ``<day column>=YYYY-MM-DD/[<key>=<value>/]data.parquet``, replaced by rename only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from reloads.days import Days, parse_day
from reloads.errors import QueryError, RequestError
from reloads.tables.definition import Table
from reloads.warehouse.layout import DATA_FILE
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.state import State
from reloads.warehouse.stored_partitions import newest_first, stored_days, stored_partitions

ANY_DAY = "????-??-??"


@dataclass(frozen=True)
class TableFolder:
    """The partitions of one table."""

    warehouse: Path
    table: str
    day_column: str
    keys: tuple[str, ...] = ()

    @cached_property
    def folder(self) -> Path:
        """Where the table lies."""
        return self.warehouse / self.table

    def day_name(self, day: date) -> PartitionName:
        """The name of a day: of its one partition, or of the folder that holds its partitions."""
        return PartitionName(self.day_column, day)

    def has_form_of(self, name: PartitionName) -> bool:
        """Whether a partition of the table is named like this now; the table may have had other columns before."""
        return (name.day_column, name.keys) == (self.day_column, self.keys)

    def partition_folder(self, name: PartitionName) -> Path:
        """The folder of a partition or of a day."""
        return Path(f"{self.folder}/{name}")

    @cached_property
    def stored(self) -> State | None:
        """What is known of the partitions of a table in an object store, where nothing else is asked; else None."""
        is_stored = mirror_of(self.warehouse) is not None
        return State(self.warehouse, self.table, self.day_column, self.keys) if is_stored else None

    def file(self, name: PartitionName) -> Path:
        """The file of a partition, whether it exists or not."""
        if self.stored:
            files = stored_partitions(self.stored, self.stored.read([name.day]))
            return files.get(name, self.shown_file(name))
        return self.shown_file(name)

    def shown_file(self, name: PartitionName) -> Path:
        """The file of a partition as readers name it."""
        return Path(f"{self.folder}/{name}/{DATA_FILE}")

    def partition(self, day: date) -> Path:
        """The file that holds the rows of ``day`` in a table without keys, whether it exists or not."""
        return self.file(self.day_name(day))

    def has_day(self, day: date) -> bool:
        """Whether the day was ever published; one without rows has no file in a table with keys, but its folder."""
        if self.stored:
            return day in stored_days(self.stored.read([day]))
        return self.partition_folder(self.day_name(day)).is_dir() if self.keys else self.partition(day).is_file()

    def names_of(self, day: date) -> list[PartitionName]:
        """The published partitions of a day."""
        if self.stored:
            return sorted(stored_partitions(self.stored, self.stored.read([day])), key=str)
        names = [self.day_name(day)]
        for key in self.keys:
            below: list[PartitionName] = []
            for name in names:
                for folder in sorted(_names_in(f"{self.folder}/{name}")):
                    column, equals, value = folder.partition("=")
                    if equals and column == key:
                        below.append(PartitionName(self.day_column, day, (*name.key_folders, (key, value))))
            names = below
        return [name for name in names if os.path.lexists(f"{self.folder}/{name}/{DATA_FILE}")]

    def published(self) -> dict[PartitionName, Path]:
        """All published partitions by name; folders whose name is not a date are ignored."""
        if self.stored:
            files = stored_partitions(self.stored, self.stored.read_all())
            return dict(sorted(files.items(), key=lambda item: str(item[0])))
        return dict(sorted(self._partitions(ANY_DAY), key=lambda item: str(item[0])))

    def newest_first(self) -> list[PartitionName]:
        """All published partitions, the one published last first."""
        if self.stored:
            snapshot = self.stored.read_all()
            return newest_first(snapshot, stored_partitions(self.stored, snapshot))
        times: dict[PartitionName, int] = {}
        for name, path in self.published().items():
            with suppress(FileNotFoundError):  # removed just now
                times[name] = path.stat().st_mtime_ns
        return sorted(times, key=lambda name: -times[name])

    def is_empty(self) -> bool:
        """Whether nothing is published. Looks no further than the first partition."""
        if self.stored:
            return not stored_partitions(self.stored, self.stored.read_all())
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder) as entries:
            for entry in entries:
                name = self._name_of(self.folder / entry.name)
                if name and name.day_column == self.day_column and any(self._partitions(str(name.day))):
                    return False
        return True

    def days(self) -> Days:
        """The days that were ever published."""
        if self.stored:
            return stored_days(self.stored.read_all())
        days: list[date] = []
        prefix = f"{self.day_column}="
        for name in _names_in(self.folder):
            text = name.removeprefix(prefix)
            if name.startswith(prefix) and _is_day(text):
                day = date.fromisoformat(text)
                if self.has_day(day):
                    days.append(day)
        return Days.of(days)

    def _partitions(self, day_pattern: str) -> Iterator[tuple[PartitionName, Path]]:
        key_patterns = [f"{key}=*" for key in self.keys]
        for path in self.folder.glob("/".join([f"{self.day_column}={day_pattern}", *key_patterns, DATA_FILE])):
            if name := self._name_of(path.parent):
                yield name, path

    def _name_of(self, folder: Path) -> PartitionName | None:
        """The name of the partition in that folder; None where the name holds no date."""
        try:
            return PartitionName.parse(str(folder.relative_to(self.folder)))
        except ValueError:
            return None

    def refuse_other_layout(self) -> None:
        """Raise ``QueryError`` if partitions by other columns lie in the table's folder: readers would see both.

        The names of all days are looked at, and what one of them holds: partitions of one layout lie beside no other.
        """
        if self.stored:
            head = self.stored.read_head()
            if head.day_column and (head.day_column, head.keys) != (self.day_column, self.keys):
                raise self._other_layout("/".join([f"{head.day_column}=…", *(f"{key}=…" for key in head.keys)]))
            return
        own_prefix = f"{self.day_column}="
        day_folders: list[str] = []
        for name in _names_in(self.folder):
            if name.startswith(own_prefix):
                day_folders.append(name)
            elif not name.startswith(".") and _is_day(name.partition("=")[2]):
                raise self._other_layout(name)
        for name in day_folders:
            columns = self._columns_below(self.folder / name)
            if columns is not None:
                if columns != self.keys:
                    raise self._other_layout("/".join([name, *(f"{column}=…" for column in columns), DATA_FILE]))
                return

    def _columns_below(self, folder: Path) -> tuple[str, ...] | None:
        """The columns that lead from the folder of a day to its first partition; None if it has none."""
        if (folder / DATA_FILE).is_file():
            return ()
        for name in sorted(_names_in(folder)):
            column, equals, _ = name.partition("=")
            columns = self._columns_below(folder / name) if equals and not name.startswith(".") else None
            if columns is not None:
                return (column, *columns)
        return None

    def _other_layout(self, name: str) -> QueryError:
        columns = " and ".join([self.day_column, *self.keys])
        return QueryError(
            f"{self.folder} holds {name}, and the table is partitioned by {columns} now; "
            "name the columns in table.toml as they were, or move that folder away and load the table anew"
        )

    def refuse_strangers(self, day: date) -> None:
        """Raise ``QueryError`` if the day's folder holds what readers would see besides our files.

        In an object store nobody looks for that: nothing but this software may write there.
        """
        if self.stored:
            return
        folders = [f"{self.folder}/{self.day_name(day)}"]
        for key in self.keys:
            below: list[str] = []
            for folder in folders:
                names = _visible_names(folder)
                _refuse(folder, [name for name in names if not name.startswith(f"{key}=")], f"{key}=…")
                below += [f"{folder}/{name}" for name in names]
            folders = below
        for folder in folders:
            _refuse(folder, [name for name in _visible_names(folder) if name != DATA_FILE], DATA_FILE)


def _is_day(text: str) -> bool:
    try:
        parse_day(text)
    except RequestError:
        return False
    return True


def _names_in(folder: Path | str) -> list[str]:
    try:
        with os.scandir(folder) as entries:  # a table may have tens of thousands of days, and a Path for each is slow
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _visible_names(folder: str) -> list[str]:
    return sorted(name for name in _names_in(folder) if not name.startswith("."))


def _refuse(folder: str, strangers: list[str], expected: str) -> None:
    if strangers:
        raise QueryError(f"{folder} holds {strangers[0]} besides {expected} and readers would see both; move it away")


def folder_of(warehouse: Path, table: Table) -> TableFolder:
    """The partitions of a table."""
    return TableFolder(warehouse, table.name, table.settings.day_column, tuple(table.settings.keys))
