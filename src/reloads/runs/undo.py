"""Undo: what a request replaced is put back, partition by partition, as a change like any other.

It is recorded, the tables that read this one follow, and it can itself be undone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path

from reloads.days import Days
from reloads.errors import OperatorError, RequestError
from reloads.files import link_or_copy
from reloads.outcome import Failure, Reason
from reloads.requests.control import find_records
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.follow_ups import cascade_changes
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, load_table
from reloads.warehouse.history import HISTORY, Act, History, Kept
from reloads.warehouse.ledger import read_ledger
from reloads.warehouse.partitions import TableFolder, day_part, folder_of, is_of_day
from reloads.warehouse.publish import Publication, publish
from reloads.warehouse.staging import is_in_use, staging_folder
from reloads.warehouse.undo_plan import UNDO, UndoPlan, plan_undo

log = logging.getLogger(__name__)


def undo_in_table(
    settings: Settings, table: str, request: str, *, force: bool = False, now: datetime, by: str | None = None
) -> Record:
    """Put back what ``request`` replaced in ``table``; returns the record of the undo, filed away.

    Each partition changes at once, and readers see the old file or the new one. Days that the disk refuses stand in
    the record as failed. Raises ``RequestError`` if nothing can be put back.
    """
    definition = load_table(settings.tables, table)
    restore = plan_undo(settings, definition, request, force=force)
    _refuse_nothing(restore, definition, request)
    folder = folder_of(settings.warehouse, definition)
    record = _record(table, request, restore, folder, now=now, by=by)
    counts = _rows(settings, table, restore)
    with staging_folder(settings.warehouse, table) as place:
        staged = {name: _linked(kept, place / str(n)) for n, (name, kept) in enumerate(restore.back.items())}
        refused = publish(folder, _publication(folder, restore, staged, record.id))
    _remove_days(folder, restore)
    failed = tuple(Failure(days=Days.of([folder.day_of(name)]), error=why) for name, why in refused.items())
    published = Days.of(map(folder.day_of, restore.back)) - Days.of(map(folder.day_of, refused))
    record = record.model_copy(update={"published": published, "failed": failed, "finished_at": now, **counts})
    queue = Queue(settings.landing)
    queue.file_away(record)
    queue.note_children(request, [record.id])
    return record


def _remove_days(folder: TableFolder, restore: UndoPlan) -> None:
    """Remove the folders of days that nobody had loaded before; one that was loaded without rows keeps its folder."""
    loaded = {day_part(name) for name in restore.entries if is_of_day(name)}
    for name, kept in restore.back.items():
        if kept.file is None and folder.keys and day_part(name) not in loaded:
            with suppress(OSError):  # other partitions of the day are there
                (folder.folder / day_part(name)).rmdir()


def _refuse_nothing(restore: UndoPlan, table: Table, request: str) -> None:
    if restore.back:
        return
    if restore.later:
        name, other = next(iter(restore.later.items()))
        more = f" and {len(restore.later) - 1} more" if len(restore.later) > 1 else ""
        raise RequestError(f"{name}{more} was rewritten later, by {other}; undo that first, or write --force")
    if restore.is_back:
        raise RequestError(f"what '{request}' replaced in {table.name} is back already; ask for a reload to replace it")
    days = table.settings.history_days
    raise RequestError(
        f"nothing of {table.name} that '{request}' replaced is kept: it changed nothing, or more than {days} days ago; "
        "ask for a reload instead"
    )


def _linked(kept: Kept, path: Path) -> Path | None:
    if kept.file is None:
        return None
    try:
        link_or_copy(kept.file, path)
    except FileNotFoundError as error:
        raise RequestError(f"what {kept.partition} was expired just now; ask for a reload instead") from error
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}); make room or grant access") from error
    return path


def _rows(settings: Settings, table: str, restore: UndoPlan) -> dict[str, int]:
    """The rows of the partitions before the undo and after it, as far as the ledger knows them."""
    now, then = read_ledger(settings.warehouse, table).entries, restore.entries
    before = sum(now[name].rows for name in restore.back if name in now)
    return {"rows": sum(then[name].rows for name in restore.back if name in then), "rows_before": before}


def _publication(
    folder: TableFolder, restore: UndoPlan, staged: Mapping[str, Path | None], request: str
) -> Publication:
    days = Days.of(map(folder.day_of, staged))
    return Publication(
        staged=staged,
        entries=restore.entries,
        act=Act({request: days}, f"{UNDO}{request}"),
        told=days,
        forgotten=(staged.keys() | restore.entered) - restore.entries.keys(),
        is_restoring=True,
        expected={name: restore.now[name] for name in staged},
    )


def _record(
    table: str, request: str, restore: UndoPlan, folder: TableFolder, *, now: datetime, by: str | None
) -> Record:
    by_other: dict[str, list[date]] = {}
    for name, other in restore.later.items():
        by_other.setdefault(other, []).append(folder.day_of(name))
    return Record(
        id=f"undo-{table}-{sha256(f'{request}/{now.isoformat()}'.encode()).hexdigest()[:12]}",
        mode="undo",
        table=table,
        days=Days.of(map(folder.day_of, [*restore.back, *restore.later])),
        accepted_at=now,
        reason=f"undo of {request}",
        requested_by=by,
        skipped=tuple(Reason(days=Days.of(days), why=f"{other} rewrote it later") for other, days in by_other.items()),
    )


def undo_request(
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
            record = undo_in_table(settings, table, request, force=force, now=now, by=by)
        except RequestError as error:
            left.append(error)
            continue
        children = cascade_changes(settings, Catalog.load(settings.tables), table, now=now) if is_announced else []
        done.append(record.model_copy(update={"children": tuple(child.id for child in children)}))
    if not done:
        raise left[0]
    for one in left:
        say(str(one))
    for record in done:
        for failure in record.failed[:1]:
            raise OperatorError(f"{record.failed_days} of {record.table} could not be put back: {failure.error}")
    return done


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
    tables = sorted(path.name for path in (settings.warehouse / HISTORY).glob("*"))
    found = [t for t in tables if any(wanted in act.requests for act in History(settings.warehouse, t).acts().values())]
    if not found:
        raise RequestError(f"{wanted!r} is no request; reloads status lists them")
    return [(table, wanted) for table in found]
