"""The warehouse: ``<table>/<day column>=YYYY-MM-DD/[<key>=<value>/]data.parquet``, replaced by rename only.

A partition is named by its folder below the table's, like ``flight_date=2013-01-01`` or, where the table has keys,
``flight_date=2013-01-01/origin=EWR``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote

from reloads.days import Days
from reloads.errors import QueryError
from reloads.tables.definition import Table

FILE = "data.parquet"


def day_part(name: str) -> str:
    """The day's part of a partition's name, or of that of a ledger's entry for a whole day or a slice of it."""
    return name.partition("/")[0].partition("#")[0]


def is_of_day(name: str) -> bool:
    """Whether an entry of the ledger, in a table with keys, is of a whole day or of a slice of one."""
    first, slash, _ = name.partition("/")
    return not slash or "#" in first


@dataclass(frozen=True)
class TableFolder:
    """The partitions of one table."""

    warehouse: Path
    table: str
    day_column: str
    keys: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the table lies."""
        return self.warehouse / self.table

    def day_name(self, day: date) -> str:
        """The name of a day: of its one partition, or of the folder that holds its partitions."""
        return f"{self.day_column}={day}"

    def day_of(self, name: str) -> date:
        """The day of a partition, or of an entry of the ledger for a whole day or a slice of it."""
        return date.fromisoformat(day_part(name).removeprefix(f"{self.day_column}="))

    def is_name(self, name: str) -> bool:
        """Whether this is the name of a partition as the table is cut now; it may have been cut otherwise before."""
        return self._is_ours(name) and [part.partition("=")[0] for part in name.split("/")[1:]] == list(self.keys)

    def key_values(self, name: str) -> tuple[str, ...]:
        """The values of the keys in a partition's name, in the order of the keys."""
        return tuple(unquote(part.partition("=")[2]) for part in name.split("/")[1:])

    def file(self, name: str) -> Path:
        """The file of a partition, whether it exists or not."""
        return self.folder / name / FILE

    def partition(self, day: date) -> Path:
        """The file that holds the rows of ``day`` in a table without keys, whether it exists or not."""
        return self.file(self.day_name(day))

    def has_day(self, day: date) -> bool:
        """Whether the day was ever published; one without rows has no file in a table with keys, but its folder."""
        return (self.folder / self.day_name(day)).is_dir() if self.keys else self.partition(day).is_file()

    def names_of(self, day: date) -> list[str]:
        """The published partitions of a day."""
        found = self.folder.glob(self._pattern(str(day)))
        return sorted(str(path.parent.relative_to(self.folder)) for path in found)

    def published(self) -> dict[str, Path]:
        """All published partitions by name; days that are no days are not ours."""
        return dict(sorted(self._found()))

    def newest_first(self) -> list[Path]:
        """The files of all published partitions, the one published last first."""
        times: dict[Path, int] = {}
        for path in self.published().values():
            with suppress(FileNotFoundError):  # removed just now
                times[path] = path.stat().st_mtime_ns
        return sorted(times, key=lambda path: -times[path])

    def is_empty(self) -> bool:
        """Whether nothing is published."""
        return next(self._found(), None) is None

    def days(self) -> Days:
        """The days that were ever published."""
        prefix = f"{self.day_column}="
        names = (path.name for path in self.folder.glob(f"{prefix}????-??-??"))
        return Days.of(day for day in map(self.day_of, filter(self._is_ours, names)) if self.has_day(day))

    def _found(self) -> Iterator[tuple[str, Path]]:
        for path in self.folder.glob(self._pattern("????-??-??")):
            if self._is_ours(name := str(path.parent.relative_to(self.folder))):
                yield name, path

    def _is_ours(self, name: str) -> bool:
        try:
            return bool(self.day_of(name))
        except ValueError:
            return False

    def _pattern(self, day: str) -> str:
        return "/".join([f"{self.day_column}={day}", *(f"{key}=*" for key in self.keys), FILE])

    def refuse_strangers(self, day: date) -> None:
        """Raise ``QueryError`` if the day's folder holds what readers would see besides our files."""
        folders = [self.folder / self.day_name(day)]
        for key in self.keys:
            for folder in folders:
                _refuse(folder, [name for name in _listed(folder) if not name.startswith(f"{key}=")], f"{key}=…")
            folders = [folder / name for folder in folders for name in _listed(folder)]
        for folder in folders:
            _refuse(folder, [name for name in _listed(folder) if name != FILE], FILE)


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _refuse(folder: Path, strangers: list[str], ours: str) -> None:
    if strangers:
        raise QueryError(f"{folder} holds {strangers[0]} besides {ours} and readers would see both; move it away")


def folder_of(warehouse: Path, table: Table) -> TableFolder:
    """The partitions of a table."""
    return TableFolder(warehouse, table.name, table.settings.day_column, tuple(table.settings.keys))
