"""A table with many partitions and many commits, made without rewriting any; its files hold a few letters."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

from reloads.days import Days
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Commit, Entry, Making, Point, dump_commit
from reloads.warehouse.current_view import version_path
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Head

LOG = "0123abcd"
FIRST = 1001
"""The number of the first commit: those before it were removed, and all numbers have as many digits."""


def fill(
    folder: TableFolder,
    days: Days,
    *,
    commits: int,
    begin: datetime,
    making: Callable[[date], Making] | None = None,
    columns: dict[str, str],
    key_values: Sequence[str] = (),
) -> None:
    """Publish these days in so many commits, a second after each other, behind what the log holds.

    In a table with one key each day has a partition of each value. ``making`` says what each day was made from; else
    all were made from nothing, by one query.
    """
    state = state_of(folder)
    head = (
        state.read_head()
        if state.folder.exists()
        else Head(Point(LOG, FIRST - 1), expired=FIRST - 1, trimmed=FIRST - 1)
    )
    state.log.folder.mkdir(parents=True, exist_ok=True)
    all_entries: dict[PartitionName, Entry] = {}
    for place, some in enumerate(days.split(commits)):
        number, published_at = head.point.number + 1, begin + timedelta(seconds=place)
        made_alike = Making("v", {}, {}, f"run/{number}", published_at)
        published_ns = int(published_at.timestamp()) * 10**9
        entries: dict[PartitionName, Entry] = {}
        for day in some:
            made = making(day) if making else made_alike
            entry = Entry(number, number, number, made, number, 1, 4, "", columns, published_ns)
            entries |= _publish_day(folder, day, entry, key_values)
        commit = Commit(
            point=Point(head.point.log, number),
            table=folder.table,
            act="load",
            run=f"run/{number}",
            published_ns=published_ns,
            day_column=folder.day_column,
            keys=folder.keys,
            after=entries,
            requests={f"request-{number}": some},
            columns=columns,
            key_types=dict.fromkeys(folder.keys, "INTEGER"),
            batch=0,
        )
        file = state.log.folder / f"{number}.json"
        file.write_text(dump_commit(commit))
        os.utime(file, ns=(commit.published_ns, commit.published_ns))
        all_entries |= entries
        head = head.after(commit)
    state.write_again(all_entries)
    state.write_head(head)


def _publish_day(folder: TableFolder, day: date, entry: Entry, key_values: Sequence[str]) -> dict[PartitionName, Entry]:
    if not folder.keys:
        names = [folder.day_name(day)]
    else:
        names = [PartitionName.of(folder.day_column, day, {folder.keys[0]: value}) for value in key_values]
    for name in names:
        version = Path(version_path(folder, name, entry.version))
        version.parent.mkdir(parents=True, exist_ok=True)
        version.write_text("PAR1")
        os.utime(version, ns=(entry.modified_ns, entry.modified_ns))
        folder.partition_folder(name).mkdir(parents=True, exist_ok=True)
        os.link(version, folder.file(name))
    entries = dict.fromkeys(names, entry)
    if folder.keys:
        entries[folder.day_name(day)] = replace(entry, version=0, origin=0, rows=0, bytes=0, columns={})
    return entries
