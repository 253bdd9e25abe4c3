"""The calendar of a table: of every day whether it is there, fresh, stale, empty, awaited, being rewritten or failed.

What is published is decided by the log, as a plan decides it, and what people wait for by their requests. Nothing is
written, and no partition is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Literal, get_args

from reloads.days import Days
from reloads.inspection.claims import Claim, Claims, RequestLook
from reloads.planning.staleness import TableState
from reloads.planning.whole_days import GONE, MISSING
from reloads.requests.record_cache import RecordCache
from reloads.settings import Settings
from reloads.tables.arrival_settings import find_late_days
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles, days_to_look_at
from reloads.warehouse.access import state_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of

DayState = Literal["running", "open", "waiting", "refused", "failed", "missing", "stale", "empty", "fresh"]
STATES: tuple[DayState, ...] = get_args(DayState)
"""In the order in which they are told: the first that holds for a day is its state."""


@dataclass(frozen=True)
class Published:
    """What is published of a day or of a partition, and why that is to be rewritten."""

    is_there: bool = False
    """Whether it was ever loaded, with rows or without, and was not taken back."""
    why: str | None = MISSING
    """Why it is to be rewritten; None if it is as it should be."""
    rows: int | None = None
    """None where nothing is, or where somebody else put the file there."""
    bytes: int | None = None
    changed_at: datetime | None = None
    """When this content was published."""
    made_at: datetime | None = None
    """When it was last rewritten or found to come out the same."""

    @property
    def is_loaded(self) -> bool:
        """Whether it was loaded once and not taken back, though its file may be gone."""
        return self.why != MISSING

    @property
    def state(self) -> DayState:
        """The state by what is published alone."""
        if self.why in (MISSING, GONE):
            return "missing"
        if self.why:
            return "stale"
        return "empty" if self.rows == 0 else "fresh"


@dataclass(frozen=True)
class Cell:
    """A day or a partition as the calendar shows it."""

    state: DayState
    why: str | None
    """Why it is in this state, where there is more to say."""
    published: Published
    request: str | None = None
    """The request that says so."""


@dataclass(frozen=True)
class CalendarDay:
    """A day, and in a table with keys its partitions."""

    day: date
    cell: Cell
    is_late: bool = False
    partitions: Mapping[PartitionName, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Calendar:
    """Days of one table."""

    table: Table
    days: Mapping[date, CalendarDay]

    def counts(self) -> dict[DayState, int]:
        """How many days are in each state."""
        counts: dict[DayState, int] = dict.fromkeys(STATES, 0)
        for each in self.days.values():
            counts[each.cell.state] += 1
        return counts

    def days_by_reason(self) -> dict[tuple[DayState, str | None], Days]:
        """The days of each state and reason, states in their order."""
        days: dict[tuple[DayState, str | None], list[date]] = {}
        for each in self.days.values():
            days.setdefault((each.cell.state, each.cell.why), []).append(each.day)
        return {key: Days.of(days[key]) for key in sorted(days, key=lambda key: (STATES.index(key[0]), key[1] or ""))}


def read_calendar(
    settings: Settings, catalog: Catalog, name: str, days: Days, *, now: datetime, records: RecordCache | None = None
) -> Calendar:
    """The state of these days of a table, as it is now.

    Raises ``TableError`` for a broken table, or one that reads a broken one, and ``RequestError`` for an unknown one.
    """
    requests = RequestLook.read(settings.landing, now=now, table=name, cache=records)
    state = look_at_days(settings, catalog, name, days)
    return show_days(settings, state, requests.claims(name, days), now=now)


def look_at_days(settings: Settings, catalog: Catalog, name: str, days: Days) -> TableState:
    """What is published of these days; raises as ``read_calendar`` does."""
    table = catalog[name]
    inputs = catalog.all_inputs(table)
    return TableState.at(table, days, warehouse=settings.warehouse, inputs=inputs, raw=RawFiles.look_to_show(settings))


def show_days(settings: Settings, state: TableState, claims: Claims, *, now: datetime) -> Calendar:
    """The calendar of the days that were looked at, with what requests say of them."""
    expected = expected_days(settings, state.table, now=now)
    days: dict[date, CalendarDay] = {}
    for day in state.days:
        days[day] = _show_day(state, claims, day, is_expected=day in expected)
    awaited = Days.of(day for day, each in days.items() if not each.cell.published.is_there)
    late = find_late_days(awaited & expected, state.table.settings.due, now=now, time_zone=settings.time_zone)
    for day in late:
        days[day] = replace(days[day], is_late=True)
    return Calendar(state.table, days)


def expected_days(settings: Settings, table: Table, *, now: datetime) -> Days:
    """The days whose raw files somebody looks out for without being asked: by the clock, or as files arrive."""
    if not (table.settings.daily or table.settings.on_arrival is True):
        return Days()
    return days_to_look_at(table, today=settings.day_of(now) - timedelta(days=1))


def find_shown_days(settings: Settings, table: Table, *, now: datetime, asked: Days) -> Days:
    """The days that a calendar of the whole table shows: from its first day to the last that it should have.

    That is yesterday where it is loaded daily, and in any case the last day that is published or ``asked`` for.
    """
    folder = folder_of(settings.warehouse, table)
    known: set[date] = set()
    for name, entry in state_of(folder).read_all().entries.items():
        if entry.version or (folder.keys and entry.making):
            known.add(name.day)
    return find_span(settings, table, Days.of(known) | folder.days(), now=now, asked=asked)


def find_span(settings: Settings, table: Table, loaded: Days, *, now: datetime, asked: Days) -> Days:
    """The same where it is known which days were loaded once, and not taken back."""
    lasts = [days.ranges[-1].last for days in (loaded, asked) if days]
    if table.settings.daily:
        lasts.append(settings.day_of(now) - timedelta(days=1))
    first = table.settings.first_day
    return Days.between(first, max(lasts)) if lasts and max(lasts) >= first else Days()


def _sum_up_day(state: TableState, day: date, parts: Mapping[PartitionName, Published]) -> Published:
    """What is published of a day of a table as a whole, whose partitions are these."""
    making = state.making_of_day(day)
    made_at = making.made_at if making else None
    if not state.folder.keys:
        return parts[state.folder.day_name(day)] if parts else Published(why=state.why(day))
    is_there = bool(parts) or making is not None
    rows = [part.rows for part in parts.values() if part.rows is not None]
    return Published(
        is_there=is_there,
        why=state.why(day),
        rows=sum(rows) if is_there and len(rows) == len(parts) else None,
        bytes=sum(part.bytes or 0 for part in parts.values()) if is_there else None,
        changed_at=max((part.changed_at for part in parts.values() if part.changed_at), default=made_at),
        made_at=made_at,
    )


def _look_at_partition(state: TableState, name: PartitionName) -> Published:
    """What is published of one partition."""
    entry = state.entry(name)
    is_known = state.is_known(name)
    file = state.file(name)
    if file is None:
        return Published(is_there=False, why=state.why_partition(name))
    return Published(
        is_there=True,
        why=state.why_partition(name),
        rows=entry.rows if entry and is_known else None,
        bytes=file.size,
        changed_at=file.modified_at,
        made_at=entry.making.made_at if entry and entry.making and is_known else None,
    )


def _show_day(state: TableState, claims: Claims, day: date, *, is_expected: bool) -> CalendarDay:
    parts = {name: _look_at_partition(state, name) for name in state.names_of(day)}
    published = _sum_up_day(state, day, parts)

    def day_made_at(claim: Claim) -> datetime | None:
        if claim.partition_filter.is_whole:
            return published.made_at
        times = [part.made_at for name, part in parts.items() if part.made_at and claim.concerns(name)]
        return max(times, default=None)

    cell = _show(published, claims.find(state.folder.day_name(day), made_at=day_made_at))
    if cell.state == "missing" and is_expected and (why_waiting := state.raw_files.why_waiting(day)):
        cell = Cell("waiting", why_waiting, published)
    partitions: dict[PartitionName, Cell] = {}
    for name, part in parts.items() if state.folder.keys else ():
        partitions[name] = _show(part, claims.find(name, made_at=partial(_made_at, part)))
    return CalendarDay(day, cell, partitions=partitions)


def _made_at(part: Published, _claim: Claim) -> datetime | None:
    return part.made_at


def _show(published: Published, claim: Claim | None) -> Cell:
    """What is shown of a day or partition of which a request says something, or none does."""
    if claim:
        return Cell(claim.kind, claim.why, published, claim.request)
    return Cell(published.state, published.why, published)
