"""The warehouse: ``<table>/<day column>=YYYY-MM-DD/data.parquet``, one file a partition, replaced by rename only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from reloads.errors import OperatorError, QueryError

FILE = "data.parquet"
SYNCS_AT_ONCE = 8


@dataclass(frozen=True)
class TableFolder:
    """The partitions of one table."""

    warehouse: Path
    table: str
    day_column: str

    def partition(self, day: date) -> Path:
        """The file that holds the rows of ``day``, whether it exists or not."""
        return self.warehouse / self.table / f"{self.day_column}={day}" / FILE

    def published(self) -> dict[str, Path]:
        """The partitions that exist, by the text of their day."""
        prefix = f"{self.day_column}="
        files = (self.warehouse / self.table).glob(f"{prefix}*/{FILE}")
        return {path.parent.name.removeprefix(prefix): path for path in sorted(files)}

    def publish(self, staged: Mapping[date, Path]) -> dict[date, str]:
        """Put each staged file in the place of the partition's old one; the days that kept theirs, and why.

        Readers see the old file or the new one, never anything between, and a power cut afterwards keeps the new one.
        Raises ``QueryError`` before anything is touched if a partition holds files of somebody else, ``OperatorError``
        if the disk does not take the files.
        """
        refused: dict[date, OSError] = {}
        try:
            for day in staged:
                self._refuse_strangers(self.partition(day).parent)
            _sync(staged.values())
            folders = {self.warehouse}
            for day, file in staged.items():
                try:
                    target = self.partition(day)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    file.replace(target)
                    folders |= {target.parent, target.parent.parent}
                except OSError as error:
                    refused[day] = error
            _sync(folders)
        except OSError as error:
            raise OperatorError(self._sentence(error)) from error
        # A folder that refuses every day is one thing to mend, not a hundred.
        place = self.warehouse / self.table if len(refused) > 1 else None
        return {day: self._sentence(error, place) for day, error in refused.items()}

    def _sentence(self, error: OSError, place: Path | None = None) -> str:
        place = place or error.filename2 or error.filename or self.warehouse
        return f"{place} cannot be written ({error.strerror}); make room or grant access"

    def _refuse_strangers(self, folder: Path) -> None:
        try:
            names = {path.name for path in folder.iterdir()} - {FILE}
        except (FileNotFoundError, NotADirectoryError):
            return
        if strangers := sorted(name for name in names if not name.startswith(".")):
            raise QueryError(f"{folder} holds {strangers[0]} besides {FILE} and readers would see both; move it away")


def _sync(paths: Iterable[Path]) -> None:
    """Wait until these files and folders are on disk.

    Side by side, because the disk takes many flushes almost as fast as one; and each file by itself rather than the
    whole file system, because what others are writing there is not to be waited for.
    """
    with ThreadPoolExecutor(SYNCS_AT_ONCE) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
