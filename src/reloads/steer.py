"""Steering requests that are under way or ended: cancel, retry, undo."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from reloads.carry import carry_on
from reloads.errors import OperatorError, RequestError
from reloads.files import free_name, write_whole
from reloads.history import FOLDER, History
from reloads.queue import Queue, read_record
from reloads.record import Record, asked_again
from reloads.settings import Settings
from reloads.staging import is_in_use
from reloads.undo import undo_request

log = logging.getLogger(__name__)

KNOCK = ".knock"
"""A file in the drop folder: whoever writes it wants the doorbell to look at the requests that wait, now."""


def find_records(queue: Queue, wanted: str) -> list[Record]:
    """The records of that id, or of the dropped file of that name; raises ``RequestError`` if there are none."""
    found = [
        record
        for state in ("accepted", "done", "failed", "cancelled")
        for record in queue.records(state)
        if wanted in (record.id, record.file)
    ]
    if not found:
        raise RequestError(f"{wanted!r} is no request; reloads status lists them")
    return found


def cancel_request(queue: Queue, wanted: str, *, now: datetime) -> list[Record]:
    """Give up what is outstanding: batches that run are finished, the rest is not begun."""
    found = find_records(queue, wanted)
    cancelled = [record for one in found if (record := queue.cancel(one.id, now=now))]
    if not cancelled:
        state = queue.find(found[0].id)
        raise RequestError(
            f"{wanted!r} has ended already ({state[0] if state else 'gone'}); undo puts back what it did"
        )
    return cancelled


def retry_request(queue: Queue, wanted: str) -> list[str]:
    """Ask again for what is missing from a failed or cancelled request; returns the names of the files dropped."""
    dropped = []
    for record in find_records(queue, wanted):
        found = queue.find(record.id)
        if found is None or found[0] not in ("failed", "cancelled"):
            continue
        fields = asked_again(json.loads(read_record(found[1]).to_json()))
        name = f"{free_name(queue.landing, f'retry-{record.id}', endings=('.json',))}.json"
        write_whole(queue.landing / name, json.dumps(fields, indent=2) + "\n")
        dropped.append(name)
    if not dropped:
        raise RequestError(f"{wanted!r} neither failed nor was cancelled; ask for its days with: reloads request")
    return dropped


def undo(
    settings: Settings,
    wanted: str,
    *,
    force: bool,
    now: datetime,
    by: str | None = None,
    is_announced: bool = True,
    say: Callable[[str], object] = log.warning,
) -> list[Record]:
    """Put back what a request replaced; returns the records of the undo, one for each table.

    A table of which nothing can be put back is said, and an error only where there is no other. The tables that read
    it are asked to follow, unless somebody else sees to that (``is_announced=False``). Raises ``OperatorError`` where
    the disk refused some of it, after all else was done.
    """
    done: list[Record] = []
    left: list[RequestError] = []
    for table, request in _replaced_by(settings, wanted):
        try:
            record = undo_request(settings, table, request, force=force, now=now, by=by)
        except RequestError as error:
            left.append(error)
            continue
        children = carry_on(settings, table, now=now) if is_announced else []
        done.append(record.model_copy(update={"children": tuple(child.id for child in children)}))
    if not done:
        raise left[0]
    for one in left:
        say(str(one))
    for record in done:
        for failure in record.failed[:1]:
            raise OperatorError(f"{record.failed_days} of {record.table} could not be put back: {failure.error}")
    return done


def knock(queue: Queue, records: list[Record]) -> None:
    """Have the doorbell announce these accepted requests now rather than at its next look."""
    queue.neglect(records)
    write_whole(queue.landing / KNOCK, "")


def _replaced_by(settings: Settings, wanted: str) -> list[tuple[str, str]]:
    """The tables and request ids that ``wanted`` stands for; history is enough where the record was cleared away."""
    queue = Queue(settings.landing)
    records: list[Record] = []
    with suppress(RequestError):
        records = find_records(queue, wanted)
    if busy := [record.id for record in records if record.outstanding]:
        raise RequestError(f"{busy[0]} is still under way; cancel it first, or wait")
    if running := [one for one in records if one.cancelled and is_in_use(settings.warehouse, one.table)]:
        raise RequestError(f"a batch of {running[0].table} that was begun is still running; undo once it has ended")
    if records:
        return [(record.table, record.id) for record in records]
    tables = sorted(path.name for path in (settings.warehouse / FOLDER).glob("*"))
    found = [t for t in tables if any(wanted in act.requests for act in History(settings.warehouse, t).acts().values())]
    if not found:
        raise RequestError(f"{wanted!r} is no request; reloads status lists them")
    return [(table, wanted) for table in found]
