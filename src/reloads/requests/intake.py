"""Intake: how the drop folder, the clock and the forms become accepted requests, and which of them to announce."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from reloads.days import Days, parse_day
from reloads.errors import RequestError, TableError
from reloads.locks import file_lock
from reloads.outcome import Failure, Outcome
from reloads.requests.acceptance import ProcessedFiles, process_files
from reloads.requests.announcement import Announcement, announce
from reloads.requests.conversion import new_record
from reloads.requests.form import find_filled_in, read_form
from reloads.requests.neglect import attend, find_neglected
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.request import Only, ReloadRequest, check_request, parse_request
from reloads.requests.untold import attend_untold, find_untold
from reloads.requests.watermark import read_watermark, remove_watermark, write_watermark
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.lineage import Lineage

MISSING_FOR = timedelta(minutes=10)
"""How long the folder of a table is missing before its requests fail: a deployment may remove it for a moment."""


LeaveOut = Callable[[Sequence[Record], Lineage], list[Record]]
"""Leaves out of the accepted requests those that somebody else announces; planning knows who waits for whom."""


class Ask(Protocol):
    """Accepts what the clock or a form asks for, as of that time."""

    def __call__(self, *, now: datetime) -> list[Record]:
        """The requests accepted."""


@dataclass(frozen=True)
class Intake:
    """The result of one wake-up: what to announce to the consumers, and what was not accepted."""

    announce: tuple[Announcement, ...]
    """One for each table."""
    refusals: tuple[str, ...] = ()
    """A sentence for each file rejected, and for a form that cannot be accepted."""
    files: ProcessedFiles = field(default_factory=ProcessedFiles)
    untold: tuple[str, ...] = ()
    """Tables that are not announced, and whose DAG is to run because Airflow is to be told what was published."""


def collect_requests(
    settings: Settings,
    catalog: Catalog,
    *,
    clock: Callable[[], datetime],
    leave_out: LeaveOut,
    ask: Ask | None = None,
    asked_at: datetime | None = None,
) -> Intake:
    """Accept what the files, and ``ask``, ask for, and collect what to announce: these and the neglected requests.

    All are accepted in the order in which they were asked for: files older than ``asked_at`` come before ``ask``. One
    process at a time does this, and reads the ``clock`` when it is its turn. What ``leave_out`` leaves out is accepted
    and not announced. A neglected request of a table that no longer exists fails, because no consumer is left to do it.
    """
    settings.require_landing()
    queue = Queue(settings.landing)
    with file_lock(settings.landing / ".intake.lock"):
        # Not before: who waited for another look would accept with an earlier time what was dropped later.
        now = clock()
        accepted: list[Record] = []
        refusals: list[str] = []
        if ask:
            accepted += _process_files(settings, queue, catalog, now, refusals, arrived_before=asked_at).accepted
            now += timedelta(microseconds=len(accepted))
            try:
                accepted += ask(now=now)
            except (RequestError, TableError) as error:
                # Whoever filled in the form is there and asks again; the files must not wait for that.
                refusals.append(str(error))
            now += timedelta(microseconds=1)
        files = _process_files(settings, queue, catalog, now, refusals)
        accepted += files.accepted
        neglected = _collect_neglected(settings, queue, catalog, accepted, now)
        announcements = announce([*leave_out(accepted, catalog.lineage), *neglected])
        announced = {announcement.table for announcement in announcements}
        untold = [name for name in find_untold(queue.landing, now=now) if catalog.is_loadable(name)]
        for name in untold:
            attend_untold(queue.landing, name)
        rest = tuple(name for name in untold if name not in announced)
        return Intake(tuple(announcements), tuple(refusals), files, rest)


def _process_files(
    settings: Settings,
    queue: Queue,
    catalog: Catalog,
    now: datetime,
    refusals: list[str],
    *,
    arrived_before: datetime | None = None,
) -> ProcessedFiles:
    files = process_files(
        queue,
        catalog=catalog,
        now=now,
        today=settings.day_of(now),
        stable_seconds=settings.stable_seconds,
        arrived_before=arrived_before,
    )
    refusals += files.rejected.values()
    return files


def _collect_neglected(
    settings: Settings, queue: Queue, catalog: Catalog, accepted: list[Record], now: datetime
) -> list[Record]:
    """The neglected requests of tables that can be loaded; those of a broken table stay neglected until it is mended.

    A request of a table whose folder has been missing for a while fails.
    """
    announced_ids = {record.id for record in accepted}
    neglected: list[Record] = []
    for record in find_neglected(queue, now=now, after=timedelta(seconds=settings.rescan_seconds)):
        if record.id in announced_ids:
            continue
        if not catalog.has(record.table):
            if _is_missing_for_long(settings, record.table, now):
                _fail_orphan(queue, record, now)
        elif catalog.is_loadable(record.table):
            neglected.append(record)
    for name in catalog.tables:
        remove_watermark(settings.landing, "missing", name)
    attend(queue, neglected)
    return neglected


def _is_missing_for_long(settings: Settings, table: str, now: datetime) -> bool:
    since = read_watermark(settings.landing, "missing", table, datetime.fromisoformat)
    if since is None or since > now:
        write_watermark(settings.landing, "missing", table, now.isoformat())
        return False
    return now - since >= MISSING_FOR


def _fail_orphan(queue: Queue, record: Record, now: datetime) -> None:
    error = f"the table '{record.table}' no longer exists; ask for another"
    outcome = Outcome(failed=(Failure(days=record.outstanding, error=error),))
    queue.settle(record.id, outcome, run="intake", now=now)


def request_by_form(
    settings: Settings,
    catalog: Catalog,
    form: Mapping[str, Any],
    *,
    at: datetime,
    now: datetime,
    origin: str,
    requested_by: str | None = None,
) -> list[Record]:
    """Request what a form asks for: its days or, where nothing is filled in, what the clock does at that time.

    Raises ``RequestError``.
    """
    fields = read_form(form)
    if fields is None:
        return request_daily(settings, catalog, at=at, now=now, origin=origin, requested_by=requested_by)
    return request_by_hand(settings, catalog, fields, now=now, origin=origin, requested_by=requested_by)


def request_daily(
    settings: Settings,
    catalog: Catalog,
    *,
    at: datetime,
    now: datetime,
    origin: str,
    requested_by: str | None = None,
) -> list[Record]:
    """Request the day before ``at`` of every daily table, and the days missed since its last daily request."""
    queue = Queue(settings.landing)
    yesterday = settings.day_of(at) - timedelta(days=1)
    records: list[Record] = []
    for table in catalog.tables.values():
        if not table.settings.daily:
            continue
        last_requested = read_watermark(settings.landing, "daily", table.name, parse_day)
        days = find_due_days(
            yesterday=yesterday,
            last_requested=last_requested,
            first_day=table.settings.first_day,
            at_most=settings.catch_up_days,
            look_back=table.settings.look_back,
        )
        if days:
            # Of what is loaded from known files it is known whether it is current; any other table is loaded again.
            only: Only = "stale" if table.file_sources and not table.has_other_sources else "all"
            first = days.ranges[0].first
            request = ReloadRequest(
                table=table.name, start_date=first, end_date=yesterday, only=only, requested_by=requested_by
            )
            record = new_record(request, table.name, mode="daily", origin=origin, now=now)
            if _is_open_after_adding(queue, record):
                records.append(record)
            # An old run that is cleared does not take the watermark back.
            watermark = max(last_requested or yesterday, yesterday)
            write_watermark(settings.landing, "daily", table.name, str(watermark))
    return records


def request_by_hand(
    settings: Settings,
    catalog: Catalog,
    fields: Mapping[str, Any],
    *,
    now: datetime,
    origin: str,
    requested_by: str | None = None,
) -> list[Record]:
    """Request what a form says: its empty fields are left out. Raises ``RequestError``.

    Who asks is ``requested_by`` where that is known, whatever the form says.
    """
    queue = Queue(settings.landing)
    filled_in = find_filled_in(fields)
    request = parse_request(filled_in | ({"requested_by": requested_by} if requested_by else {}))
    check_request(request, catalog=catalog, today=settings.day_of(now))
    records: list[Record] = []
    for table in request.tables:
        record = new_record(request, table, mode="manual", origin=origin, now=now)
        if _is_open_after_adding(queue, record):
            records.append(record)
    return records


def _is_open_after_adding(queue: Queue, record: Record) -> bool:
    """Add the record. If an earlier try of the same run added it, it is announced again unless it has ended."""
    if queue.add(record):
        return True
    location = queue.find(record.id)
    return location is not None and location.state == "accepted"


def find_due_days(
    *, yesterday: date, last_requested: date | None, first_day: date, at_most: int, look_back: int = 0
) -> Days:
    """The days to load now: yesterday, and each day since ``last_requested``, on which nothing ran.

    The ``look_back`` days before them are due again, for rows that came late.

    ``last_requested`` is the newest day of the last daily request, None before the first. After a long gap the newest
    ``at_most`` days are due; older ones are a reload that somebody asks for.
    """
    first = yesterday
    if last_requested is not None:
        first = min(last_requested + timedelta(days=1), yesterday)
    first = max(first, yesterday - timedelta(days=at_most - 1))
    first = max(first - timedelta(days=look_back), first_day)
    return Days.between(first, yesterday) if first <= yesterday else Days()
