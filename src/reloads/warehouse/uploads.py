"""The files of a publication on their way into an object store, under names that no other file has.

They are uploaded before the table is held, so that batches of one table do not wait for each other. Nobody sees them
until a commit names them. What a crash leaves is removed by ``remove_orphans``, a day later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reloads.files import cannot_write, link_or_copy, make_folder
from reloads.warehouse.layout import versions_folder
from reloads.warehouse.mirror import Mirror, name_file
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile


@dataclass
class Uploads:
    """What was uploaded for one publication."""

    folder: TableFolder
    mirror: Mirror
    names: dict[PartitionName, str] = field(default_factory=dict)
    """What the file of each partition is called in the store."""

    def upload(self, files: Mapping[PartitionName, NewFile]) -> None:
        """Write those that are not there yet; raises ``OperatorError`` where the store or the disk refuses it."""
        new = {name: name_file() for name in files if name not in self.names}
        if new:
            self.mirror.make_room()
        for name, file_name in new.items():
            path = self._path(name, file_name)
            make_folder(path.parent)
            try:
                link_or_copy(files[name].path, path)
            except OSError as error:
                raise cannot_write(path, error) from error
        self.mirror.upload([self._path(name, file_name) for name, file_name in new.items()])
        self.names |= new

    def remove_unused(self, used: Collection[str]) -> None:
        """Remove what no commit names. Only where it is known what was committed."""
        unused = [self._path(name, file_name) for name, file_name in self.names.items() if file_name not in used]
        self.mirror.remove(unused)

    def _path(self, name: PartitionName, file_name: str) -> Path:
        return versions_folder(self.folder.warehouse, self.folder.table) / str(name) / f"{file_name}.parquet"
