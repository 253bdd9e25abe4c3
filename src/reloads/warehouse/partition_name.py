"""Names of partitions as values.

flight_date=2013-01-01                 the partition of a day or, in a table with keys, the day as a whole
flight_date=2013-01-01/origin=EWR      a partition of a table with keys

The text of a partition is the path of its folder below the table's, and the texts stand in JSON as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote, unquote

from reloads.days import parse_day
from reloads.errors import RequestError


@dataclass(frozen=True)
class PartitionName:
    """The name of one partition; without keys, of the folder of a day."""

    day_column: str
    day: date
    key_folders: tuple[tuple[str, str], ...] = ()
    """Each key with its value as the folder's name has it.

    Not decoded, because other writers of Hive folders encode less than DuckDB: `shop=A B` and `shop=A%20B` can lie side
    by side, and a name must lead to its own folder.
    """

    @classmethod
    def of(cls, day_column: str, day: date, key_values: Mapping[str, str]) -> PartitionName:
        """The name of the partition with these values, encoded as DuckDB does it."""
        return cls(day_column, day, tuple((key, quote(value, safe="")) for key, value in key_values.items()))

    @classmethod
    def parse(cls, text: str) -> PartitionName:
        """The inverse of ``str(name)``; raises ``ValueError`` for any other text."""
        day_folder, *folders = text.split("/")
        day_column, _, day_text = day_folder.partition("=")
        try:
            day = parse_day(day_text)
        except RequestError as error:
            raise ValueError(f"{text!r} is not the name of a partition") from error
        key_folders: list[tuple[str, str]] = []
        for folder in folders:
            key, equals, value = folder.partition("=")
            if not equals:
                raise ValueError(f"{text!r} is not the name of a partition")
            key_folders.append((key, value))
        return cls(day_column, day, tuple(key_folders))

    def __str__(self) -> str:
        text = f"{self.day_column}={self.day}"
        for key, value in self.key_folders:
            text += f"/{key}={value}"
        return text

    @classmethod
    def from_file_name(cls, text: str) -> PartitionName:
        """The inverse of ``to_file_name``; raises ``ValueError`` for any other text."""
        return cls.parse(unquote(text))

    def to_file_name(self) -> str:
        """The name as a part of a file's name, which holds no slash."""
        return quote(str(self), safe="=")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, in the order of the folders."""
        return tuple(key for key, _ in self.key_folders)

    @property
    def key_values(self) -> dict[str, str]:
        """The value of each key."""
        return {key: unquote(value) for key, value in self.key_folders}

    @property
    def day_name(self) -> PartitionName:
        """The name of the day's folder."""
        return PartitionName(self.day_column, self.day) if self.key_folders else self

    @property
    def is_of_day(self) -> bool:
        """Whether it names the folder of a day."""
        return not self.key_folders
