"""The partitions of a table in an object store, by what the log says of them: nobody lists the store for that."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from reloads.days import Days
from reloads.warehouse.layout import versions_folder
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.state import Snapshot, State


def stored_partitions(state: State, snapshot: Snapshot) -> dict[PartitionName, Path]:
    """The published partitions among those that were read, each with its file; ``fetch_files`` brings it here."""
    root = versions_folder(state.warehouse, state.table)
    files: dict[PartitionName, Path] = {}
    for name, entry in snapshot.entries.items():
        if entry.version and name.keys == state.keys and name.day_column == state.day_column:
            files[name] = root / str(name) / entry.file_name
    return files


def stored_days(snapshot: Snapshot) -> Days:
    """The days that were ever published; one without rows has no partition in a table with keys."""
    days: set[date] = set()
    for name, entry in snapshot.entries.items():
        if snapshot.form.has(name) and (entry.version or (snapshot.form.keys and name.is_of_day)):
            days.add(name.day)
    return Days.of(days)


def newest_first(snapshot: Snapshot, files: dict[PartitionName, Path]) -> list[PartitionName]:
    """These partitions, the one published last first."""
    return sorted(files, key=lambda name: -snapshot.entries[name].modified_ns)
