"""Undo: what a request replaced is put back, partition by partition, as a change like any other.

It is recorded, downstream tables follow, and it can itself be undone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from hashlib import sha256

from reloads.days import Days
from reloads.errors import OperatorError, RequestError
from reloads.files import cannot_write
from reloads.outcome import Failure, Reason
from reloads.planning.undo_plan import find_asked, refuse_running, why_nothing
from reloads.raw_file import RawFile
from reloads.requests.control import find_records
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.untold import leave_untold
from reloads.rewriting.strangers import read_with_strangers
from reloads.runs.arrivals import note_taken_back
from reloads.runs.following import begin_to_follow, follow
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.access import open_table, state_of
from reloads.warehouse.adoption import find_strangers
from reloads.warehouse.commit import Commit, Making
from reloads.warehouse.commit_log import CommitLog, tables_with_log
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.publishing import publish
from reloads.warehouse.staging import staging_folder
from reloads.warehouse.take_back import TakeBack, build_undo, find_take_back
from reloads.warehouse.upgrade import open_catalog

log = logging.getLogger(__name__)


def undo_request(
    settings: Settings,
    text: str,
    *,
    force: bool,
    now: datetime,
    by: str | None = None,
    say: Callable[[str], object] = log.warning,
) -> list[Record]:
    """Put back what the request with that id or name replaced; returns the records of the undo, one for each table.

    ``say`` is told of each table in which nothing can be put back; that is an error only if it is so in all of them.
    Downstream tables are asked to follow. Repeated after a crash it completes what it had begun. Raises
    ``OperatorError`` where the disk refused some of it, after all else was done.
    """
    settings.require_landing()
    catalog = open_catalog(settings)
    undone: list[Record] = []
    refusals: list[RequestError] = []
    for table, request in _find_replaced(settings, text):
        records: list[Record] = []
        try:
            records = undo_in_table(settings, catalog, table, request, force=force, now=now, by=by)
        except RequestError as error:
            refusals.append(error)
        # Also where all is back already: an undo that was killed may not have come to it.
        follow(settings, catalog, table, now=now)
        leave_untold(settings.landing, table)
        # As they are now: with the requests that follow from them.
        undone += [Queue(settings.landing).get(record.id) or record for record in records]
    if not undone:
        raise refusals[0]
    for refusal in refusals:
        say(str(refusal))
    for record in undone:
        for failure in record.failed[:1]:
            raise OperatorError(f"{record.failed_days} of {record.table} could not be put back: {failure.error}")
    return undone


def _find_replaced(settings: Settings, text: str) -> list[tuple[str, str]]:
    """The tables and request ids that ``text`` stands for; the log is enough where the record was cleared away."""
    records: list[Record] = []
    with suppress(RequestError):
        records = find_records(Queue(settings.landing), text)
    refuse_running(settings.warehouse, records)
    if records:
        return [(record.table, record.id) for record in records]
    tables = [table for table in tables_with_log(settings.warehouse) if _is_in_log(settings, table, text)]
    if not tables:
        raise RequestError(f"{text!r} is not a request; reloads status lists them")
    return [(table, text) for table in tables]


def _is_in_log(settings: Settings, table: str, request: str) -> bool:
    log = CommitLog(settings.warehouse, table)
    return any(request in commit.requests for commit in map(log.read, log.numbers()) if commit)


def undo_in_table(
    settings: Settings,
    catalog: Catalog,
    table: str,
    request: str,
    *,
    force: bool = False,
    now: datetime,
    by: str | None = None,
) -> list[Record]:
    """Put back what ``request`` replaced in ``table``, in one commit; returns the record of the undo, filed away.

    Days that the disk refuses stand in the record as failed. An undo that was killed before it was recorded is recorded
    now, before what it left is put back. Raises ``RequestError`` if nothing can be put back.
    """
    definition, queue = catalog.definition(table), Queue(settings.landing)
    folder = folder_of(settings.warehouse, definition)
    begin_to_follow(settings, catalog, table)
    with open_table(folder):
        pass
    asked = find_asked(queue, request)
    take_back = find_take_back(folder, request, asked=asked, force=force)
    if _adopt_strangers(folder, take_back, now=now):
        take_back = find_take_back(folder, request, asked=asked, force=force)
    acts: list[tuple[Commit, tuple[Failure, ...]]] = []
    for commit in _find_unrecorded(queue, state_of(folder).log, take_back):
        acts.append((commit, ()))
    if not acts and (why := why_nothing(take_back, definition, request)):
        raise RequestError(why)
    if take_back.back:
        note_taken_back(settings, definition, _find_files(folder, take_back), now=now)
        acts.append(_publish(settings, definition, take_back, request, now=now))
    records: list[Record] = []
    for commit, failures in acts:
        record = _build_record(commit, take_back, request, failures, now=now, by=by)
        # In this order: an undo that was killed in between counts as not recorded.
        queue.note_children(request, [record.id])
        queue.file_away(record)
        records.append(record)
    return records


def _find_files(folder: TableFolder, take_back: TakeBack) -> dict[date, Mapping[str, RawFile]]:
    """The raw files by which the days that are put back were made."""
    entries = state_of(folder).read({name.day for name in take_back.back}).entries
    makings: dict[date, Making] = {}
    for name in take_back.back:
        making = entries[name].making if name in entries else None
        if making and (name.day not in makings or makings[name.day].made_at < making.made_at):
            makings[name.day] = making
    return {day: making.files for day, making in makings.items()}


def _adopt_strangers(folder: TableFolder, take_back: TakeBack, *, now: datetime) -> bool:
    """Make versions of files that somebody put in the place of what would be put back; whether there are any."""
    import duckdb

    days = {name.day for name in take_back.back}
    if not find_strangers(folder, state_of(folder).read(days), days):
        return False
    with duckdb.connect(":memory:") as db:
        read_with_strangers(db, folder, days, run="undo", now=now)
    return True


def _find_unrecorded(queue: Queue, log: CommitLog, take_back: TakeBack) -> list[Commit]:
    """The commits of undos that were killed before they were recorded."""
    commits = [log.read(number) for number in sorted(take_back.undone_by)]
    return [commit for commit in commits if commit and not any(queue.find(name) for name in commit.requests)]


def _publish(
    settings: Settings, table: Table, take_back: TakeBack, request: str, *, now: datetime
) -> tuple[Commit, tuple[Failure, ...]]:
    """Publish the undo; returns its commit, and the days that the disk refused."""
    folder = folder_of(settings.warehouse, table)
    # Equal for the same act, whenever it is repeated, and another one after the next change.
    seed = f"{request}\0{take_back.head.point}"
    undo_id = f"undo-{table.name}-{sha256(seed.encode()).hexdigest()[:12]}"
    with staging_folder(settings.warehouse, table.name) as place:
        try:
            publication = build_undo(
                folder, take_back, request=request, undo=undo_id, run=f"undo/{undo_id}", place=place, now=now
            )
        except FileNotFoundError as error:
            raise RequestError("what was to be put back has expired just now; ask for a reload instead") from error
        except OSError as error:
            raise cannot_write(place, error) from error
        published = publish(folder, publication)
    failures = [Failure(days=Days.of([name.day]), error=why) for name, why in published.kept.items()]
    if published.commit is None:
        raise OperatorError(f"{table.name} could not be put back: {failures[0].error}")
    return published.commit, tuple(failures)


def _build_record(
    commit: Commit,
    take_back: TakeBack,
    request: str,
    failures: tuple[Failure, ...],
    *,
    now: datetime,
    by: str | None,
) -> Record:
    days_by_later_request: dict[str, list[date]] = {}
    for name, later_request in take_back.later.items():
        days_by_later_request.setdefault(later_request, []).append(name.day)
    skipped: list[Reason] = []
    for later_request, days in days_by_later_request.items():
        skipped.append(Reason(days=Days.of(days), why=f"{later_request} rewrote it later"))
    [undo_id] = commit.requests
    names = [name for name in commit.after if name.keys == commit.keys]
    failed_days = Days.union(failure.days for failure in failures)
    return Record(
        id=undo_id,
        mode="undo",
        table=commit.table,
        days=_days_of(names) | _days_of(take_back.later) | failed_days,
        # That of an undo that was killed before it was recorded lies before now.
        accepted_at=min(now, commit.published_at),
        reason=f"undo of {request}",
        requested_by=by,
        skipped=tuple(skipped),
        published=_days_of(names) - failed_days,
        failed=failures,
        rows=sum(commit.after[name].rows for name in names if commit.after[name].version),
        rows_before=sum(commit.before[name].rows for name in names if name in commit.before),
        bytes=sum(commit.after[name].bytes for name in names if commit.after[name].version),
        finished_at=now,
    )


def _days_of(names: Iterable[PartitionName]) -> Days:
    return Days.of(name.day for name in names)
