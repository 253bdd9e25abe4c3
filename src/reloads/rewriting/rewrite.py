"""Rewriting a batch: its partitions are written, validated and compared, and those that changed are published.

If the query fails, the batch is halved until the failing days are known; the others are published, and the failing ones
keep their files. Days that another run published meanwhile, or whose raw files changed while they were read, are
rewritten again, for as long as somebody waits for them. Days whose raw files are not there are postponed. Once the time
of the batch is over, the days that are not published fail.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import FitError, InputError, OperatorError, QueryError, ReloadsError, RequestError, TimeLimitError
from reloads.halving import attempt_by_halves
from reloads.outcome import Failure, Outcome, Postponement
from reloads.raw_file import describe_change
from reloads.rewriting.context import BatchContext, Locations, Provenance, build_footer
from reloads.rewriting.engine import Engine, Share, connect
from reloads.rewriting.inputs import create_inputs, set_parameters
from reloads.rewriting.linked_inputs import link_inputs
from reloads.rewriting.meter import Meter
from reloads.rewriting.publication import build_publication, compare
from reloads.rewriting.report import report
from reloads.rewriting.schema import query_columns, refuse_types_without_snapshot
from reloads.rewriting.stage import Stage
from reloads.rewriting.strangers import read_with_strangers
from reloads.rewriting.time_limit import TimeLimit
from reloads.rewriting.validation import check_schema, validate_rows
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.access import refuse_moved, state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.parquet import row_counts
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.publication import Published
from reloads.warehouse.publishing import publish
from reloads.warehouse.staging import staging_folder

ROUNDS = 5
"""So often days that others publish at the same time are rewritten again."""


@dataclass(frozen=True)
class Wishes:
    """Who still waits for the days of a batch, asked anew each time, as people change their minds; they are told."""

    find_wanted_days: Callable[[], Days]
    """Those that nobody has given up."""
    find_open_days: Callable[[], Days]
    """Those that no run has ended."""
    meter: Meter = field(default_factory=Meter)
    """Tells them how far it has come."""


def rewrite_batch(
    batch: Batch,
    *,
    table: Table,
    place: Locations,
    share: Share,
    provenance: Provenance,
    wishes: Wishes | None = None,
    limit: TimeLimit | None = None,
) -> Outcome:
    """Rewrite the partitions of the batch and publish those that changed.

    Days that nobody wants any more once they are written are cancelled: they keep their files. Never raises for what a
    query, data or a disk can do: that stands in the outcome. An error of the environment fails the days not yet
    published and may be ``transient``; so does the end of the time that ``limit`` gives, which is not.
    """
    begun = time.monotonic()
    wishes = wishes or Wishes(lambda: batch.days, lambda: batch.days)
    limit = limit or TimeLimit.begin(table.name, None)

    def attempt(days: Sequence[date]) -> Outcome:
        part = replace(batch, days=Days.of(days))
        return _rewrite_in_own_staging(part, table, place, share, provenance, wishes, limit)

    outcome, remaining = Outcome(), batch.days
    for _ in range(ROUNDS):
        # An input that cannot be read fails the days that depend on it, not the others.
        outcomes = attempt_by_halves(list(remaining), attempt, retry_on=InputError, give_up=_fail_day)
        outcome = sum(outcomes, start=outcome.of_days(batch.days - remaining))
        remaining = Days.union(failure.days for failure in outcome.failed if failure.superseded)
        remaining &= wishes.find_open_days()
        if not remaining:
            break
    wishes.meter.show("done")
    told = report(state_of(folder_of(place.warehouse, table)), batch, outcome.unchanged, run=provenance.run)
    seconds = round(time.monotonic() - begun, 3)
    failed = _merge_failures(outcome.failed)
    return told.model_copy(
        update={
            "seconds": seconds,
            "seconds_by_step": wishes.meter.read_seconds(),
            "failed": failed,
            "cancelled": outcome.cancelled,
            "postponed": outcome.postponed,
            "checks": outcome.checks,
        }
    )


def _rewrite_in_own_staging(
    batch: Batch,
    table: Table,
    place: Locations,
    share: Share,
    provenance: Provenance,
    wishes: Wishes,
    limit: TimeLimit,
) -> Outcome:
    """Rewrite these days with a staging folder and a database of their own; raises ``InputError`` only.

    The days that are as they should be stand in the outcome as unchanged.
    """
    raw = RawFiles(place.source, stable_seconds=place.stable_seconds)
    waiting = _find_waiting(table, batch.days, raw)
    batch = replace(batch, days=batch.days - waiting.postponed_days)
    if not batch.days:
        return waiting
    try:
        limit.check()
        with (
            staging_folder(place.warehouse, table.name) as folder,
            connect(
                table,
                raw=raw,
                folder=folder,
                share=share,
                days=batch.days,
                time_zone=place.time_zone,
                limit=limit,
            ) as engine,
        ):
            return waiting + _rewrite_by_halves(_open_context(batch, table, place, provenance, engine, folder, wishes))
    except TimeLimitError as error:
        return waiting + _fail(batch.days, error)
    except InputError:
        raise
    except QueryError as error:
        if table.file_sources and len(batch.days) > 1:
            # A file that cannot be read may keep the query of all days from being understood.
            raise InputError(str(error)) from error
        return waiting + _fail(batch.days, error)
    except ReloadsError as error:
        return waiting + _fail(batch.days, error)


def _find_waiting(table: Table, days: Days, raw: RawFiles) -> Outcome:
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


def _open_context(
    batch: Batch,
    table: Table,
    place: Locations,
    provenance: Provenance,
    engine: Engine,
    folder: Path,
    wishes: Wishes,
) -> BatchContext:
    """The batch with its inputs linked, its parameters set and its columns looked at."""
    _check_keys(batch, table)
    target = folder_of(place.warehouse, table)
    state = state_of(target)
    head = state.read_head()
    if batch.planned_at:
        refuse_moved(state, head, Point.parse(batch.planned_at))
    if (head.day_column, head.keys) != (target.day_column, target.keys):
        # To look for what lies there by other columns lists all days. While the columns stay, none of ours does.
        target.refuse_other_layout()
    # Before anything is read for it: what is published after that was not seen by the query.
    published = read_with_strangers(engine.db, target, batch.days, run=provenance.run, now=provenance.written_at)
    linked = link_inputs(engine.db, table, batch.days, place=place, folder=folder / "inputs", provenance=provenance)
    with engine.limit.bounded(engine.db):
        create_inputs(engine, linked, warehouse=place.warehouse, inputs=place.inputs)
        engine.set_files(table, batch.days)
        set_parameters(engine.db, table, batch.parameters)
        types = query_columns(engine, table)
        if table.has_snapshots(place.snapshots):
            refuse_types_without_snapshot(engine.db, table, types)
        footer = build_footer(table, batch, provenance, {key: types[key] for key in table.settings.keys})
        stage = Stage(table, batch.partition_filter, footer, engine.db, folder, wishes.meter)
        stage.refuse_rows_without_day(batch.days)
    return BatchContext(
        table, batch, place, provenance, stage, target, published, linked, types, wishes.find_wanted_days, engine
    )


def _check_keys(batch: Batch, table: Table) -> None:
    """Raise ``QueryError`` if the table lost a key since it was asked for: rows of one value would replace all rows."""
    for key_filter in (*batch.partition_filter.key_filters, *batch.partition_filter.excluded):
        for key in key_filter:
            if key not in table.settings.keys:
                raise QueryError(f"{table.name} has no key {key} any more; ask for its days again without that key")


def _rewrite_by_halves(context: BatchContext) -> Outcome:
    def attempt(days: Sequence[date]) -> Outcome:
        return _rewrite_days(context, Days.of(days))

    outcomes = attempt_by_halves(list(context.batch.days), attempt, retry_on=QueryError, give_up=_fail_day)
    return sum(outcomes, start=Outcome())


def _rewrite_days(context: BatchContext, days: Days) -> Outcome:
    """Write, validate, compare and publish; raises ``QueryError`` where fewer days may do better."""
    try:
        # All but publishing, which ends what it began.
        with context.engine.limit.bounded(context.db):
            context.engine.set_files(context.table, days)
            staged = context.stage.write(days)
            context.stage.meter.show("checking")
            columns = check_schema(context, staged)
            versions = {name: context.version_of(name) for name in context.published_names(days)}
            rows_by_version = _count_rows(context, versions)
            readable = [name for name, path in versions.items() if path in rows_by_version]
            check_results, refused = validate_rows(context, days, staged, readable)
            refused = (*refused, *_find_changed_files(context, days))
            valid_days = days - Days.union(failure.days for failure in refused)
            valid = {name: file for name, file in staged.items() if name.day in valid_days}
            context.stage.meter.show("comparing")
            comparison = compare(context, valid, rows_by_version)
        cancelled = Days()

        def find_wanted(days_to_publish: Days) -> Days:
            # As late as can be: a batch of a year publishes at its end, and may be given up in the minutes before.
            nonlocal cancelled
            cancelled = days_to_publish - context.find_wanted_days()
            return days_to_publish - cancelled

        context.stage.meter.show("publishing")
        publication = build_publication(context, valid_days, comparison, columns)
        published = publish(context.target, publication, wanted=find_wanted)
        cancelled &= valid_days
        failed = (*refused, *_tell_kept(published))
        done = valid_days - cancelled - Days.union(failure.days for failure in failed)
        context.stage.meter.keep(done)
        return Outcome(unchanged=done, failed=failed, cancelled=cancelled, checks=check_results)
    except (OperatorError, RequestError, FitError, TimeLimitError) as error:
        context.stage.meter.keep(Days())
        return _fail(days, error)
    except QueryError:
        context.stage.meter.keep(Days())
        # What a failed COPY wrote fills the disk while the halves are written.
        shutil.rmtree(context.stage.place(days), ignore_errors=True)
        raise


def _count_rows(context: BatchContext, versions: Mapping[PartitionName, Path]) -> dict[Path, int]:
    """The rows of these versions by their footers; one that cannot be read is left out.

    Those in an object store are not fetched for that: the log knows what was uploaded.
    """
    if context.target.stored:
        return {file: context.published.entries[name].rows for name, file in versions.items()}
    return row_counts(context.db, list(versions.values()))


def _find_changed_files(context: BatchContext, days: Days) -> tuple[Failure, ...]:
    """The days whose raw files are other ones than when the batch began: what was read of them may be of both."""
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
        error = f"{change} while it was read, {ROUNDS} times; ask again once it is written"
        failures.append(Failure(days=Days.of(changed_days), error=error, transient=True, superseded=True))
    return tuple(failures)


def _tell_kept(published: Published) -> tuple[Failure, ...]:
    """The failures of the days of which partitions kept their files."""
    failures: list[Failure] = []
    for name, sentence in published.kept.items():
        # Also by another try of this batch, which may have read its inputs earlier and been taken for dead since.
        is_superseded = name in published.superseded
        failures.append(Failure(days=Days.of([name.day]), error=sentence, transient=True, superseded=is_superseded))
    return tuple(failures)


def _fail_day(day: date, error: Exception) -> Outcome:
    return _fail(Days.of([day]), error)


def _fail(days: Days, error: Exception) -> Outcome:
    import duckdb

    # A source that cannot be read now may be there in a minute; a query that is wrong stays wrong.
    transient = isinstance(error, OperatorError) or isinstance(error.__cause__, duckdb.IOException)
    return Outcome(failed=(Failure(days=days, error=str(error), transient=transient),))


def _merge_failures(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """One failure for each message, with all its days."""
    merged: dict[tuple[str, bool], Failure] = {}
    for failure in failures:
        key = (failure.error, failure.transient)
        days = merged[key].days | failure.days if key in merged else failure.days
        merged[key] = failure.model_copy(update={"days": days})
    return tuple(merged.values())
