"""The current view in an object store: a copy of each current version, made by the store.

<table>/<day column>=YYYY-MM-DD/[<key>=<value>/]data.parquet

It follows from the log. A note says up to which commit it was brought, so that whoever comes next completes it after a
crash. Two that bring it at once both look at the log once more when they are done, so the later commit is shown in the
end; one that dies between its copy and that look can leave an earlier version there, which ``verify`` finds. Who finds
then that the table was moved away takes back what it has shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reloads.warehouse.commit import Entry, Point
from reloads.warehouse.current_view import version_file
from reloads.warehouse.layout import view_note
from reloads.warehouse.log_ends import HeldError
from reloads.warehouse.mirror import Mirror
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import State


def bring_stored_view(folder: TableFolder, mirror: Mirror, state: State) -> None:
    """Show what the log says; a second time it asks the store for the note and does nothing more.

    ``state`` is of who holds the table. After it has shown something it asks once more, as others may have published.
    """
    note = mirror.key_of(view_note(folder.warehouse, folder.table))
    content = mirror.store.read(note)
    shown = _parse(content.data) if content else Point()
    log, changes = state.read_head().point.log, dict[PartitionName, Entry]()
    while (head := _look(state)) != shown:
        if head is None or head.log != log:
            _withdraw(folder, mirror, changes)
            return
        changes = _find_changes(folder, state, shown, head)
        show_stored(folder, mirror, changes)
        mirror.store.write(note, str(head).encode())
        shown, state = head, replace(state, is_held=False)


def _look(state: State) -> Point | None:
    """The last commit of the table; None while it is being moved away."""
    try:
        return state.read_head().point
    except HeldError:
        return None


def _withdraw(folder: TableFolder, mirror: Mirror, changes: Mapping[PartitionName, Entry]) -> None:
    """Take away what was shown of a table that was moved away meanwhile; another one of its name may be there."""
    try:
        current = State(folder.warehouse, folder.table, folder.day_column, folder.keys, is_locked=True).read_all()
        entries = current.entries
    except HeldError:
        entries = {}
    show_stored(folder, mirror, {name: entries.get(name, replace(entry, version=0)) for name, entry in changes.items()})


def show_stored(folder: TableFolder, mirror: Mirror, entries: Mapping[PartitionName, Entry]) -> None:
    """Show the versions of these entries, and take away the partitions that have none."""
    copies: dict[str, str] = {}
    gone: list[str] = []
    for name, entry in entries.items():
        shown = shown_key(folder, mirror, name)
        if entry.version:
            copies[shown] = mirror.key_of(version_file(folder, name, entry))
        else:
            gone.append(shown)
    # A version that is not there any more was replaced meanwhile, and has expired.
    mirror.store.copy(copies)
    mirror.store.remove(gone)


def shown_key(folder: TableFolder, mirror: Mirror, name: PartitionName) -> str:
    """The key of the partition that readers open."""
    return mirror.key_of(folder.shown_file(name))


def _find_changes(folder: TableFolder, state: State, shown: Point, head: Point) -> dict[PartitionName, Entry]:
    """The last entry of each partition that commits behind ``shown`` changed; of all where those are not kept."""
    if shown.log != head.log or shown.number + 1 not in state.log:
        entries = state.read_all().entries
        return {name: entry for name, entry in entries.items() if folder.has_form_of(name)}
    changes: dict[PartitionName, Entry] = {}
    for commit in state.log.after(shown.number):
        for name in commit.changed_names():
            if folder.has_form_of(name):
                changes[name] = commit.after[name]
    return changes


def _parse(data: bytes) -> Point:
    try:
        return Point.parse(data.decode())
    except ValueError:
        return Point()
