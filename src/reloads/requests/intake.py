"""Intake: how the drop folder, the clock and the forms become accepted requests, and which of them to announce."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from reloads.days import Days, parse_day
from reloads.outcome import Failure, Outcome
from reloads.requests.drop_folder import ProcessedFiles, process_files
from reloads.requests.queue import Queue
from reloads.requests.record import Record, new_record
from reloads.requests.request import ReloadRequest, check_request, parse_request
from reloads.requests.watermark import read_watermark, write_watermark
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

LOOKS = 3
"""How often one wake-up looks at files that may be incomplete; what is still being written then waits for the next."""


@dataclass(frozen=True)
class Intake:
    """The result of one wake-up: the files processed, and the requests to announce to the consumers."""

    files: ProcessedFiles
    announce: tuple[Record, ...]


def collect_requests(settings: Settings, catalog: Catalog, *, now: datetime, accepted: list[Record]) -> Intake:
    """Process all request files, and collect what to announce: ``accepted``, the files' requests, the neglected ones.

    A neglected request of a table that no longer exists fails, because no consumer is left to do it.
    """
    queue = Queue(settings.landing)
    files = _process_files(settings, queue, catalog, now)
    announce = [*accepted, *files.accepted]
    announced_ids = {record.id for record in announce}
    neglected: list[Record] = []
    for record in queue.neglected(now=now, after=timedelta(seconds=settings.rescan_seconds)):
        if catalog.has(record.table):
            neglected.append(record)
        else:
            _fail_orphan(queue, record, now)
    queue.attend(neglected)
    announce += [record for record in neglected if record.id not in announced_ids]
    return Intake(files, tuple(announce))


def _fail_orphan(queue: Queue, record: Record, now: datetime) -> None:
    error = f"the table '{record.table}' no longer exists; ask for another"
    outcome = Outcome(failed=(Failure(days=record.outstanding, error=error),))
    queue.settle(record.id, outcome, run="intake", now=now)


def _process_files(settings: Settings, queue: Queue, catalog: Catalog, now: datetime) -> ProcessedFiles:
    """Process the files, and once more those that may be incomplete, so that a bad one is rejected by this wake-up."""
    files = ProcessedFiles()
    for look in range(LOOKS):
        if look > 0:
            time.sleep(settings.stable_seconds)
        look_files = process_files(
            queue,
            catalog=catalog,
            now=now + timedelta(seconds=look * settings.stable_seconds),
            today=settings.day_of(now),
            stable_seconds=settings.stable_seconds,
        )
        files.accepted += look_files.accepted
        files.rejected |= look_files.rejected
        files.waiting = look_files.waiting
        files.may_complete = look_files.may_complete
        if not files.may_complete:
            break
    return files


def request_daily(settings: Settings, catalog: Catalog, *, at: datetime, now: datetime, origin: str) -> list[Record]:
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
            request = ReloadRequest(table=table.name, start_date=days.ranges[0].first, end_date=yesterday)
            record = new_record(request, table.name, mode="daily", origin=origin, now=now)
            if _is_open_after_adding(queue, record):
                records.append(record)
            # An old run that is cleared does not take the watermark back.
            watermark = max(last_requested or yesterday, yesterday)
            write_watermark(settings.landing, "daily", table.name, str(watermark))
    return records


def request_by_hand(
    settings: Settings, catalog: Catalog, fields: Mapping[str, Any], *, now: datetime, origin: str
) -> list[Record]:
    """Request what a form says: its empty fields are left out. Raises ``RequestError``."""
    queue = Queue(settings.landing)
    request = parse_request({name: value for name, value in fields.items() if value not in (None, "", [], {})})
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
