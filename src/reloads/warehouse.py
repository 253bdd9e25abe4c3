"""The warehouse: ``<table>/<day column>=YYYY-MM-DD/data.parquet``, one file a partition, replaced by rename only."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from reloads.errors import OperatorError, QueryError

FILE = "data.parquet"


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

    def publish(self, staged: Mapping[date, Path]) -> None:
        """Put each staged file in the place of the partition's old one.

        Readers see the old file or the new one, never anything between, and a power cut afterwards keeps the new one.
        Raises ``QueryError`` before anything is touched if a partition holds files of somebody else, ``OperatorError``
        if the file system refuses.
        """
        try:
            for day in staged:
                self._refuse_strangers(self.partition(day).parent)
            flush(self.warehouse)
            for day, file in staged.items():
                target = self.partition(day)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
            flush(self.warehouse)
        except OSError as error:
            place = error.filename2 or error.filename or self.warehouse
            raise OperatorError(f"{place} cannot be written ({error.strerror}); make room or grant access") from error

    def _refuse_strangers(self, folder: Path) -> None:
        try:
            names = set(os.listdir(folder)) - {FILE}
        except FileNotFoundError:
            return
        if strangers := sorted(name for name in names if not name.startswith(".")):
            raise QueryError(f"{folder} holds {strangers[0]} besides {FILE} and readers would see both; move it away")


def flush(folder: Path) -> None:
    """Wait until everything written to the file system of ``folder`` is on disk.

    One call for all files of a batch: flushing hundreds of files one by one costs several times as much.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(handle)
