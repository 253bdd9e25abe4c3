"""The current view: the Hive folders that readers open, each file a link to the version that is current.

    warehouse/<table>/<day column>=YYYY-MM-DD/[<key>=<value>/]data.parquet
    warehouse/.versions/<table>/<the same folder>/<number>.parquet

It follows from the log. A version is linked beside the file that it replaces before its commit, so that a disk that
refuses it does so while nothing has happened; what is left to do after the commit is a rename.

What is done for each partition is done by texts: a year of 20 keys has 7,300 of them, and a path takes as long to make
as a link.
"""

# ruff: noqa: PTH103, PTH105, PTH108, PTH112, PTH116, PTH121

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from reloads.files import link_or_copy
from reloads.warehouse.commit import Commit, Entry
from reloads.warehouse.found_files import is_same_file
from reloads.warehouse.layout import DATA_FILE, versions_folder
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder

PREPARED = ".data.parquet.next"
"""The name of the link beside a partition's file. Readers pass over hidden files."""


def version_file(folder: TableFolder, name: PartitionName, entry: Entry) -> Path:
    """The file of the version that the entry has, whether it is still kept or not."""
    return Path(f"{versions_folder(folder.warehouse, folder.table)}/{name}/{entry.file_name}")


def version_path(folder: TableFolder, name: PartitionName, number: int) -> str:
    """The file that the commit of that number brought, as a text; of a warehouse that is a folder."""
    return f"{versions_folder(folder.warehouse, folder.table)}/{name}/{number}.parquet"


def folders_down_to(path: str, name: PartitionName) -> list[str]:
    """The folder of this file of a partition, and those above it up to the table's."""
    folders: list[str] = []
    for _ in range(2 + len(name.key_folders)):
        path, _, _ = path.rpartition("/")
        folders.append(path)
    return folders


def is_version(folder: TableFolder, name: PartitionName, number: int, status: os.stat_result) -> bool:
    """Whether the file with this status is that version: the same file, or a copy where the system has no links."""
    try:
        version = os.stat(version_path(folder, name, number))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return is_same_file(status, version)


def is_shown(folder: TableFolder, name: PartitionName, number: int) -> bool:
    """Whether readers see that version."""
    try:
        return is_version(folder, name, number, os.stat(_target_path(folder, name)))
    except (FileNotFoundError, NotADirectoryError):
        return False


def prepare(folder: TableFolder, name: PartitionName, number: int) -> None:
    """Put the version beside the file that it is to replace; raises ``OSError`` where the disk refuses that."""
    target, beside = _target_path(folder, name), _prepared_path(folder, name)
    os.makedirs(f"{folder.folder}/{name}", exist_ok=True)
    if os.path.isdir(target):
        raise IsADirectoryError(21, os.strerror(21), target)
    with suppress(FileNotFoundError):
        os.unlink(beside)
    link_or_copy(version_path(folder, name, number), beside)


def _target_path(folder: TableFolder, name: PartitionName) -> str:
    return f"{folder.folder}/{name}/{DATA_FILE}"


def _prepared_path(folder: TableFolder, name: PartitionName) -> str:
    return f"{folder.folder}/{name}/{PREPARED}"


def withdraw(folder: TableFolder, name: PartitionName) -> None:
    """Take back what was prepared and is not to be shown."""
    with suppress(OSError):
        os.unlink(_prepared_path(folder, name))
    _remove_empty_folders(folder, name)


def bring(folder: TableFolder, commit: Commit) -> set[str]:
    """Show what the commit made current; returns the folders to flush. A second time it does nothing.

    Raises ``OSError`` where the disk refuses it, as it seldom does after ``prepare``.
    """
    names = [name for name in commit.after if folder.has_form_of(name)]
    return _bring(folder, commit, names)


def complete(folder: TableFolder, commit: Commit) -> set[str]:
    """Show what the commit made current, if a crash kept somebody from that; returns the folders to flush.

    A file that is no version stays, as somebody put it there since, and so does what lies in the place of a version
    that is lost.
    """
    names: list[PartitionName] = []
    for name, entry in commit.after.items():
        if folder.has_form_of(name):
            is_kept = not entry.version or version_file(folder, name, entry).is_file()
            if is_kept and (not folder.file(name).exists() or _is_a_version(folder, name)):
                names.append(name)
    return _bring(folder, commit, names)


def _is_a_version(folder: TableFolder, name: PartitionName) -> bool:
    """Whether readers see one of the versions that are kept."""
    kept = Path(version_path(folder, name, 0)).parent.glob("*.parquet")
    return any(is_shown(folder, name, int(path.stem)) for path in kept if path.stem.isdecimal())


def _bring(folder: TableFolder, commit: Commit, names: Iterable[PartitionName]) -> set[str]:
    touched: set[str] = set()
    for name in names:
        touched |= show(folder, name, commit.after[name].version)
    for name, entry in commit.after.items():
        if folder.keys and name == folder.day_name(name.day) and entry.making is not None:
            touched |= _show_day(folder, name)
    # A folder that the first removal left may have gone with the second.
    return {path for path in touched if os.path.isdir(path)}


def show(folder: TableFolder, name: PartitionName, number: int) -> set[str]:
    """Show that version of one partition, or nothing where the number is 0; returns the folders to flush."""
    target, beside = _target_path(folder, name), _prepared_path(folder, name)
    if not number:
        with suppress(FileNotFoundError):
            os.unlink(target)
        _remove_empty_folders(folder, name)
        return {next(str(parent) for parent in Path(target).parents if parent.is_dir())}
    if is_shown(folder, name, number):
        return set()
    if not _is_same(beside, version_path(folder, name, number)):
        prepare(folder, name, number)
    os.replace(beside, target)
    return set(folders_down_to(target, name))


def _show_day(folder: TableFolder, day_name: PartitionName) -> set[str]:
    """Make the folder of a day that was rewritten whole in a table with keys, also where it came out without rows."""
    day_folder = folder.partition_folder(day_name)
    if day_folder.is_dir():
        return set()
    day_folder.mkdir(parents=True)
    return {str(day_folder), str(folder.folder)}


def _is_same(file: str, other: str) -> bool:
    try:
        return os.path.samefile(file, other)
    except FileNotFoundError:
        return False


def _remove_empty_folders(folder: TableFolder, name: PartitionName) -> None:
    """Remove the partition's folders as far as nothing else lies in them."""
    with suppress(OSError):
        for parent in list(folder.file(name).parents)[: 1 + len(name.keys)]:
            parent.rmdir()
