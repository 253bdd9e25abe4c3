"""What an undo of a request takes back: for each partition that it changed, the content from before it.

A partition went through contents, one commit after the other. A request's change can be taken back while the content
that it brought is the current one; an undo that came in between counts as if what it took back had never been, also
where the content came out as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from pathlib import Path

from reloads.days import Days
from reloads.files import link_or_copy
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Commit, Entry, Making
from reloads.warehouse.current_view import version_file
from reloads.warehouse.mirror import fetch_files
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication
from reloads.warehouse.state import Head, Snapshot, State

CLOCKS_DIFFER = timedelta(days=1)
"""By so much at most the clock of who accepted a request may be ahead of that of who published it."""


@dataclass(frozen=True)
class Asked:
    """What the record of a request says of where its commits are to be found."""

    days: Days
    at: datetime
    """When it was accepted: all of its commits are later."""


@dataclass(frozen=True)
class TakeBack:
    """What an undo of one request does at one table."""

    head: Head
    back: Mapping[PartitionName, Entry | None]
    """By partition, the entry that is put back; None where there was nothing."""
    days: Mapping[PartitionName, Entry | None]
    """In a table with keys: the entries of their days as a whole, which are put back with them."""
    later: Mapping[PartitionName, str]
    """The partitions that somebody rewrote later, and who."""
    undone_by: frozenset[int]
    """The commits of undos that took some of it back already."""
    expired: frozenset[PartitionName]
    """The partitions whose earlier version is not kept any more."""


def find_take_back(folder: TableFolder, request: str, *, asked: Asked | None = None, force: bool = False) -> TakeBack:
    """What ``request`` changed and is still current; with ``force`` also what somebody rewrote since.

    With ``asked`` only the commits are read that touched its days since it was accepted; else the whole log.
    """
    state = state_of(folder)
    commits: dict[int, Commit] = {}
    for commit in _commits_on(state, asked) if asked else _all_commits(state):
        if request in commit.requests:
            commits[commit.number] = commit
    changed: dict[PartitionName, int] = {}
    for number, commit in sorted(commits.items()):
        for name in commit.changed_names():
            if commit.serves(request, name) and folder.has_form_of(name):
                changed[name] = number
    snapshot = state.read({name.day for name in changed})
    return _Search(folder, request, snapshot, commits).take_back(changed, force=force)


def _all_commits(state: State) -> Iterator[Commit]:
    for number in state.log.numbers():
        commit = state.log.read(number)
        if commit:
            yield commit


def _commits_on(state: State, asked: Asked) -> Iterator[Commit]:
    """The commits that touched these days since they were asked for, the newest first; each names those before it."""
    # Negative, as a heap gives the smallest first.
    waiting = list({-_last_touch(entry) for entry in state.read(asked.days).entries.values()})
    heapify(waiting)
    last = 0
    while waiting:
        number = -heappop(waiting)
        commit = state.log.read(number) if number != last else None
        if commit is None:
            continue
        if commit.published_at < asked.at - CLOCKS_DIFFER:
            return
        yield commit
        last = number
        for name, entry in commit.before.items():
            if name.day in asked.days:
                heappush(waiting, -_last_touch(entry))


def _last_touch(entry: Entry) -> int:
    """The last commit that holds the entry. Of what was adopted it is not the last one that rewrote it."""
    return max(entry.touched, entry.changed)


def build_undo(
    folder: TableFolder, take_back: TakeBack, *, request: str, undo: str, run: str, place: Path, now: datetime
) -> Publication:
    """What the undo of that id publishes; the files of the versions are linked into the empty folder ``place``.

    Raises ``OSError`` where the disk refuses that, or where a version was removed just now.
    """
    files: dict[PartitionName, NewFile] = {}
    makings: dict[PartitionName, Making | None] = {}
    origins: dict[PartitionName, int] = {}
    fetch_files(
        folder.warehouse,
        [version_file(folder, name, each) for name, each in take_back.back.items() if each and each.version],
    )
    for number, (name, entry) in enumerate(take_back.back.items()):
        makings[name], origins[name] = (entry.making, entry.origin) if entry else (None, 0)
        if entry and entry.version:
            path = place / f"{number}.parquet"
            link_or_copy(version_file(folder, name, entry), path)
            files[name] = NewFile(
                path, entry.rows, entry.bytes, entry.content, entry.columns, entry.origin, entry.modified_ns
            )
    for day_name, entry in take_back.days.items():
        makings[day_name] = entry.making if entry else None
    return Publication(
        act="undo",
        run=run,
        now=now,
        day_column=folder.day_column,
        keys=folder.keys,
        base=take_back.head.point,
        files=files,
        vanished=[name for name in take_back.back if name not in files],
        whole_days=Days.of(name.day for name in take_back.days),
        makings=makings,
        origins=origins,
        requests={undo: Days.of(name.day for name in take_back.back)},
        columns=_columns_after(folder, take_back, files),
        undoes=request,
    )


def _columns_after(
    folder: TableFolder, take_back: TakeBack, files: Mapping[PartitionName, NewFile]
) -> Mapping[str, str]:
    """The columns of the table after the undo: as they are, while a partition has them, else those that are left."""
    columns = take_back.head.columns
    if all(not file.columns or file.columns == columns for file in files.values()):
        return columns
    left: list[tuple[int, Mapping[str, str]]] = []
    for name, entry in state_of(folder).read_all().entries.items():
        if entry.version and name not in take_back.back:
            if entry.columns == columns:
                return columns
            left.append((entry.version, entry.columns))
    merged: dict[str, str] = {}
    for _, some in sorted(left, key=lambda each: each[0]):
        merged |= some
    for file in files.values():
        merged |= file.columns
    return merged


class _Search:
    """The search for what is put back, with the commits that were read."""

    def __init__(self, folder: TableFolder, request: str, snapshot: Snapshot, commits: dict[int, Commit]) -> None:
        self._folder, self._request, self._snapshot, self._commits = folder, request, snapshot, commits
        self._state = state_of(folder)

    def take_back(self, changed: Mapping[PartitionName, int], *, force: bool) -> TakeBack:
        back: dict[PartitionName, Entry | None] = {}
        later: dict[PartitionName, str] = {}
        first_changes: dict[PartitionName, int] = {}
        undone_by, expired = set[int](), set[PartitionName]()
        for name, last_change in changed.items():
            if name not in self._snapshot.entries:
                expired.add(name)
                continue
            number = self._standing_change(name)
            if number is None:
                culprit = self._commit(self._snapshot.entries[name].changed)
                if culprit and culprit.undoes == self._request:
                    undone_by.add(culprit.number)
                    continue
                if not force:
                    later[name] = ", ".join(culprit.requests) if culprit and culprit.requests else "somebody"
                    continue
                number = last_change
            first = self._first_change(name, number)
            before = self._commits[first].before.get(name)
            if before and before.version and not self._state.keeps(name, before):
                expired.add(name)
            elif self._snapshot.entries[name].version or before:
                back[name] = before
                first_changes[name.day_name] = min(first, first_changes.get(name.day_name, first))
        days = self._days(first_changes)
        return TakeBack(self._snapshot.head, back, days, later, frozenset(undone_by), frozenset(expired))

    def _standing_change(self, name: PartitionName) -> int | None:
        """The commit of the request whose change of the partition is what it is now; None if there is none."""
        entry = self._snapshot.entries[name]
        for number in (entry.changed, entry.origin):
            if self._is_by_request(name, number):
                return number
        return None

    def _first_change(self, name: PartitionName, number: int) -> int:
        """The first of the request's changes in a row: a task that was tried again makes several of them."""
        before = self._commits[number].before.get(name)
        while before and self._is_by_request(name, before.origin) and name in self._commits[before.origin].after:
            number = before.origin
            before = self._commits[number].before.get(name)
        return number

    def _is_by_request(self, name: PartitionName, number: int) -> bool:
        commit = self._commits.get(number)
        return commit is not None and commit.serves(self._request, name)

    def _commit(self, number: int) -> Commit | None:
        return self._commits.get(number) or self._state.log.read(number)

    def _days(self, first_changes: Mapping[PartitionName, int]) -> dict[PartitionName, Entry | None]:
        """The entries of days as a whole from before the request, also where somebody confirmed a day since.

        Who confirmed it found what is now taken back, so what they said of the day is not true any more.
        """
        if not self._folder.keys:
            return {}
        return {day_name: self._commits[number].before.get(day_name) for day_name, number in first_changes.items()}
