"""Access to one table: its state, and the right to change it, which one process has at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from reloads.errors import RequestError
from reloads.files import sync_all
from reloads.locks import file_lock
from reloads.warehouse.commit import Commit, Entry, Point
from reloads.warehouse.current_view import complete
from reloads.warehouse.layout import lock_file, versions_folder
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Head, State
from reloads.warehouse.stored_view import bring_stored_view


def state_of(folder: TableFolder) -> State:
    """The state of the table that lies in that folder."""
    return State(folder.warehouse, folder.table, folder.day_column, folder.keys)


@contextmanager
def open_table(folder: TableFolder) -> Iterator[State]:
    """Hold the table for oneself, with whatever a crash left of the last publication completed.

    In an object store that is among the processes of this machine only: there the log itself decides who publishes.
    """
    mirror = mirror_of(folder.warehouse)
    if mirror:
        mirror.probe_once()
    with file_lock(lock_file(folder.warehouse, folder.table)):
        state = replace(state_of(folder), is_locked=True)
        commits = state.behind()
        state = state.pinned()
        if commits and mirror is None:
            sync_all(complete(folder, _merge(commits)))
        for commit in commits:
            state.apply(commit)
        if mirror:
            state = replace(state, is_held=True)
            state.log.refuse_lost(state.read_head().point.number)
            bring_stored_view(folder, mirror, state)
        yield state


def _merge(commits: Sequence[Commit]) -> Commit:
    """What they made current in the end: of many, as after the state was lost, nobody sees those in between again."""
    after: dict[PartitionName, Entry] = {}
    for commit in commits:
        after |= commit.after
    return replace(commits[-1], after=after)


def refuse_moved(state: State, head: Head, begun: Point) -> None:
    """Raise ``RequestError`` if the table was moved away since the place in its log from which some work began.

    What lies under its name now, if anything, is another table. ``head`` is what ``state`` says now. Only in an object
    store: elsewhere nobody can move a table that somebody is at work on.
    """
    if state.pinned().place and begun.log != head.point.log:
        what = f"{state.table} was renamed or dropped since this was begun"
        raise RequestError(f"{what}, and nothing of it is published; ask again if there is a table of that name")


def begin_log(folder: TableFolder, head: Head) -> Head:
    """The head, or that of a new log; where an earlier one was lost, behind the numbers of the files that it left."""
    if head.point.log:
        return head
    numbers = [0]
    if folder.stored or folder.is_empty():
        # A crash before the first commit of all may have left versions; nobody ever saw them.
        return Head(Point(uuid4().hex[:8]))
    for path in versions_folder(folder.warehouse, folder.table).rglob("*.parquet"):
        if path.stem.isdecimal():
            numbers.append(int(path.stem))
    return Head(Point(uuid4().hex[:8], max(numbers)))


def next_time(head: Head, now: datetime) -> int:
    """The time of the files of the next commit, in nanoseconds."""
    # Whole microseconds, as not every file system keeps more; and never twice, as a copy is known by its time.
    return max(int(now.timestamp() * 10**6) * 1000, head.published_ns + 1000)
