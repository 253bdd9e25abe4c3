"""Intake: the one step of the upstream DAG. Whoever asks, what comes out are accepted requests to announce."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from reloads.days import Days, parse_day
from reloads.outcome import Failure, Outcome
from reloads.requests.drop_folder import TakenFiles, take_files
from reloads.requests.queue import Queue
from reloads.requests.record import Record, new_record
from reloads.requests.request import ReloadRequest, check_request, parse_request
from reloads.requests.watermark import read_watermark, write_watermark
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

LOOKS = 3


@dataclass(frozen=True)
class Intake:
    """What one wake-up came to: the files taken, and the requests that consumers are to be told of."""

    files: TakenFiles
    announce: tuple[Record, ...]


def take_requests(settings: Settings, *, now: datetime, asked: list[Record]) -> Intake:
    """Take all request files, and collect what is to be announced: ``asked``, the new, and whatever was neglected.

    A neglected request of a table that no longer exists fails: nobody is left to do it.
    """
    queue, catalog = Queue(settings.landing), Catalog.load(settings.tables)
    files = _take_files(settings, queue, catalog, now)
    new = [*asked, *files.accepted]
    known = {record.id for record in new}
    neglected = queue.neglected(now=now, after=timedelta(seconds=settings.rescan_seconds))
    for orphan in (record for record in neglected if not catalog.has(record.table)):
        gone = Failure(days=orphan.outstanding, error=f"the table '{orphan.table}' no longer exists; ask for another")
        queue.settle(orphan.id, Outcome(failed=(gone,)), run="intake", now=now)
    alive = [record for record in neglected if catalog.has(record.table)]
    queue.attend(alive)
    return Intake(files, (*new, *(record for record in alive if record.id not in known)))


def _take_files(settings: Settings, queue: Queue, catalog: Catalog, now: datetime) -> TakenFiles:
    """Take the files, and once more those that may still have been being written: a bad one is told at once then."""
    taken = TakenFiles()
    rest = settings.stable_seconds
    for look in range(LOOKS):
        more = take_files(
            queue,
            catalog=catalog,
            now=now + timedelta(seconds=look * rest),
            today=settings.day_of(now),
            stable_seconds=rest,
        )
        taken = TakenFiles(taken.accepted + more.accepted, taken.rejected | more.rejected, more.waiting, more.settling)
        if not taken.settling or look + 1 == LOOKS:
            break
        time.sleep(rest)
    return taken


def request_daily(settings: Settings, *, at: datetime, now: datetime, origin: str) -> list[Record]:
    """Request the day before ``at`` of every daily table, and the days missed since its last daily request."""
    queue = Queue(settings.landing)
    yesterday = settings.day_of(at) - timedelta(days=1)
    asked = []
    for table in Catalog.load(settings.tables).tables.values():
        if not table.settings.daily:
            continue
        last = read_watermark(settings.landing, "daily", table.name, parse_day)
        days = due_days(
            yesterday=yesterday,
            last=last,
            first_day=table.settings.first_day,
            at_most=settings.catch_up_days,
            look_back=table.settings.look_back,
        )
        if days:
            request = ReloadRequest(table=table.name, start_date=days.ranges[0].first, end_date=yesterday)
            record = new_record(request, table.name, mode="daily", origin=origin, now=now)
            asked += [record] if queue.add(record) else _still_open(queue, record)
            write_watermark(settings.landing, "daily", table.name, str(max(last or yesterday, yesterday)))
    return asked


def request_by_hand(settings: Settings, fields: Mapping[str, Any], *, now: datetime, origin: str) -> list[Record]:
    """Request what a form says: its empty fields are left out. Raises ``RequestError``."""
    queue = Queue(settings.landing)
    request = parse_request({name: value for name, value in fields.items() if value not in (None, "", [], {})})
    check_request(request, catalog=Catalog.load(settings.tables), today=settings.day_of(now))
    records = [new_record(request, table, mode="manual", origin=origin, now=now) for table in request.tables]
    return [record for new in records for record in ([new] if queue.add(new) else _still_open(queue, new))]


def _still_open(queue: Queue, record: Record) -> list[Record]:
    """A request of an earlier try of the same run: announced again unless it has ended."""
    found = queue.find(record.id)
    return [record] if found and found[0] == "accepted" else []


def due_days(*, yesterday: date, last: date | None, first_day: date, at_most: int, look_back: int = 0) -> Days:
    """The days to load now: yesterday, and each day since ``last`` that nobody asked for while nothing ran.

    ``look_back`` so many days before them are due again, for rows that came late.

    ``last`` is the day of the last daily request, None before the first. Of a long gap the newest ``at_most`` days are
    due; older ones are a reload that somebody asks for.
    """
    first = yesterday if last is None else min(last + timedelta(days=1), yesterday)
    first = max(first, yesterday - timedelta(days=at_most - 1))
    first = max(first - timedelta(days=look_back), first_day)
    return Days.between(first, yesterday) if first <= yesterday else Days()
