"""What a batch came to, by the log: it holds what every try of the batch published, those that were killed too."""

from __future__ import annotations

from collections.abc import Iterator

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Outcome
from reloads.warehouse.commit import Commit, Entry, Point
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.state import State


def report(state: State, batch: Batch, days: Days, *, run: str) -> Outcome:
    """What became of these days, of which nothing failed: published or unchanged, with rows and bytes."""
    before: dict[PartitionName, Entry | None] = {}
    after: dict[PartitionName, Entry] = {}
    published: set[PartitionName] = set()
    for commit in commits_of(state, batch, run):
        for name in commit.after:
            if name.day in days and name.keys == commit.keys:
                before.setdefault(name, commit.before.get(name))
                after[name] = commit.after[name]
        published.update(name for name in commit.changed_names() if name.day in days)
    rows: dict[str, int] = {}
    rows_before: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for name, entry in after.items():
        day, earlier = str(name.day), before[name]
        rows[day] = rows.get(day, 0) + (entry.rows if entry.version else 0)
        sizes[day] = sizes.get(day, 0) + (entry.bytes if entry.version else 0)
        rows_before[day] = rows_before.get(day, 0) + (earlier.rows if earlier and earlier.version else 0)
    published_days = Days.of(name.day for name in published)
    return Outcome(
        published=published_days, unchanged=days - published_days, rows=rows, rows_before=rows_before, bytes=sizes
    )


def commits_of(state: State, batch: Batch, run: str) -> Iterator[Commit]:
    """The commits of the batch since its run was planned, oldest first."""
    planned_at = Point.parse(batch.planned_at) if batch.planned_at else Point()
    head = state.read_head()
    # What is not known to be of the same log is looked at whole.
    begin = max(planned_at.number if planned_at.log in ("", head.point.log) else 0, head.trimmed)
    if begin < head.point.number and begin + 1 not in state.log:
        # A log that was lost begins behind the versions that are left of it.
        begin = min(state.log.numbers(), default=1) - 1
    for commit in state.log.after(begin):
        if (commit.run, commit.batch) == (run, batch.number):
            yield commit
