"""The current view: the Hive folders that readers open, each file a link to the version that is current.

    warehouse/<table>/<day column>=YYYY-MM-DD/[<key>=<value>/]data.parquet
    warehouse/.versions/<table>/<the same folder>/<number>.parquet

It follows from the log. A version is linked beside the file that it replaces before its commit, so that a disk that
refuses it does so while nothing has happened; what is left to do after the commit is a rename.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from reloads.files import link_or_copy
from reloads.warehouse.commit import Commit
from reloads.warehouse.found_files import is_same_file
from reloads.warehouse.layout import versions_folder
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder

PREPARED = ".data.parquet.next"
"""The name of the link beside a partition's file. Readers pass over hidden files."""


def version_file(folder: TableFolder, name: PartitionName, number: int) -> Path:
    """The file that the commit of that number brought, whether it is still kept or not."""
    return Path(f"{versions_folder(folder.warehouse, folder.table)}/{name}/{number}.parquet")


def is_version(folder: TableFolder, name: PartitionName, number: int, status: os.stat_result) -> bool:
    """Whether the file with this status is that version: the same file, or a copy where the system has no links."""
    try:
        version = version_file(folder, name, number).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return is_same_file(status, version)


def is_shown(folder: TableFolder, name: PartitionName, number: int) -> bool:
    """Whether readers see that version."""
    try:
        return is_version(folder, name, number, folder.file(name).stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def prepare(folder: TableFolder, name: PartitionName, number: int) -> None:
    """Put the version beside the file that it is to replace; raises ``OSError`` where the disk refuses that."""
    target = folder.file(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(21, os.strerror(21), str(target))
    beside = target.with_name(PREPARED)
    beside.unlink(missing_ok=True)
    link_or_copy(version_file(folder, name, number), beside)


def withdraw(folder: TableFolder, name: PartitionName) -> None:
    """Take back what was prepared and is not to be shown."""
    with suppress(OSError):
        folder.file(name).with_name(PREPARED).unlink()
    _remove_empty_folders(folder, name)


def bring(folder: TableFolder, commit: Commit) -> set[Path]:
    """Show what the commit made current; returns the folders to flush. A second time it does nothing.

    Raises ``OSError`` where the disk refuses it, as it seldom does after ``prepare``.
    """
    names = [name for name in commit.after if folder.has_form_of(name)]
    return _bring(folder, commit, names)


def complete(folder: TableFolder, commit: Commit) -> set[Path]:
    """Show what the commit made current, if a crash kept somebody from that; returns the folders to flush.

    A file that is no version stays, as somebody put it there since, and so does what lies in the place of a version
    that is lost.
    """
    names: list[PartitionName] = []
    for name, entry in commit.after.items():
        if folder.has_form_of(name):
            is_kept = not entry.version or version_file(folder, name, entry.version).is_file()
            if is_kept and (not folder.file(name).exists() or _is_a_version(folder, name)):
                names.append(name)
    return _bring(folder, commit, names)


def _is_a_version(folder: TableFolder, name: PartitionName) -> bool:
    """Whether readers see one of the versions that are kept."""
    kept = version_file(folder, name, 0).parent.glob("*.parquet")
    return any(is_shown(folder, name, int(path.stem)) for path in kept if path.stem.isdecimal())


def _bring(folder: TableFolder, commit: Commit, names: Iterable[PartitionName]) -> set[Path]:
    touched: set[Path] = set()
    for name in names:
        touched |= show(folder, name, commit.after[name].version)
    for name, entry in commit.after.items():
        if folder.keys and name == folder.day_name(name.day) and entry.making is not None:
            touched |= _show_day(folder, name)
    # A folder that the first removal left may have gone with the second.
    return {path for path in touched if path.is_dir()}


def show(folder: TableFolder, name: PartitionName, number: int) -> set[Path]:
    """Show that version of one partition, or nothing where the number is 0; returns the folders to flush."""
    target = folder.file(name)
    if not number:
        target.unlink(missing_ok=True)
        _remove_empty_folders(folder, name)
        return {next(parent for parent in target.parents if parent.is_dir())}
    if is_shown(folder, name, number):
        return set()
    beside = target.with_name(PREPARED)
    if not _is_same(beside, version_file(folder, name, number)):
        prepare(folder, name, number)
    beside.replace(target)
    return {target.parent, *list(target.parent.parents)[: 1 + len(folder.keys)]}


def _show_day(folder: TableFolder, day_name: PartitionName) -> set[Path]:
    """Make the folder of a day that was rewritten whole in a table with keys, also where it came out without rows."""
    day_folder = folder.partition_folder(day_name)
    if day_folder.is_dir():
        return set()
    day_folder.mkdir(parents=True)
    return {day_folder, folder.folder}


def _is_same(file: Path, other: Path) -> bool:
    try:
        return os.path.samestat(file.stat(), other.stat())
    except FileNotFoundError:
        return False


def _remove_empty_folders(folder: TableFolder, name: PartitionName) -> None:
    """Remove the partition's folders as far as nothing else lies in them."""
    with suppress(OSError):
        for parent in list(folder.file(name).parents)[: 1 + len(name.keys)]:
            parent.rmdir()
