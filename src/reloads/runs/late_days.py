"""Which daily partitions are late, each told once, and which of them came.

How far was looked, and what was told, is kept in ``landing/.notify/late.json``, which is written after the notes: a
crash between them writes the same notes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

from reloads.days import Days, parse_day
from reloads.errors import RequestError
from reloads.files import write_atomically
from reloads.planning.staleness import TableState
from reloads.requests.outbox import Note, Outbox
from reloads.settings import Settings
from reloads.tables.arrival_settings import find_late_days
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.access import state_of
from reloads.warehouse.partitions import folder_of

LOOK_BACK = timedelta(days=31)
"""No older day is told of, after an outage of those who tell; and so long one that was told is waited for."""

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Looked:
    """What was looked at of one table."""

    until: date
    late: Days
    """The days that were told of, and are not there."""


def note_late_days(settings: Settings, catalog: Catalog, *, now: datetime) -> None:
    """Put into the outbox which days of daily tables are late since the last look, and which late ones came."""
    outbox = Outbox(settings.landing)
    file = outbox.folder / "late.json"
    known = _read(file)
    looked: dict[str, Looked] = {}
    notes: list[Note] = []
    for table in catalog.tables.values():
        if not table.settings.daily or table.settings.due is None:
            continue
        before = known.get(table.name)
        after, came = _look(settings, table, before, now=now)
        if after:
            looked[table.name] = after
            late = after.late - before.late if before else after.late
            notes += [_note("late", table, late, now), _note("came", table, came, now)]
    if looked != known:
        outbox.put(note for note in notes if note.content["days"])
        write_atomically(file, json.dumps({name: _dump(each) for name, each in looked.items()}) + "\n")


def _look(settings: Settings, table: Table, before: Looked | None, *, now: datetime) -> tuple[Looked | None, Days]:
    """How the table stands now, None where no day of it was due yet; and which late days came."""
    yesterday = settings.day_of(now) - ONE_DAY
    oldest = max(table.settings.first_day, yesterday - LOOK_BACK)
    recent = Days.between(oldest, yesterday) if oldest <= yesterday else Days()
    due = find_late_days(recent, table.settings.due, now=now, time_zone=settings.time_zone)
    if not due:
        return before, Days()
    newest = due.ranges[-1].last
    # The first look tells of the newest day only: nobody was waiting for what was missing before.
    until = before.until if before else newest - ONE_DAY
    new_days = Days.of(day for day in due if day > until)
    told = before.late & recent if before else Days()
    missing = (new_days | told) - _find_published(settings, table, new_days | told)
    return Looked(max(until, newest), missing), told - missing


def _find_published(settings: Settings, table: Table, days: Days) -> Days:
    """Those of the days that were loaded, with rows or without, and were not taken back."""
    if not days:
        return Days()
    folder = folder_of(settings.warehouse, table)
    # Of what it reads nothing is asked: that a day is stale does not make it late.
    state = TableState(table, folder, days, state_of(folder).read(days), {}, RawFiles.look(settings))
    return Days.of(day for day in days if state.has_day(day))


def _note(kind: Literal["late", "came"], table: Table, days: Days, now: datetime) -> Note:
    content = {"table": table.name, "days": days.texts(), "due": table.settings.due}
    return Note(kind, f"{table.name} {days}", now, content)


def _read(file: Path) -> Mapping[str, Looked]:
    """What was looked at; nothing where the file is missing or is not ours."""
    looked: dict[str, Looked] = {}
    try:
        for name, fields in json.loads(file.read_bytes()).items():
            looked[name] = Looked(parse_day(fields["until"]), Days.parse(fields["late"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RequestError):
        return {}
    return looked


def _dump(looked: Looked) -> dict[str, object]:
    return {"until": str(looked.until), "late": looked.late.texts()}
