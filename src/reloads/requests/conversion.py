"""From a request to its record, and from a record that was put back to the request that it repeats."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reloads.days import Days
from reloads.errors import RequestError
from reloads.requests.record import Mode, Record
from reloads.requests.record_id import make_record_id
from reloads.requests.request import ReloadRequest

COPIED_FIELDS = ("reason", "requested_by", "keys", "only", "cascade", "parameters", "keep_parameters")
"""The fields that a record copies from its request."""


def new_record(
    request: ReloadRequest,
    table: str,
    *,
    mode: Mode,
    origin: str,
    now: datetime,
    file: str | None = None,
    dropped: dict[str, Any] | None = None,
) -> Record:
    """The record of ``request`` for one of its tables; of a dropped file with its name and its fields.

    ``origin`` identifies the act of asking (this file dropped at that moment, this run, this event): the id is derived
    from it, so that taking the same act twice after a crash makes the same record and not a second one.
    """
    return Record(
        id=make_record_id(table, mode=mode, origin=origin, file=file),
        mode=mode,
        table=table,
        days=request.days,
        accepted_at=now,
        file=file,
        dropped=dropped,
        **{name: getattr(request, name) for name in COPIED_FIELDS},
    )


def record_put_back(fields: Mapping[str, Any]) -> Record | None:
    """The record in a file that was put into the drop folder; None where ``fields`` is not a record."""
    return Record.model_validate(fields) if {"id", "mode", "accepted_at", "days"} <= fields.keys() else None


def request_from_record(record: Record) -> dict[str, Any]:
    """The request that a record repeats which was put back into the drop folder.

    A done record asks for all of its days again, a failed or cancelled one for those that are missing. Raises
    ``RequestError`` for the record of an undo, which no reload repeats.
    """
    if record.mode == "undo":
        raise RequestError(f"the record is of an undo ({record.reason}); undo again with: reloads undo ID")
    days = _find_days_to_repeat(record)
    if not days:
        raise RequestError("the record asks for no days; write a request with a start_date")
    first, last = days.ranges[0].first, days.ranges[-1].last
    request: dict[str, Any] = {
        "table": record.table,
        "start_date": str(first),
        "end_date": str(last),
        # As ranges: a few days may lie ten thousand years apart.
        "exclude_dates": Days.between(first, last) - days,
    }
    for name in COPIED_FIELDS:
        request[name] = getattr(record, name)
    if record.is_follow_up:
        # Its `only` chose among its days by what had changed at the time; asking again means these days.
        request |= {"only": "all", "keep_parameters": True}
    elif record.mode == "daily":
        request["only"] = "all"
    return request


def without_progress(record: Record) -> Record:
    """The record as if it had just been accepted, asking only for the days that it would ask for if it was put back."""
    kept = ("id", "mode", "table", "accepted_at", "file", "cause", *COPIED_FIELDS)
    return Record(days=_find_days_to_repeat(record), **{name: getattr(record, name) for name in kept})


def _find_days_to_repeat(record: Record) -> Days:
    if record.failed or record.cancelled:
        return record.days - record.fulfilled - record.skipped_days
    return record.days
