"""Rewriting a batch: its partitions are written, validated and compared, and those that changed are published.

If the query fails, the batch is halved until the failing days are known; the others are published, and the failing ones
keep their files. Days that another run published meanwhile, or whose raw files changed while they were read, are
rewritten again, for as long as somebody waits for them. Days whose raw files are not there are postponed. Once the time
of the batch is over, the days that are not published fail.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import FitError, InputError, OperatorError, QueryError, ReloadsError, RequestError, TimeLimitError
from reloads.halving import attempt_by_halves
from reloads.outcome import Outcome
from reloads.rewriting.batch_files import find_changed_files, find_waiting
from reloads.rewriting.context import BatchContext, Locations, Provenance, Wishes
from reloads.rewriting.engine import Share, connect
from reloads.rewriting.failures import fail, fail_day, merge_failures, tell_kept
from reloads.rewriting.opening import open_context
from reloads.rewriting.publication import build_publication, compare
from reloads.rewriting.report import report
from reloads.rewriting.time_limit import TimeLimit
from reloads.rewriting.validation import check_schema, validate_rows
from reloads.tables.definition import Table
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.access import state_of
from reloads.warehouse.parquet import row_counts
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.publishing import publish
from reloads.warehouse.staging import staging_folder

ROUNDS = 5
"""So often days that others publish at the same time are rewritten again."""


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
        outcomes = attempt_by_halves(list(remaining), attempt, retry_on=InputError, give_up=fail_day)
        outcome = sum(outcomes, start=outcome.of_days(batch.days - remaining))
        remaining = Days.union(failure.days for failure in outcome.failed if failure.superseded)
        remaining &= wishes.find_open_days()
        if not remaining:
            break
    wishes.meter.show("done")
    told = report(state_of(folder_of(place.warehouse, table)), batch, outcome.unchanged, run=provenance.run)
    seconds = round(time.monotonic() - begun, 3)
    failed = merge_failures(outcome.failed)
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
    waiting = find_waiting(table, batch.days, raw)
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
            return waiting + _rewrite_by_halves(open_context(batch, table, place, provenance, engine, folder, wishes))
    except TimeLimitError as error:
        return waiting + fail(batch.days, error)
    except InputError:
        raise
    except QueryError as error:
        if table.file_sources and len(batch.days) > 1:
            # A file that cannot be read may keep the query of all days from being understood.
            raise InputError(str(error)) from error
        return waiting + fail(batch.days, error)
    except ReloadsError as error:
        return waiting + fail(batch.days, error)


def _rewrite_by_halves(context: BatchContext) -> Outcome:
    def attempt(days: Sequence[date]) -> Outcome:
        return _rewrite_days(context, Days.of(days))

    outcomes = attempt_by_halves(list(context.batch.days), attempt, retry_on=QueryError, give_up=fail_day)
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
            refused = (*refused, *find_changed_files(context, days, rounds=ROUNDS))
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
        failed = (*refused, *tell_kept(published))
        done = valid_days - cancelled - Days.union(failure.days for failure in failed)
        context.stage.meter.keep(done)
        return Outcome(unchanged=done, failed=failed, cancelled=cancelled, checks=check_results)
    except (OperatorError, RequestError, FitError, TimeLimitError) as error:
        context.stage.meter.keep(Days())
        return fail(days, error)
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
