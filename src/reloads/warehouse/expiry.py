"""Expiry: what a commit replaced is kept for a while, for an undo, and the commit itself for those who follow.

Each commit is read once, the oldest first and when its time has come, so it costs as much as what expires, however long
the log is and however much the commits hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from reloads.warehouse.access import open_table
from reloads.warehouse.commit import Commit, Point
from reloads.warehouse.current_view import version_file
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Head, State

LEAST_DAYS_OF_LOG = 1
"""A reader that has begun to read finds the commits behind its state, whatever ``history_days`` is."""


def expire(
    folder: TableFolder, *, now: datetime, days: int, followed: Iterable[Point], shown: Point | None = None
) -> int:
    """Remove the versions that were replaced more than ``days`` ago; returns their number.

    Their commits go as well, but never before everybody who follows the table, up to the points in ``followed``, is
    past them. Of a table with snapshots, ``shown`` is how far the last one goes: the next one may need what the commits
    behind it replaced.
    """
    removed = 0
    with open_table(folder) as state:
        head, limit = state.read_head(), now - timedelta(days=days)
        for commit in _commits_until(state, max(head.expired, head.trimmed), limit):
            if shown and not shown.includes(commit.point):
                break
            removed += _remove_replaced(folder, state, commit)
            head = replace(head, expired=commit.number)
            state.write_head(head)
        _trim(state, head, followed, oldest=now - timedelta(days=max(days, LEAST_DAYS_OF_LOG)))
    return removed


def _commits_until(state: State, number: int, limit: datetime) -> Iterator[Commit]:
    """The commits behind that number that were published by then, oldest first."""
    while state.log.is_older(number + 1, limit):
        commit = state.log.read(number + 1)
        if commit is None or commit.published_at > limit:
            return
        yield commit
        number += 1


def _remove_replaced(folder: TableFolder, state: State, commit: Commit) -> int:
    """Remove what the commit replaced, and the entries of what it removed."""
    files: list[Path] = []
    for name in commit.changed_names():
        before = commit.before.get(name)
        if before and before.version:
            # An undo brings an old content as a version of its own, so this one is not current again.
            files.append(version_file(folder, name, before))
    _remove(folder, files)
    if folder.keys:
        # The entry of the day says that it changed. Without keys this entry is that of the day, and is kept for it.
        state.forget([name for name in commit.changed_names() if not commit.after[name].version], changed=commit.number)
    return len(files)


def _remove(folder: TableFolder, files: Collection[Path]) -> None:
    if mirror := mirror_of(folder.warehouse):
        mirror.remove(files)
    for file in files:
        file.unlink(missing_ok=True)


def _trim(state: State, head: Head, followed: Iterable[Point], *, oldest: datetime) -> None:
    """Remove the commits that expired and that everybody has followed."""
    points = [point.number if point.log == head.point.log else 0 for point in followed]
    last = min([head.expired, *points])
    is_written_down = False
    while head.trimmed < last:
        number = head.trimmed + 1
        if number in state.log and not state.log.is_older(number, oldest):
            return
        commit = state.log.read(number)
        if commit and commit.published_at > oldest:
            return
        if not is_written_down:
            # A mirror that has not read what goes now begins there.
            state.checkpoint()
            is_written_down = True
        state.log.remove(head.trimmed + 1)
        head = replace(head, trimmed=head.trimmed + 1)
        state.write_head(head)
