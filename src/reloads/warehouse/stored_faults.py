"""Whether the objects of a table in an object store are what its log says, and what uploads left that ended early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from reloads.stores.object_store import Found
from reloads.warehouse.access import open_table
from reloads.warehouse.commit import Entry
from reloads.warehouse.current_view import version_file
from reloads.warehouse.fault import REMOVE, Fault
from reloads.warehouse.layout import versions_folder
from reloads.warehouse.mirror import Mirror, mirror_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Snapshot, State
from reloads.warehouse.stored_view import show_stored, shown_key

LONGEST_UPLOAD = timedelta(days=1)
"""What was uploaded longer ago and has no commit gets none any more."""

COPY = "copy it again with --repair"


def remove_orphans(folder: TableFolder, *, now: datetime | None = None) -> int:
    """Remove what uploads left that ended before their commit, a day later; returns the number of files."""
    mirror = mirror_of(folder.warehouse)
    if mirror is None:
        return 0
    with open_table(folder) as state:
        orphans = list(_find_orphans(folder, mirror, state, now or datetime.now(UTC)))
        mirror.store.remove([found.key for found in orphans])
    return len(orphans)


def find_stored_faults(folder: TableFolder, mirror: Mirror, state: State, snapshot: Snapshot) -> Iterator[Fault]:
    """What is in the store and should not be, or is not and should be. Lists the table's objects twice."""
    look = _Look(folder, mirror)
    for name, entry in snapshot.entries.items():
        if entry.version and folder.has_form_of(name):
            yield from look.check(name, entry)
    yield from look.check_strangers()
    for found in _find_orphans(folder, mirror, state, datetime.now(UTC)):
        what = f"{mirror.store.url}/{found.key} belongs to no commit"
        yield Fault(what, REMOVE, partial(mirror.store.remove, [found.key]))


@dataclass
class _Look:
    """The sizes of a table's objects."""

    folder: TableFolder
    mirror: Mirror

    def __post_init__(self) -> None:
        store, folder = self.mirror.store, self.folder
        versions = self.mirror.key_of(versions_folder(folder.warehouse, folder.table))
        self._versions = {found.key: found.size for found in store.look(versions)}
        self._shown = {found.key: found.size for found in store.look(self.mirror.key_of(folder.folder))}

    def check(self, name: PartitionName, entry: Entry) -> Iterator[Fault]:
        version = self.mirror.key_of(version_file(self.folder, name, entry))
        shown = shown_key(self.folder, self.mirror, name)
        size, shown_size = self._versions.get(version), self._shown.pop(shown, None)
        url = self.mirror.store.url
        if size is None:
            yield Fault(f"{url}/{version} is gone", f"reload {name}")
        elif size != entry.bytes:
            yield Fault(f"{url}/{version} has {size} bytes and was published with {entry.bytes}", f"reload {name}")
        elif shown_size != entry.bytes:
            what = f"{url}/{shown} is gone" if shown_size is None else f"{url}/{shown} is another file"
            yield Fault(what, COPY, lambda: show_stored(self.folder, self.mirror, {name: entry}))

    def check_strangers(self) -> Iterator[Fault]:
        for key in self._shown:
            yield Fault(f"{self.mirror.store.url}/{key} was not published from here", "move it away")


def _find_orphans(folder: TableFolder, mirror: Mirror, state: State, now: datetime) -> Iterator[Found]:
    spoken_of: set[str] = set()

    def note(name: PartitionName, entry: Entry) -> None:
        if entry.version:
            spoken_of.add(mirror.key_of(version_file(folder, name, entry)))

    for name, entry in state.read_all().entries.items():
        note(name, entry)
    for number in state.log.numbers():
        commit = state.log.read(number)
        for entries in (commit.after, commit.before) if commit else ():
            for name, entry in entries.items():
                note(name, entry)
    for found in mirror.store.look(mirror.key_of(versions_folder(folder.warehouse, folder.table))):
        is_ours = found.key.endswith(".parquet") and "/_delta_log/" not in found.key and found.key not in spoken_of
        if is_ours and found.modified_at < now - LONGEST_UPLOAD:
            yield found
