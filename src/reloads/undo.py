"""Undo: what a request replaced is put back, partition by partition, as a change like any other.

It is recorded, the tables that read this one follow, and it can itself be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path

from reloads.days import Days
from reloads.errors import OperatorError, RequestError
from reloads.history import Act, Kept, link_or_copy
from reloads.inputs import folder_of
from reloads.ledger import read_ledger
from reloads.outcome import Failure, Reason
from reloads.publish import Publication, publish
from reloads.queue import Queue
from reloads.record import Record
from reloads.restore import UNDO, Restore, plan_undo
from reloads.settings import Settings
from reloads.staging import staging_folder
from reloads.table import Table, load_table
from reloads.warehouse import TableFolder, day_part, is_of_day


def undo_request(
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


def _remove_days(folder: TableFolder, restore: Restore) -> None:
    """Remove the folders of days that nobody had loaded before; one that was loaded without rows keeps its folder."""
    loaded = {day_part(name) for name in restore.entries if is_of_day(name)}
    for name, kept in restore.back.items():
        if kept.file is None and folder.keys and day_part(name) not in loaded:
            with suppress(OSError):  # other partitions of the day are there
                (folder.folder / day_part(name)).rmdir()


def _refuse_nothing(restore: Restore, table: Table, request: str) -> None:
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


def _rows(settings: Settings, table: str, restore: Restore) -> dict[str, int]:
    """The rows of the partitions before the undo and after it, as far as the ledger knows them."""
    now, then = read_ledger(settings.warehouse, table).entries, restore.entries
    before = sum(now[name].rows for name in restore.back if name in now)
    return {"rows": sum(then[name].rows for name in restore.back if name in then), "rows_before": before}


def _publication(folder: TableFolder, restore: Restore, staged: Mapping[str, Path | None], request: str) -> Publication:
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
    table: str, request: str, restore: Restore, folder: TableFolder, *, now: datetime, by: str | None
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
