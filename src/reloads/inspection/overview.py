"""All tables at one look: how many days of each are in which state, and how large it is.

What is published of a day is looked at once, and again when a commit of the table or of one of its inputs may have
changed it, or the table's definition changed. What requests and raw files say is looked at each time. A file that
somebody puts into a folder, or takes from it, is noticed after ten minutes at the latest; a calendar of the table
notices it at once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple

from reloads.days import Days
from reloads.errors import TableError
from reloads.inspection.calendar import (
    STATES,
    CalendarDay,
    DayState,
    expected_days,
    find_shown_days,
    find_span,
    look_at_days,
    show_days,
)
from reloads.inspection.claims import Claims, RequestLook
from reloads.requests.record_cache import RecordCache
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import dependent_days
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.partitions import folder_of

LOOK_AGAIN_AFTER = timedelta(minutes=10)
MOST_PIECES = 200
"""Of a table's state: sixteen years of one without keys, 0.2 s; else so many days."""


@dataclass(frozen=True)
class TableSummary:
    """One table at one look."""

    table: Table
    days: Days
    """From its first day to the last that it should have."""
    counts: Mapping[DayState, int]
    published: Days
    gaps: int
    """Days between the first and the last published one that are not published."""
    rows: int
    bytes: int
    last_change: datetime | None
    open_requests: int
    failed_requests: int
    """Those whose days were not made since."""


class _Day(NamedTuple):
    """What is kept of a day: 182,000 of them, of 50 tables in ten years."""

    state: DayState
    is_there: bool
    is_loaded: bool
    rows: int
    bytes: int
    request: str | None

    @classmethod
    def of(cls, day: CalendarDay) -> _Day:
        published = day.cell.published
        return cls(
            day.cell.state,
            published.is_there,
            published.is_loaded,
            published.rows or 0,
            published.bytes or 0,
            day.cell.request,
        )


@dataclass
class _Sums:
    """The sums of some days."""

    counts: Counter[DayState] = field(default_factory=Counter)
    rows: int = 0
    bytes: int = 0
    published: Days = field(default_factory=Days)

    @classmethod
    def of(cls, days: Mapping[date, _Day]) -> _Sums:
        return cls(
            Counter(day.state for day in days.values()),
            sum(day.rows for day in days.values()),
            sum(day.bytes for day in days.values()),
            Days.of(day for day, each in days.items() if each.is_there),
        )

    def replace(self, before: _Sums, after: _Sums, days: Days) -> _Sums:
        """The sums once these days, whose sums were ``before``, are ``after``."""
        counts = Counter(self.counts)
        counts.subtract(before.counts)
        counts.update(after.counts)
        return _Sums(
            counts,
            self.rows - before.rows + after.rows,
            self.bytes - before.bytes + after.bytes,
            (self.published - days) | after.published,
        )


@dataclass
class _Look:
    """What was published of all days of a table when they were looked at."""

    version: str
    points: Mapping[str, Point]
    """How far the logs of the table and of its inputs had come."""
    looked_at: datetime
    days: dict[date, _Day] = field(default_factory=dict)
    known: Days = field(default_factory=Days)
    """The days that were looked at, as a set."""
    loaded: Days = field(default_factory=Days)
    sums: _Sums = field(default_factory=_Sums)

    def to_json(self) -> dict[str, Any]:
        """A value of a few bytes for each day."""
        return {
            "version": self.version,
            "points": {name: str(point) for name, point in self.points.items()},
            "looked_at": self.looked_at.isoformat(),
            "days": [[day.toordinal(), *each] for day, each in self.days.items()],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> _Look:
        """The inverse."""
        days = {date.fromordinal(ordinal): _Day(*each) for ordinal, *each in value["days"]}
        return cls(
            value["version"],
            {name: Point.parse(text) for name, text in value["points"].items()},
            datetime.fromisoformat(value["looked_at"]),
            days,
            Days.of(days),
            Days.of(day for day, each in days.items() if each.is_loaded),
            _Sums.of(days),
        )


@dataclass
class Overview:
    """The tables of one deployment. Several threads may ask."""

    settings: Settings
    records: RecordCache = field(default_factory=RecordCache)
    _looks: dict[str, _Look] = field(default_factory=dict)
    _locks: dict[str, Lock] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def summarize(
        self,
        catalog: Catalog,
        *,
        now: datetime,
        names: Collection[str] | None = None,
        patience: float | None = None,
    ) -> dict[str, TableSummary | None]:
        """A summary of each table that can be loaded, or of those of these names, by name.

        Who has ``patience`` for so many seconds gets None for a table that was never looked at, once they are over,
        while another thread looks at it, or where it has many partitions; and what is to be looked at again by the
        clock alone is left as it is. A call without patience, as a thread in the background makes it, does all that.
        """
        begun = monotonic()
        requests = RequestLook.read(self.settings.landing, now=now, cache=self.records)
        summaries: dict[str, TableSummary | None] = {}
        for name in catalog.tables if names is None else names:
            is_late = patience is not None and (monotonic() - begun > patience or self._is_large(catalog[name]))
            if is_late and not self._is_known(catalog[name]):
                summaries[name] = None
                continue
            oldest = now - LOOK_AGAIN_AFTER if patience is None else None
            with suppress(TableError):  # what it reads is broken
                summaries[name] = self._summarize(catalog, name, requests, now=now, oldest=oldest)
        return summaries

    def to_json(self) -> dict[str, Any]:
        """What was looked at so far, for another instance to begin with."""
        with self._lock:
            looks = dict(self._looks)
        return {name: look.to_json() for name, look in looks.items()}

    def stamp(self) -> object:
        """Changes with what ``to_json`` gives."""
        with self._lock:
            return {name: (look.version, look.points, look.looked_at, look.known) for name, look in self._looks.items()}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Begin with what an earlier instance had looked at; what does not hold any more is looked at again."""
        for name, value in values.items():
            with suppress(LookupError, TypeError, ValueError):  # of another release
                self._looks.setdefault(name, _Look.from_json(value))

    def _is_large(self, table: Table) -> bool:
        """Whether to look at all of it would keep an answer waiting."""
        pieces = state_of(folder_of(self.settings.warehouse, table)).folder
        try:
            return len(os.listdir(pieces)) > MOST_PIECES  # noqa: PTH208 - the names are only counted
        except OSError:
            return False

    def _is_known(self, table: Table) -> bool:
        look = self._looks.get(table.name)
        return look is not None and look.version == table.version

    def _summarize(
        self, catalog: Catalog, name: str, requests: RequestLook, *, now: datetime, oldest: datetime | None
    ) -> TableSummary | None:
        table = catalog[name]
        lock = self._locks.setdefault(name, Lock())
        if lock.acquire(blocking=oldest is not None):
            try:
                look, days = self._refresh(catalog, table, asked=requests.asked_days(name), now=now, oldest=oldest)
            finally:
                lock.release()
        elif self._is_known(table):
            look = self._looks[name]
            days = look.known
        else:
            return None
        sums, failed_requests = look.sums, set[str]()
        claims = requests.claims(name, days)
        fresh_days = (claims.days | expected_days(self.settings, table, now=now)) & days
        if fresh_days:
            state = look_at_days(self.settings, catalog, name, fresh_days)
            calendar = show_days(self.settings, state, claims, now=now)
            fresh = {day: _Day.of(each) for day, each in calendar.days.items()}
            before = {day: look.days[day] for day in fresh_days}
            sums = sums.replace(_Sums.of(before), _Sums.of(fresh), fresh_days)
            failed = [day for day in fresh.values() if day.state in ("refused", "failed")]
            failed_requests = {day.request for day in failed if day.request}
        head = state_of(folder_of(self.settings.warehouse, table)).read_head()
        published = sums.published
        span = len(Days.between(published.ranges[0].first, published.ranges[-1].last)) if published else 0
        return TableSummary(
            table=table,
            days=days,
            counts={state: sums.counts[state] for state in STATES},
            published=published,
            gaps=span - len(published),
            rows=sums.rows,
            bytes=sums.bytes,
            last_change=datetime.fromtimestamp(head.published_ns / 10**9, UTC) if head.published_ns else None,
            open_requests=len(requests.accepted.get(name, ())),
            failed_requests=len(failed_requests),
        )

    def _refresh(
        self, catalog: Catalog, table: Table, *, asked: Days, now: datetime, oldest: datetime | None
    ) -> tuple[_Look, Days]:
        """Look again at the days that may have changed, and at all where the last such look is before ``oldest``.

        Returns the look, and all days that are shown.
        """
        points = self._find_points(catalog, table)
        look = self._looks.get(table.name)
        changed: Days | None = None
        if look and look.version == table.version and (oldest is None or look.looked_at > oldest):
            changed = self._find_changed(catalog, table, look, points)
        if look is None or changed is None:
            look = _Look(table.version, points, now)
            changed = find_shown_days(self.settings, table, now=now, asked=asked)
        span = find_span(self.settings, table, look.loaded | changed, now=now, asked=asked)
        changed = (changed & span) | (span - look.known)
        fresh, loaded = dict[date, _Day](), look.loaded
        if changed:
            state = look_at_days(self.settings, catalog, table.name, changed)
            calendar = show_days(self.settings, state, Claims((), Days()), now=now)
            fresh = {day: _Day.of(each) for day, each in calendar.days.items()}
            loaded = (loaded - changed) | Days.of(day for day, each in fresh.items() if each.is_loaded)
        days = find_span(self.settings, table, loaded, now=now, asked=asked)
        if changed or days != look.known:
            kept = {day: each for day, each in (look.days | fresh).items() if day in days}
            look = replace(look, days=kept, known=days, loaded=loaded & days, sums=_Sums.of(kept))
        look.points = points
        with self._lock:
            self._looks[table.name] = look
        return look, days

    def _find_points(self, catalog: Catalog, table: Table) -> dict[str, Point]:
        points: dict[str, Point] = {}
        for name in (table.name, *table.inputs):
            folder = folder_of(self.settings.warehouse, catalog.definition(name))
            points[name] = state_of(folder).read_head().point
        return points

    def _find_changed(self, catalog: Catalog, table: Table, look: _Look, points: Mapping[str, Point]) -> Days | None:
        """The days that commits since the look may have changed; None where nobody can tell."""
        changed = Days()
        for name, point in points.items():
            known = look.points.get(name)
            if known == point:
                continue
            if known is None or known.log != point.log or known.number > point.number:
                return None
            log = state_of(folder_of(self.settings.warehouse, catalog.definition(name))).log
            numbers = range(known.number + 1, point.number + 1)
            for number in numbers:
                commit = log.read(number)
                if commit is None:
                    return None
                touched = Days.of(partition.day for partition in commit.after)
                changed |= touched if name == table.name else dependent_days(touched, table.inputs[name])
        return changed
