"""The files of partitions as readers find them, and whether they are what the log says.

By texts: of tens of thousands of partitions, to make a path of each takes longer than all else.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from reloads.warehouse.layout import DATA_FILE, versions_folder
from reloads.warehouse.partitions import TableFolder


class FileLook:
    """Looks at files of one table, each by the text of its partition's name."""

    def __init__(self, folder: TableFolder) -> None:
        self._is_stored = folder.stored is not None
        self._shown, self._versions = str(folder.folder), str(versions_folder(folder.warehouse, folder.table))

    def look(self, name: str, version: int, size: int, modified_ns: int) -> tuple[int | None, bool]:
        """The size of the partition's file, None where there is none, and whether it is that version, as published.

        In an object store it is what the log says.
        """
        if self._is_stored:
            return (size, True) if version > 0 else (None, False)
        status = self.find(name)
        if status is None:
            return None, False
        return status.st_size, self.is_version(name, version, size, modified_ns, status)

    def find(self, name: str) -> os.stat_result | None:
        """The status of the partition's file; None where there is none."""
        path = f"{self._shown}/{name}/{DATA_FILE}"
        try:
            status = os.stat(path)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            if os.path.lexists(path):
                raise
            return None
        return status if S_ISREG(status.st_mode) else None

    def is_version(self, name: str, number: int, size: int, modified_ns: int, status: os.stat_result) -> bool:
        """Whether that file is the version of that number, of this size and time: the same file, or a copy of it.

        A program that writes over the file in place changes the version as well, as both are one file; its size tells.
        """
        if number <= 0 or status.st_size != size:
            return False
        # No two publications give their files the same time. What has it, and is linked from elsewhere, is the version,
        # and need not be looked for: of 73,000 partitions that takes 0.2 s.
        if modified_ns == status.st_mtime_ns and status.st_nlink > 1:
            return True
        try:
            version = os.stat(f"{self._versions}/{name}/{number}.parquet")  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False
        return is_same_file(status, version)


def is_same_file(status: os.stat_result, other: os.stat_result) -> bool:
    """Whether both are one file, or copies where the system has no links."""
    if status.st_ino == other.st_ino and status.st_dev == other.st_dev:
        return True
    return (status.st_size, status.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
