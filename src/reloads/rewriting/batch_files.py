"""The raw files of a batch: those that are not there, and those that changed while it read them."""

from __future__ import annotations

from datetime import date

from reloads.days import Days
from reloads.outcome import Failure, Outcome, Postponement
from reloads.raw_file import describe_change
from reloads.rewriting.context import BatchContext
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles


def find_waiting(table: Table, days: Days, raw: RawFiles) -> Outcome:
    """The days whose raw files are not there, or not any more since the run was planned, as postponed."""
    days_by_reason: dict[str, list[date]] = {}
    for day in days if table.file_sources else ():
        missing = raw.of_day(table, day).missing
        if missing:
            days_by_reason.setdefault(f"it waits for raw files: {missing}", []).append(day)
    postponed: list[Postponement] = []
    for why, waiting_days in days_by_reason.items():
        postponed.append(Postponement(days=Days.of(waiting_days), why=why, is_for_files=True))
    return Outcome(postponed=tuple(postponed))


def find_changed_files(context: BatchContext, days: Days, *, rounds: int) -> tuple[Failure, ...]:
    """The days whose raw files are other ones than when the batch began: what was read of them may be of both.

    They are read again, ``rounds`` times in all.
    """
    if not context.table.file_sources:
        return ()
    before, now = context.engine.raw, RawFiles(context.place.source, stable_seconds=0)
    days_by_change: dict[str, list[date]] = {}
    for day in days:
        change = describe_change(before.of_day(context.table, day).files, now.of_day(context.table, day).files)
        if change:
            days_by_change.setdefault(change, []).append(day)
    failures: list[Failure] = []
    for change, changed_days in days_by_change.items():
        error = f"{change} while it was read, {rounds} times; ask again once it is written"
        failures.append(Failure(days=Days.of(changed_days), error=error, transient=True, superseded=True))
    return tuple(failures)
