"""Undo: what a request replaced is put back, partition by partition, as a change like any other.

It is recorded, downstream tables follow, and it can itself be undone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path

from reloads.days import Days
from reloads.errors import OperatorError, RequestError
from reloads.files import cannot_write, link_or_copy
from reloads.outcome import Failure, Reason
from reloads.requests.control import find_records
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.follow_ups import cascade_changes
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, load_table
from reloads.warehouse.history import Act, History, Kept
from reloads.warehouse.layout import tables_with_history
from reloads.warehouse.ledger import read_ledger
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.publish import Publication, publish
from reloads.warehouse.staging import is_in_use, staging_folder
from reloads.warehouse.undo_plan import UNDO, UndoPlan, plan_undo

log = logging.getLogger(__name__)


def undo_request(
    settings: Settings,
    text: str,
    *,
    force: bool,
    now: datetime,
    by: str | None = None,
    asks_downstream: bool = True,
    say: Callable[[str], object] = log.warning,
) -> list[Record]:
    """Put back what the request with that id or name replaced; returns the records of the undo, one for each table.

    ``say`` is told of each table in which nothing can be put back; that is an error only if it is so in all of them.
    Downstream tables are asked to follow, unless the caller sees to that (``asks_downstream=False``). Raises
    ``OperatorError`` where the disk refused some of it, after all else was done.
    """
    catalog = Catalog.load(settings.tables)
    undone: list[Record] = []
    refusals: list[RequestError] = []
    for table, request in _find_replaced(settings, text):
        try:
            record = undo_in_table(settings, table, request, force=force, now=now, by=by)
        except RequestError as error:
            refusals.append(error)
            continue
        children = cascade_changes(settings, catalog, table, now=now) if asks_downstream else []
        undone.append(record.model_copy(update={"children": tuple(child.id for child in children)}))
    if not undone:
        raise refusals[0]
    for refusal in refusals:
        say(str(refusal))
    for record in undone:
        for failure in record.failed[:1]:
            raise OperatorError(f"{record.failed_days} of {record.table} could not be put back: {failure.error}")
    return undone


def _find_replaced(settings: Settings, text: str) -> list[tuple[str, str]]:
    """The tables and request ids that ``text`` stands for; history is enough where the record was cleared away."""
    records: list[Record] = []
    with suppress(RequestError):
        records = find_records(Queue(settings.landing), text)
    _refuse_running(settings, records)
    if records:
        return [(record.table, record.id) for record in records]
    tables = [table for table in tables_with_history(settings.warehouse) if _is_in_history(settings, table, text)]
    if not tables:
        raise RequestError(f"{text!r} is not a request; reloads status lists them")
    return [(table, text) for table in tables]


def _refuse_running(settings: Settings, records: list[Record]) -> None:
    """Raise ``RequestError`` if one of the requests may still publish."""
    for record in records:
        if record.outstanding:
            raise RequestError(f"{record.id} is still under way; cancel it first, or wait")
    for record in records:
        if record.cancelled and is_in_use(settings.warehouse, record.table):
            raise RequestError(f"a batch of {record.table} that was begun is still running; undo once it has ended")


def _is_in_history(settings: Settings, table: str, request: str) -> bool:
    acts = History(settings.warehouse, table).acts()
    return any(request in act.requests for act in acts.values())


def undo_in_table(
    settings: Settings, table: str, request: str, *, force: bool = False, now: datetime, by: str | None = None
) -> Record:
    """Put back what ``request`` replaced in ``table``; returns the record of the undo, filed away.

    Each partition changes at once, and readers see the old file or the new one. Days that the disk refuses stand in
    the record as failed. Raises ``RequestError`` if nothing can be put back.
    """
    definition = load_table(settings.tables, table)
    plan = plan_undo(settings, definition, request, force=force)
    _refuse_nothing(plan, definition, request)
    folder = folder_of(settings.warehouse, definition)
    record = _build_record(table, request, plan, now=now, by=by)
    row_counts = _count_rows(settings, table, plan)
    with staging_folder(settings.warehouse, table) as place:
        staged: dict[PartitionName, Path | None] = {}
        for number, (name, kept) in enumerate(plan.back.items()):
            staged[name] = _link_kept(kept, place / str(number))
        not_replaced = publish(folder, _build_publication(plan, staged, record.id))
    _remove_days(folder, plan)
    failures: list[Failure] = []
    for name, why in not_replaced.items():
        failures.append(Failure(days=Days.of([name.day]), error=why))
    published = _days_of(plan.back) - _days_of(not_replaced)
    outcome = {"published": published, "failed": tuple(failures), "finished_at": now}
    record = record.model_copy(update={**outcome, **row_counts})
    queue = Queue(settings.landing)
    queue.file_away(record)
    queue.note_children(request, [record.id])
    return record


def _refuse_nothing(plan: UndoPlan, table: Table, request: str) -> None:
    if plan.back:
        return
    if plan.later:
        name, later_request = next(iter(plan.later.items()))
        rest = f" and {len(plan.later) - 1} more" if len(plan.later) > 1 else ""
        raise RequestError(f"{name}{rest} was rewritten later, by {later_request}; undo that first, or write --force")
    if plan.is_back:
        raise RequestError(f"what '{request}' replaced in {table.name} is back already; ask for a reload to replace it")
    days = table.settings.history_days
    raise RequestError(
        f"nothing of {table.name} that '{request}' replaced is kept: it changed nothing, or more than {days} days ago; "
        "ask for a reload instead"
    )


def _link_kept(kept: Kept, path: Path) -> Path | None:
    if kept.file is None:
        return None
    try:
        link_or_copy(kept.file, path)
    except FileNotFoundError as error:
        raise RequestError(f"what {kept.partition} was expired just now; ask for a reload instead") from error
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def _build_publication(plan: UndoPlan, staged: Mapping[PartitionName, Path | None], undo_id: str) -> Publication:
    days = _days_of(staged)
    return Publication(
        staged=staged,
        entries=plan.entries,
        act=Act({undo_id: days}, f"{UNDO}{undo_id}"),
        cascade_days=days,
        dropped_entries=(staged.keys() | plan.entered) - plan.entries.keys(),
        is_restoring=True,
        expected={name: plan.identities[name] for name in staged},
    )


def _remove_days(folder: TableFolder, plan: UndoPlan) -> None:
    """Remove the folders of days that nobody had loaded before; one that was loaded without rows keeps its folder."""
    loaded_days = {name.day for name in plan.entries if name.is_of_day}
    for name, kept in plan.back.items():
        if kept.file is None and folder.keys and name.day not in loaded_days:
            with suppress(OSError):  # other partitions of the day are there
                folder.partition_folder(name.day_name).rmdir()


def _count_rows(settings: Settings, table: str, plan: UndoPlan) -> dict[str, int]:
    """The rows of the partitions before the undo and after it, as far as the ledger knows them."""
    entries_after, entries_before = plan.entries, read_ledger(settings.warehouse, table).entries
    return {
        "rows": sum(entries_after[name].rows for name in plan.back if name in entries_after),
        "rows_before": sum(entries_before[name].rows for name in plan.back if name in entries_before),
    }


def _build_record(table: str, request: str, plan: UndoPlan, *, now: datetime, by: str | None) -> Record:
    days_by_later_request: dict[str, list[date]] = {}
    for name, later_request in plan.later.items():
        days_by_later_request.setdefault(later_request, []).append(name.day)
    skipped: list[Reason] = []
    for later_request, days in days_by_later_request.items():
        skipped.append(Reason(days=Days.of(days), why=f"{later_request} rewrote it later"))
    return Record(
        id=f"undo-{table}-{sha256(f'{request}/{now.isoformat()}'.encode()).hexdigest()[:12]}",
        mode="undo",
        table=table,
        days=_days_of(plan.back) | _days_of(plan.later),
        accepted_at=now,
        reason=f"undo of {request}",
        requested_by=by,
        skipped=tuple(skipped),
    )


def _days_of(names: Iterable[PartitionName]) -> Days:
    return Days.of(name.day for name in names)
