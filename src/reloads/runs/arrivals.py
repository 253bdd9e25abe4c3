"""Arrivals: raw files that came, changed or went ask for their days.

It is decided by the files that lie there and by the log, never by an event, so whoever comes next finds what a crash
left. What a file asked for once it does not ask for again: a day that a check refused, or that somebody took back by an
undo, stays as it is until its files change.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from reloads.days import Days
from reloads.errors import ReloadsError
from reloads.files import make_own_folder
from reloads.locks import file_lock
from reloads.planning.selection import find_waiting
from reloads.planning.staleness import TableState
from reloads.raw_file import RawFile
from reloads.requests.announcement import Announcement, announce
from reloads.requests.doorbell_notes import arrived
from reloads.requests.neglect import attend
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.watermark import read_watermark, write_watermark
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles, days_to_look_at

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """Of each recent day a digest of the files that last asked for it, or that it was loaded from by then."""

    digests: Mapping[date, str] = field(default_factory=dict)
    noted_at: str = ""
    """Tells the acts of asking from each other, also where files take turns."""
    asking: Asking | None = None
    """What is being asked. Whoever finds it asks for that first, whatever files have changed since."""


@dataclass(frozen=True)
class Asking:
    """The days that files ask for, by a request of that id."""

    id: str
    days: Days
    at: datetime

    def to_record(self, table: Table) -> Record:
        """The request."""
        return Record(
            id=self.id,
            mode="arrival",
            table=table.name,
            days=self.days,
            accepted_at=self.at,
            # The clock or a person may have loaded them before it is their turn.
            only="stale",
            reason="raw files arrived",
        )

    def to_json(self) -> dict[str, Any]:
        """A value for a watermark."""
        return {"id": self.id, "days": self.days.texts(), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Asking:
        """The inverse."""
        return cls(str(fields["id"]), Days.parse(fields["days"]), datetime.fromisoformat(fields["at"]))


def answer_arrivals(settings: Settings, catalog: Catalog, *, now: datetime, is_due: bool = False) -> list[Announcement]:
    """Do what ``collect_arrivals`` does, if the doorbell left word of raw files or if ``is_due``.

    Word is forgotten once what follows from it is safe.
    """
    notes = arrived(settings.landing)
    taken = notes.take()
    if not taken and not is_due:
        return []
    announcements = collect_arrivals(settings, catalog, now=now)
    for note in taken:
        notes.forget(note)
    return announcements


def collect_arrivals(settings: Settings, catalog: Catalog, *, now: datetime) -> list[Announcement]:
    """Ask for the days of all tables whose raw files arrived, and announce these and what waited for such files."""
    raw = RawFiles.look(settings)
    records: list[Record] = []
    for name, table in catalog.tables.items():
        if not catalog.is_loadable(name):
            continue
        try:
            records += ask_for_arrivals(settings, catalog, table, raw=raw, now=now)
        except ReloadsError as error:
            # What is wrong with one table must not hold up the others.
            log.error("%s: its raw files cannot ask for their days: %s", name, error)  # noqa: TRY400 - one sentence
    queue = Queue(settings.landing)
    accepted = queue.records("accepted")
    waiting = find_waiting(accepted, catalog, raw=raw)
    for record in accepted:
        came = record.waiting_days & record.outstanding - waiting.get(record.id, Days())
        if came and catalog.is_loadable(record.table):
            records.append(record)
    attend(queue, records)
    return announce(records)


def ask_for_arrivals(
    settings: Settings, catalog: Catalog, table: Table, *, raw: RawFiles, now: datetime, among: Days | None = None
) -> list[Record]:
    """Ask for those of the recent days of the table whose raw files came or changed; the request, if there is one.

    With ``among``, only these days are looked at.

    A day that somebody asked for already, and that is not done, is not asked for again. Repeated after a crash it asks
    for the same and nothing twice.
    """
    if not table.settings.on_arrival or among == Days():
        return []
    with _lock(settings, table):
        return _ask_locked(settings, catalog, table, raw=raw, now=now, among=among)


def _lock(settings: Settings, table: Table) -> AbstractContextManager[int]:
    """Keeps two who look at the files of a table from writing over what the other one saw."""
    folder = settings.landing / ".watermarks"
    make_own_folder(folder)
    return file_lock(folder / f".arrivals-{table.name}.lock")


def _ask_locked(
    settings: Settings, catalog: Catalog, table: Table, *, raw: RawFiles, now: datetime, among: Days | None
) -> list[Record]:
    queue = Queue(settings.landing)
    seen, records = _read_seen(settings, table)
    recent_days = days_to_look_at(table, today=settings.day_of(now))
    open_days = Days.union(record.outstanding for record in queue.accepted(table.name) if not record.keys)
    digests: dict[date, str] = {}
    days = recent_days - open_days
    for day in days if among is None else days & among:
        look = raw.of_day(table, day)
        # Most days of a table that needs no files never had one.
        if not look.missing and (look.files or day in seen.digests):
            digests[day] = _digest(look.files)
    new_days = Days.of(day for day, digest in digests.items() if seen.digests.get(day) != digest)
    if not new_days:
        return records
    state = TableState.at(table, new_days, warehouse=settings.warehouse, inputs=catalog.all_inputs(table), raw=raw)
    asking_days = Days.of(day for day in new_days if state.why_arrived(day))
    if table.settings.on_arrival == "corrections":
        asking_days = Days.of(day for day in asking_days if state.has_day(day))
    kept = {day: digest for day, digest in seen.digests.items() if day in recent_days}
    noted = kept | {day: digests[day] for day in new_days}
    asking = Asking(_name_request(table, asking_days, digests, seen.noted_at), asking_days, now)
    seen = Seen(noted, now.isoformat(), asking if asking_days else None)
    _write_seen(settings, table, seen)
    return records + _ask(settings, table, seen)


def look_anew(settings: Settings, table: Table, days: Days) -> None:
    """Have the files of these days asked by the log alone at the next look, as a command loaded the days.

    Files of the same content may have been replaced, loaded and put back since they last asked.
    """
    if not table.settings.on_arrival:
        return
    with _lock(settings, table):
        seen, _ = _read_seen(settings, table)
        kept = {day: digest for day, digest in seen.digests.items() if day not in days}
        if len(kept) < len(seen.digests):
            _write_seen(settings, table, Seen(kept, seen.noted_at))


def note_taken_back(
    settings: Settings, table: Table, made_from: Mapping[date, Mapping[str, RawFile]], *, now: datetime
) -> None:
    """Keep the files by which these days were made from asking for them again, as somebody takes the days back.

    Whoever loaded them may not have come by to note it, like a command. Other files that lie there by now still ask.
    """
    if not table.settings.on_arrival:
        return
    with _lock(settings, table):
        raw = RawFiles.look(settings)
        seen, _ = _read_seen(settings, table)
        noted: dict[date, str] = {}
        for day in days_to_look_at(table, today=settings.day_of(now)) & Days.of(made_from):
            # Files that have asked are not to ask twice, though they were not loaded, nor if their folder is away.
            look = raw.of_day(table, day)
            has_asked = day in seen.digests and (look.is_unknown or seen.digests[day] == _digest(look.files))
            if made_from[day] and not has_asked:
                noted[day] = _digest(made_from[day])
        if noted:
            _write_seen(settings, table, Seen({**seen.digests, **noted}, now.isoformat()))


def _name_request(table: Table, days: Days, digests: Mapping[date, str], noted_at: str) -> str:
    text = "\0".join([table.name, noted_at, *(f"{day} {digests[day]}" for day in days)])
    return f"arrival-{table.name}-{sha256(text.encode()).hexdigest()[:12]}"


def _digest(files: Mapping[str, RawFile]) -> str:
    """Equal for files that are the same."""
    values = {path: file.content or file.to_json() for path, file in files.items()}
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _read_seen(settings: Settings, table: Table) -> tuple[Seen, list[Record]]:
    """What was seen; and the request, if somebody was killed who was about to make it."""
    seen = read_watermark(settings.landing, "arrivals", table.name, _parse_seen) or Seen()
    return seen, _ask(settings, table, seen)


def _ask(settings: Settings, table: Table, seen: Seen) -> list[Record]:
    """Make the request that is noted, unless it was made."""
    if seen.asking is None:
        return []
    records = Queue(settings.landing).add_all([seen.asking.to_record(table)])
    _write_seen(settings, table, replace(seen, asking=None))
    return records


def _parse_seen(text: str) -> Seen:
    try:
        fields = json.loads(text)
        digests = {date.fromisoformat(day): str(digest) for day, digest in fields["digests"].items()}
        asking = Asking.from_json(fields["asking"]) if "asking" in fields else None
        return Seen(digests, str(fields["noted_at"]), asking)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("it is of another form") from error


def _write_seen(settings: Settings, table: Table, seen: Seen) -> None:
    digests = {str(day): digest for day, digest in sorted(seen.digests.items())}
    fields: dict[str, Any] = {"noted_at": seen.noted_at, "digests": digests}
    if seen.asking:
        fields["asking"] = seen.asking.to_json()
    write_watermark(settings.landing, "arrivals", table.name, json.dumps(fields))
