"""All tables at one look: how many days of each are in which state, and how large it is.

What is published of a day is looked at once, and again when a commit of the table or of one of its inputs may have
changed it, or the table's definition changed. What requests and raw files say is looked at each time; what raw files in
an object store say, as often as the doorbell does. A file that somebody puts into a folder, or takes from it, is
noticed after ten minutes at the latest; a calendar of the table notices it at once. A look asks an object store once
for the log of each table, however many tables read it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any

from reloads.days import Days
from reloads.errors import TableError
from reloads.inspection.calendar import (
    STATES,
    DayState,
    expected_days,
    find_shown_days,
    find_span,
    look_at_days,
    show_days,
)
from reloads.inspection.claims import Claims, RequestLook
from reloads.inspection.table_look import DaySums, KeptDay, TableLook
from reloads.requests.record_cache import RecordCache
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import dependent_days
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.commit_log import ask_each_log_once
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


@dataclass
class Overview:
    """The tables of one deployment. Several threads may ask."""

    settings: Settings
    records: RecordCache = field(default_factory=RecordCache)
    _looks: dict[str, TableLook] = field(default_factory=dict)
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
        with ask_each_log_once():
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
                self._looks.setdefault(name, TableLook.from_json(value))

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
            fresh = {day: KeptDay.of(each) for day, each in calendar.days.items()}
            before = {day: look.days[day] for day in fresh_days}
            sums = sums.replace(DaySums.of(before), DaySums.of(fresh), fresh_days)
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
    ) -> tuple[TableLook, Days]:
        """Look again at the days that may have changed, and at all where the last such look is before ``oldest``.

        Returns the look, and all days that are shown.
        """
        points = self._find_points(catalog, table)
        look = self._looks.get(table.name)
        changed: Days | None = None
        if look and look.version == table.version and (oldest is None or look.looked_at > oldest):
            changed = self._find_changed(catalog, table, look, points)
        if look is None or changed is None:
            look = TableLook(table.version, points, now)
            changed = find_shown_days(self.settings, table, now=now, asked=asked)
        span = find_span(self.settings, table, look.loaded | changed, now=now, asked=asked)
        changed = (changed & span) | (span - look.known)
        fresh, loaded = dict[date, KeptDay](), look.loaded
        if changed:
            state = look_at_days(self.settings, catalog, table.name, changed)
            calendar = show_days(self.settings, state, Claims((), Days()), now=now)
            fresh = {day: KeptDay.of(each) for day, each in calendar.days.items()}
            loaded = (loaded - changed) | Days.of(day for day, each in fresh.items() if each.is_loaded)
        days = find_span(self.settings, table, loaded, now=now, asked=asked)
        if changed or days != look.known:
            kept = {day: each for day, each in (look.days | fresh).items() if day in days}
            look = replace(look, days=kept, known=days, loaded=loaded & days, sums=DaySums.of(kept))
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

    def _find_changed(
        self, catalog: Catalog, table: Table, look: TableLook, points: Mapping[str, Point]
    ) -> Days | None:
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
