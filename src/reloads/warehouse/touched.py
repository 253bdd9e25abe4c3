"""What becomes of the entries of the partitions and days that a publication touches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from reloads.days import Days
from reloads.warehouse.commit import Entry
from reloads.warehouse.current_view import version_file
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication
from reloads.warehouse.state import Snapshot


class Touched:
    """The new files and the new entries, without those of the partitions that are ``skipped``.

    ``file_names`` says what the new files are called in an object store.
    """

    def __init__(
        self,
        folder: TableFolder,
        snapshot: Snapshot,
        publication: Publication,
        number: int,
        *,
        skipped: Collection[PartitionName],
        file_names: Mapping[PartitionName, str],
    ) -> None:
        self._folder, self._skipped_days = folder, Days.of(name.day for name in skipped)
        self._snapshot, self._publication, self._number = snapshot, publication, number
        self._file_names = file_names
        self._files = {name: file for name, file in publication.files.items() if name not in skipped}
        # An undo puts back who a content is of, and not only the content: what came before it can be undone then.
        self._is_undo = publication.act == "undo"
        self._vanished = [name for name in publication.vanished if name not in skipped and self._can_vanish(name)]

    def _can_vanish(self, name: PartitionName) -> bool:
        entry = self._snapshot.entries.get(name)
        return entry is not None and (bool(entry.version) or self._is_undo)

    def _is_confirmed(self, name: PartitionName, file: NewFile) -> bool:
        entry = self._snapshot.entries.get(name)
        if entry is None or not entry.version or name in self._publication.damaged or self._is_undo:
            return False
        is_same = bool(file.content) and entry.content == file.content
        is_same = is_same or self._publication.same.get(name) == entry.version
        return is_same and self._is_kept(name, entry)

    def _is_kept(self, name: PartitionName, entry: Entry) -> bool:
        """Whether the current version is there; of an object store the log says so."""
        return self._folder.stored is not None or version_file(self._folder, name, entry).is_file()

    def new_files(self) -> dict[PartitionName, NewFile]:
        """The files with another content than what is published."""
        return {name: file for name, file in self._files.items() if not self._is_confirmed(name, file)}

    def entries(self, *, refused: Collection[PartitionName], published_ns: int) -> dict[PartitionName, Entry]:
        """The entries after the publication at that time, without the partitions that the disk refused."""
        after: dict[PartitionName, Entry] = {}
        for name, file in self._files.items():
            if name not in refused:
                after[name] = self._entry_of_file(name, file, published_ns)
        for name in self._vanished:
            making, origin = self._publication.makings.get(name), self._publication.origins.get(name, self._number)
            after[name] = Entry(0, self._number, self._number, making, origin)
        if self._publication.keys:
            after |= self._entries_of_days(after, refused)
        return after

    def _entry_of_file(self, name: PartitionName, file: NewFile, published_ns: int) -> Entry:
        making = self._publication.makings.get(name)
        if self._is_confirmed(name, file):
            entry = self._snapshot.entries[name]
            return replace(
                entry, touched=self._number, making=making, rows=file.rows, content=file.content, columns=file.columns
            )
        number = self._number
        return Entry(
            version=number,
            changed=number,
            touched=number,
            making=making,
            origin=file.origin or number,
            rows=file.rows,
            bytes=file.bytes,
            content=file.content,
            columns=file.columns,
            modified_ns=file.modified_ns if file.origin else published_ns,
            file=self._file_names.get(name, ""),
        )

    def _entries_of_days(
        self, after: Mapping[PartitionName, Entry], refused: Collection[PartitionName]
    ) -> dict[PartitionName, Entry]:
        changed_days = {name.day for name, entry in after.items() if entry.changed == self._number}
        whole_days = self._publication.whole_days - Days.of(name.day for name in refused) - self._skipped_days
        entries: dict[PartitionName, Entry] = {}
        for day in {name.day for name in after}.union(whole_days):
            name = PartitionName(self._publication.day_column, day)
            entry = self._snapshot.entries.get(name, Entry(0, 0, 0, None))
            if day in changed_days:
                entry = replace(entry, changed=self._number)
            if day in whole_days:
                entry = replace(entry, touched=self._number, making=self._publication.makings.get(name))
            entries[name] = entry
        return entries
