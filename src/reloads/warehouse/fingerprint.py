"""Whether a file is still the one that was seen: by its time of publication and its size, never by its content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path

from reloads.days import Days
from reloads.tables.lineage import input_days
from reloads.warehouse.partitions import TableFolder


def identities(folder: TableFolder, days: Iterable[date]) -> dict[date, tuple[str, ...]]:
    """The partitions of these days that are published now, with the identity of each."""
    by_day: dict[date, tuple[str, ...]] = {}
    for day in days:
        for name in folder.names_of(day) if folder.keys else [folder.day_name(day)]:
            try:
                by_day[day] = (*by_day.get(day, ()), f"{name}:{identity(folder.file(name))}")
            except (FileNotFoundError, NotADirectoryError):
                continue
    return by_day


def digest(identities_by_day: Mapping[date, tuple[str, ...]], day: date, window: int) -> str:
    """A short digest of the files of the ``window`` days that end with ``day``."""
    files: list[str] = []
    for input_day in input_days(Days.of([day]), window):
        files += identities_by_day.get(input_day, ())
    return sha256("\n".join(sorted(files)).encode()).hexdigest()[:16]


def identity(file: Path) -> str:
    """What tells a partition file from the one before it; raises ``FileNotFoundError`` where there is none."""
    status = file.stat()
    return f"{status.st_mtime_ns}-{status.st_size}"


def identity_or_none(file: Path | None) -> str | None:
    """The identity of a file, or None where there is none."""
    try:
        return identity(file) if file else None
    except (FileNotFoundError, NotADirectoryError):
        return None
