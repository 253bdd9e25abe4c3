"""Where the Delta table of a table lies, and how its files get there.

    .delta/<table>/<partition>/<number>-<commit>-<random>.parquet    in a folder: links to versions
    .versions/<table>/<partition>/<file>.parquet                     in an object store: the versions themselves

Delta Lake takes no path that leads out of its root. A link has a name that no file ever had, so that an earlier
snapshot that lists a file never shows another one's content; in a store each version has such a name already.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from reloads.files import link_or_copy, sync_all
from reloads.stores.client import is_plain_http
from reloads.stores.credentials import keys_for_now
from reloads.warehouse.commit import Entry
from reloads.warehouse.current_view import version_file
from reloads.warehouse.layout import delta_folder, versions_folder
from reloads.warehouse.mirror import Mirror, mirror_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder


class DeltaPlace(Protocol):
    """The root of a Delta table, and its files."""

    @property
    def folder(self) -> TableFolder:
        """The table."""

    @property
    def root(self) -> str:
        """The path or the URL that Delta Lake opens."""

    @property
    def options(self) -> dict[str, str]:
        """What Delta Lake has to know to open it, besides the environment."""

    def has_log(self) -> bool:
        """Whether there may be a Delta table, seen without opening it."""

    def file(self, path: str) -> Path:
        """The file of that path below the root, as this machine names it."""

    def is_of(self, file: Path, entry: Entry) -> bool:
        """Whether that file of the Delta table is the version of the entry."""

    def bring(self, entries: Mapping[PartitionName, Entry], *, commit: int) -> dict[PartitionName, str]:
        """Put the versions of these entries there; returns their paths below the root."""

    def flush_log(self) -> None:
        """Make the last commit of Delta outlast a power cut, as Delta Lake itself does not."""


@dataclass(frozen=True)
class FolderPlace:
    """A Delta table beside the warehouse's other folders."""

    folder: TableFolder

    @property
    def root(self) -> str:
        """As ``DeltaPlace`` says."""
        return str(self._root)

    @property
    def options(self) -> dict[str, str]:
        """None."""
        return {}

    @property
    def _root(self) -> Path:
        return delta_folder(self.folder.warehouse, self.folder.table)

    def has_log(self) -> bool:
        """Whether its folder is there."""
        return (self._root / "_delta_log").is_dir()

    def file(self, path: str) -> Path:
        """The link."""
        return self._root / path

    def is_of(self, file: Path, entry: Entry) -> bool:
        """By the number in its name."""
        return int(file.name.partition("-")[0]) == entry.version

    def bring(self, entries: Mapping[PartitionName, Entry], *, commit: int) -> dict[PartitionName, str]:
        """Link them, and flush the folders."""
        suffix = f"{commit}-{uuid4().hex[:8]}"
        paths: dict[PartitionName, str] = {}
        folders: set[Path] = set()
        for name, entry in entries.items():
            paths[name] = f"{name}/{entry.version}-{suffix}.parquet"
            file = self._root / paths[name]
            file.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(version_file(self.folder, name, entry), file)
            folders.update(file.parents[: 2 + len(self.folder.keys)])
        sync_all(folders)
        return paths

    def flush_log(self) -> None:
        """Flush the file, and the folder that holds it."""
        log_folder = self._root / "_delta_log"
        sync_all([max(log_folder.glob("*.json")), log_folder])


@dataclass(frozen=True)
class StorePlace:
    """A Delta table over the versions in an object store; all of them are there already."""

    folder: TableFolder
    mirror: Mirror

    @property
    def root(self) -> str:
        """The URL of the versions."""
        return f"{self.mirror.store.url}/{self.mirror.key_of(self._root)}"

    @property
    def options(self) -> dict[str, str]:
        """Whether TLS is wanted, and the credentials of a profile or a role, which Delta Lake does not always find."""
        return {
            "aws_allow_http": str(is_plain_http()).lower(),
            **keys_for_now(self.mirror.store.url),
        }

    @property
    def _root(self) -> Path:
        return versions_folder(self.folder.warehouse, self.folder.table)

    def has_log(self) -> bool:
        """Always: to look costs as much as to open it."""
        return True

    def file(self, path: str) -> Path:
        """The version in the mirror, whether it was fetched or not."""
        return self._root / path

    def is_of(self, file: Path, entry: Entry) -> bool:
        """By its name."""
        return file.name == entry.file_name

    def bring(self, entries: Mapping[PartitionName, Entry], *, commit: int) -> dict[PartitionName, str]:
        """Nothing is to be done for them."""
        del commit
        return {name: f"{name}/{entry.file_name}" for name, entry in entries.items()}

    def flush_log(self) -> None:
        """An object store has it for good once it answers."""


def delta_place(folder: TableFolder) -> DeltaPlace:
    """Where the Delta table of that table lies."""
    mirror = mirror_of(folder.warehouse)
    return StorePlace(folder, mirror) if mirror else FolderPlace(folder)


def list_gone(place: DeltaPlace, files: Mapping[PartitionName, Path]) -> list[Path]:
    """Those of these files that are not there."""
    if isinstance(place, StorePlace):
        kept = {found.key for found in place.mirror.store.look(place.mirror.key_of(place.file("")))}
        return [file for file in files.values() if place.mirror.key_of(file) not in kept]
    return [file for file in files.values() if not os.path.isfile(file)]  # noqa: PTH113 - of very many
