"""What an undo of a request takes back: for each partition that it changed, the content from before it.

A partition went through contents, one commit after the other. A request's change can be taken back while the content
that it brought is the current one; an undo that came in between counts as if what it took back had never been.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reloads.days import Days
from reloads.files import link_or_copy
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Commit, Entry, Making
from reloads.warehouse.current_view import version_file
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publishing import NewFile, Publication
from reloads.warehouse.state import Head, Snapshot


@dataclass(frozen=True)
class TakeBack:
    """What an undo of one request does at one table."""

    head: Head
    back: Mapping[PartitionName, Entry | None]
    """By partition, the entry that is put back; None where there was nothing."""
    days: Mapping[PartitionName, Entry | None]
    """In a table with keys: the entries of days as a whole that are put back with them."""
    later: Mapping[PartitionName, str]
    """The partitions that somebody rewrote later, and who."""
    is_back: bool
    """Whether some of it was taken back already."""
    expired: frozenset[PartitionName]
    """The partitions whose earlier version is not kept any more."""


def find_take_back(
    folder: TableFolder, request: str, *, numbers: Iterable[int] | None = None, force: bool = False
) -> TakeBack:
    """What ``request`` changed and is still current; with ``force`` also what somebody rewrote since.

    ``numbers`` are the commits that served the request; where they are not known, the whole log is read.
    """
    state = state_of(folder)
    commits: dict[int, Commit] = {}
    for number in sorted(state.log.numbers() if numbers is None else numbers):
        commit = state.log.read(number)
        if commit and request in commit.requests:
            commits[number] = commit
    changed: dict[PartitionName, int] = {}
    for number, commit in commits.items():
        for name in commit.changed_names():
            if commit.serves(request, name) and folder.has_form_of(name):
                changed[name] = number
    snapshot = state.read({name.day for name in changed})
    return _Search(folder, request, snapshot, commits).take_back(changed, force=force)


def build_undo(
    folder: TableFolder, take_back: TakeBack, *, request: str, undo: str, run: str, place: Path, now: datetime
) -> Publication:
    """What the undo of that id publishes; the files of the versions are linked into the empty folder ``place``.

    Raises ``OSError`` where the disk refuses that, or where a version was removed just now.
    """
    files: dict[PartitionName, NewFile] = {}
    makings: dict[PartitionName, Making | None] = {}
    origins: dict[PartitionName, int] = {}
    for number, (name, entry) in enumerate(take_back.back.items()):
        makings[name], origins[name] = (entry.making, entry.origin) if entry else (None, 0)
        if entry and entry.version:
            path = place / f"{number}.parquet"
            link_or_copy(version_file(folder, name, entry.version), path)
            files[name] = NewFile(path, entry.rows, entry.bytes, entry.content, entry.columns, entry.origin)
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
        undoes=request,
    )


class _Search:
    """The search for what is put back, with the commits that were read."""

    def __init__(self, folder: TableFolder, request: str, snapshot: Snapshot, commits: dict[int, Commit]) -> None:
        self._folder, self._request, self._snapshot, self._commits = folder, request, snapshot, commits
        self._log = state_of(folder).log

    def take_back(self, changed: Mapping[PartitionName, int], *, force: bool) -> TakeBack:
        back: dict[PartitionName, Entry | None] = {}
        later: dict[PartitionName, str] = {}
        is_back, expired = False, set[PartitionName]()
        for name, last_change in changed.items():
            if name not in self._snapshot.entries:
                expired.add(name)
                continue
            number = self._standing_change(name)
            if number is None and force:
                number = last_change
            if number is None:
                culprit = self._commit(self._snapshot.entries[name].changed)
                if culprit and culprit.undoes == self._request:
                    is_back = True
                else:
                    later[name] = ", ".join(culprit.requests) if culprit and culprit.requests else "somebody"
                continue
            before = self._before(name, number)
            if before and before.version and not version_file(self._folder, name, before.version).is_file():
                expired.add(name)
            else:
                back[name] = before
        return TakeBack(self._snapshot.head, back, self._days(back), later, is_back, frozenset(expired))

    def _standing_change(self, name: PartitionName) -> int | None:
        """The commit of the request whose change of the partition is what it is now; None if there is none."""
        entry = self._snapshot.entries[name]
        for number in (entry.changed, entry.origin):
            if self._is_by_request(name, number):
                return number
        return None

    def _before(self, name: PartitionName, number: int) -> Entry | None:
        """The entry before the request's change; a task that was tried again makes several of them in a row."""
        before = self._commits[number].before.get(name)
        while before and self._is_by_request(name, before.origin) and name in self._commits[before.origin].after:
            before = self._commits[before.origin].before.get(name)
        return before

    def _is_by_request(self, name: PartitionName, number: int) -> bool:
        commit = self._commits.get(number)
        return commit is not None and commit.serves(self._request, name)

    def _commit(self, number: int) -> Commit | None:
        return self._commits.get(number) or self._log.read(number)

    def _days(self, back: Mapping[PartitionName, Entry | None]) -> dict[PartitionName, Entry | None]:
        """The entries of the days that the request rewrote whole, and nobody since."""
        days: dict[PartitionName, Entry | None] = {}
        if not self._folder.keys:
            return days
        for day_name in {name.day_name for name in back}:
            entry = self._snapshot.entries.get(day_name)
            if entry and self._is_by_request(day_name, entry.touched):
                days[day_name] = self._commits[entry.touched].before.get(day_name)
        return days
