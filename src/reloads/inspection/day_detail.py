"""One day of a table, whole: of each partition who wrote it, when and from what, its versions, and who waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from reloads.days import Days
from reloads.inspection.calendar import CalendarDay, Cell, look_at_days, show_days
from reloads.inspection.claims import RequestLook
from reloads.inspection.versions import ReadCommit, Version, versions
from reloads.planning.staleness import TableState
from reloads.raw_file import RawFile
from reloads.requests.record_cache import RecordCache
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.partition_name import PartitionName


@dataclass(frozen=True)
class PartitionDetail:
    """One published partition."""

    name: PartitionName
    cell: Cell
    requests: tuple[str, ...]
    """Those that its content was written for; none where the commit is not kept."""
    run: str
    """The run that wrote its content; empty where nobody knows."""
    batch: int | None
    """The number of the batch in that run."""
    inputs: Mapping[str, Point]
    """How far the log of each input had come when it was read last."""
    files: Mapping[str, RawFile]
    """The raw files that were read."""
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Attempt:
    """The last attempt to rewrite the day, which failed or which a check refused."""

    request: str
    error: str
    at: datetime


@dataclass(frozen=True)
class DayDetail:
    """One day of a table."""

    day: CalendarDay
    partitions: tuple[PartitionDetail, ...]
    versions: tuple[Version, ...]
    open_requests: tuple[str, ...]
    failure: Attempt | None


def read_day(
    settings: Settings, catalog: Catalog, table: str, day: date, *, now: datetime, records: RecordCache | None = None
) -> DayDetail:
    """What there is to know of one day; raises as ``read_calendar`` does."""
    days = Days.of([day])
    requests = RequestLook.read(settings.landing, now=now, table=table, cache=records)
    claims = requests.claims(table, days)
    state = look_at_days(settings, catalog, table, days)
    calendar_day = show_days(settings, state, claims, now=now).days[day]
    cells = calendar_day.partitions or {state.folder.day_name(day): calendar_day.cell}
    read_commit = cache(state_of(state.folder).log.read)
    partitions: list[PartitionDetail] = []
    for name, cell in cells.items():
        if cell.published.is_there and (name.keys == state.folder.keys):
            partitions.append(_describe(state, read_commit, name, cell))
    failed = [claim for claim in claims.of_day(day) if claim.kind in ("refused", "failed")]
    made_at = calendar_day.cell.published.made_at
    attempts = [Attempt(claim.request, claim.why, claim.at) for claim in failed if not made_at or claim.at > made_at]
    return DayDetail(
        day=calendar_day,
        partitions=tuple(partitions),
        versions=tuple(versions(settings, catalog[table], day=day)),
        open_requests=tuple(record.id for record in requests.accepted.get(table, ()) if day in record.outstanding),
        failure=attempts[0] if attempts else None,
    )


def _describe(state: TableState, read_commit: ReadCommit, name: PartitionName, cell: Cell) -> PartitionDetail:
    entry = state.entry(name) if state.is_known(name) else None
    making = entry.making if entry else None
    commit = read_commit(entry.origin) if entry else None
    requests = [request for request in commit.requests if commit.serves(request, name)] if commit else []
    return PartitionDetail(
        name=name,
        cell=cell,
        requests=tuple(requests),
        run=commit.run if commit else making.run if making else "",
        batch=commit.batch if commit else None,
        inputs=making.inputs if making else {},
        files=making.files if making else {},
        parameters=making.parameters if making else {},
    )
