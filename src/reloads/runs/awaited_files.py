"""Awaited files: which days wait for raw files, as the doorbell is told, and which are given up because none came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime

from reloads.days import Days
from reloads.outcome import Failure, Outcome
from reloads.planning.selection import find_waiting
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.watermark import remove_watermark, write_watermark
from reloads.settings import Settings
from reloads.tables.arrival_settings import end_of_day, parse_span
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import input_days
from reloads.tables.raw_files import RawFiles


def give_up_waiting(settings: Settings, catalog: Catalog, table: Table, *, raw: RawFiles, now: datetime) -> None:
    """Fail the days whose raw files did not come within ``give_up_after`` of the request, or of the end of the day."""
    if not table.file_sources:
        return
    queue = Queue(settings.landing)
    patience = parse_span(table.settings.give_up_after)
    records = queue.accepted(table.name)
    waiting = find_waiting(records, catalog, raw=raw)
    outcomes: dict[str, Outcome] = {}
    for record in records:
        failures: dict[str, list[date]] = {}
        for day in waiting.get(record.id, Days()):
            look = raw.of_day(table, day)
            since = max(record.accepted_at, end_of_day(day, time_zone=settings.time_zone))
            if now - since >= patience and not look.is_young:
                error = (
                    f"no raw files within {table.settings.give_up_after}: {look.missing}; ask again once they are there"
                )
                failures.setdefault(error, []).append(day)
        if failures:
            failed = tuple(Failure(days=Days.of(days), error=error) for error, days in failures.items())
            outcomes[record.id] = Outcome(failed=failed)
    if outcomes:
        queue.settle_all(outcomes, run="plan", now=now)


def note_awaited_files(settings: Settings, table: Table, records: Sequence[Record], *, raw: RawFiles) -> None:
    """Leave word for the doorbell which days of which sources are waited for; it rings when a file of them comes."""
    if not table.file_sources:
        return
    days = Days.union(record.waiting_days & record.outstanding for record in records)
    awaited: dict[str, list[str]] = {}
    for name, window in table.file_windows.items():
        source_days = [day for day in input_days(days, window) if raw.of_source(table.file_sources[name], day).missing]
        if source_days:
            awaited[name] = Days.of(source_days).texts()
    if awaited:
        write_watermark(settings.landing, "waiting", table.name, json.dumps(awaited))
    else:
        remove_watermark(settings.landing, "waiting", table.name)
