"""Rewriting a batch: its partitions are written, validated and compared, and those that changed are published.

If the query fails, the batch is halved until the failing days are known; the others are published, and the failing ones
keep their files.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import FitError, InputError, OperatorError, QueryError, ReloadsError
from reloads.halving import attempt_by_halves
from reloads.outcome import Failure, Outcome
from reloads.rewriting.content import are_comparable, take_fingerprints
from reloads.rewriting.context import BatchContext, Locations, Provenance, build_footer
from reloads.rewriting.engine import Engine, Share, connect
from reloads.rewriting.inputs import create_inputs, set_parameters, take_snapshots
from reloads.rewriting.publication import Comparison, build_publication
from reloads.rewriting.schema import query_columns
from reloads.rewriting.stage import Stage, Staged
from reloads.rewriting.validation import check_schema, validate_rows
from reloads.tables.definition import Table
from reloads.warehouse.fingerprint import identity_or_none
from reloads.warehouse.history import History
from reloads.warehouse.ledger import read_ledger
from reloads.warehouse.parquet import footers, row_counts
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.publish import publish
from reloads.warehouse.staging import staging_folder


def rewrite_batch(
    batch: Batch,
    *,
    table: Table,
    place: Locations,
    share: Share,
    provenance: Provenance,
    find_wanted_days: Callable[[], Days] | None = None,
) -> Outcome:
    """Rewrite the partitions of the batch and publish those that changed.

    Days that ``find_wanted_days`` does not name any more once they are written are cancelled: they keep their files.
    Never raises for what a query, data or a disk can do: that stands in the outcome. An error of the environment fails
    the days not yet published and may be ``transient``.
    """
    begun = time.monotonic()

    def find_all_days() -> Days:
        return batch.days

    def attempt(days: Sequence[date]) -> Outcome:
        part = replace(batch, days=Days.of(days))
        return _rewrite_in_own_staging(part, table, place, share, provenance, find_wanted_days or find_all_days)

    # An input that cannot be read fails the days that depend on it, not the others.
    outcomes = attempt_by_halves(list(batch.days), attempt, retry_on=InputError, give_up=_fail_day)
    outcome = sum(outcomes, start=Outcome())
    seconds = round(time.monotonic() - begun, 3)
    return outcome.model_copy(update={"seconds": seconds, "failed": _merge_failures(outcome.failed)})


def _rewrite_in_own_staging(
    batch: Batch,
    table: Table,
    place: Locations,
    share: Share,
    provenance: Provenance,
    find_wanted_days: Callable[[], Days],
) -> Outcome:
    """Rewrite these days with a staging folder and a database of their own; raises ``InputError`` only."""
    try:
        with (
            staging_folder(place.warehouse, table.name) as folder,
            connect(
                table, source=place.source, spill=folder / "spill", share=share, time_zone=place.time_zone
            ) as engine,
        ):
            return _rewrite_by_halves(_open_context(batch, table, place, provenance, engine, folder, find_wanted_days))
    except InputError:
        raise
    except ReloadsError as error:
        return _fail(batch.days, error)


def _open_context(
    batch: Batch,
    table: Table,
    place: Locations,
    provenance: Provenance,
    engine: Engine,
    folder: Path,
    find_wanted_days: Callable[[], Days],
) -> BatchContext:
    """The batch with its inputs linked, its parameters set and its columns looked at."""
    _check_keys(batch, table)
    target = folder_of(place.warehouse, table)
    target.refuse_other_layout()
    snapshots = take_snapshots(
        table, batch.days, warehouse=place.warehouse, inputs=place.inputs, folder=folder / "inputs"
    )
    create_inputs(engine, snapshots, warehouse=place.warehouse, inputs=place.inputs)
    set_parameters(engine.db, table, batch.parameters)
    types = query_columns(engine, table)
    stage = Stage(table, batch.partition_filter, build_footer(table, batch, provenance), engine.db, folder)
    stage.refuse_rows_without_day(batch.days)
    return BatchContext(table, batch, place, provenance, stage, target, snapshots, types, find_wanted_days)


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
        staged = context.stage.write(days)
        fit = check_schema(context, staged)
        rows_before = _count_rows_before(context, days)
        readable = [name for name, rows in rows_before.items() if rows is not None]
        check_results, refused = validate_rows(context, days, staged, readable)
        valid_days = days - Days.union(failure.days for failure in refused)
        # As late as can be: a batch of a year publishes at its end, and may be given up in the minutes before.
        cancelled = valid_days - context.find_wanted_days()
        valid_days -= cancelled
        comparison = _compare(context, valid_days, staged, rows_before)
        # Before publishing, which must not fail for an act that cannot be read after it has replaced files.
        earlier = _published_by_earlier_try(context, comparison)
        not_replaced = publish(context.target, build_publication(context, comparison, fit))
        outcome = _build_outcome(comparison, earlier, not_replaced)
        return outcome.model_copy(
            update={"failed": (*refused, *outcome.failed), "cancelled": cancelled, "checks": check_results}
        )
    except (OperatorError, FitError) as error:
        return _fail(days, error)
    except QueryError:
        # What a failed COPY wrote fills the disk while the halves are written.
        shutil.rmtree(context.stage.place(days), ignore_errors=True)
        raise


def _count_rows_before(context: BatchContext, days: Days) -> dict[PartitionName, int | None]:
    """The published partitions that the batch replaces, with their rows; None where a file cannot be read."""
    published: list[PartitionName] = []
    for day in days:
        published += context.target.names_of(day)
    names = sorted(context.select_partitions(published), key=str)
    counts = row_counts(context.db, [context.target.file(name) for name in names])
    return {name: counts.get(context.target.file(name)) for name in names}


def _compare(
    context: BatchContext,
    days: Days,
    staged: Mapping[PartitionName, Staged],
    rows_before: Mapping[PartitionName, int | None],
) -> Comparison:
    """Find the partitions of ``days`` that came out as they are published."""
    staged = {name: file for name, file in staged.items() if name.day in days}
    rows_before = {name: rows for name, rows in rows_before.items() if name.day in days}
    identities: dict[PartitionName, str | None] = {}
    for name in staged:
        if rows_before.get(name) is not None:
            # Looked at before the content is compared: a file that is replaced meanwhile is found out when publishing.
            identities[name] = identity_or_none(context.target.file(name))
    staged_files = [file.path for file in staged.values()]
    fingerprints = take_fingerprints(context.db, staged_files, order_by=context.table.settings.order_by)
    contents = {name: fingerprints.get(file.path, "") for name, file in staged.items()}
    same_rows = {name: identities[name] for name in identities if rows_before[name] == staged[name].rows}
    unchanged_names = _find_unchanged(context, contents, same_rows)
    return Comparison(
        days=days,
        staged=staged,
        contents=contents,
        rows_before=rows_before,
        unchanged={name: identities[name] for name in unchanged_names},
        unchanged_runs=_read_runs(context, unchanged_names),
    )


def _find_unchanged(
    context: BatchContext, contents: Mapping[PartitionName, str], identities: Mapping[PartitionName, str | None]
) -> list[PartitionName]:
    """The partitions whose published files, which have these identities, hold the content that was staged."""
    entries = read_ledger(context.place.warehouse, context.table.name).entries
    published: dict[PartitionName, str] = {}
    unknown: dict[PartitionName, Path] = {}
    for name, identity in identities.items():
        entry = entries.get(name)
        if entry and entry.file == identity and are_comparable(entry.content, contents[name]):
            published[name] = entry.content
        else:
            unknown[name] = context.target.file(name)
    # The files of another version, or that somebody else put there, are read once.
    order_by = context.table.settings.order_by
    fingerprints = take_fingerprints(context.db, list(unknown.values()), order_by=order_by)
    published |= {name: fingerprints.get(file, "") for name, file in unknown.items()}
    return [name for name, content in published.items() if content and content == contents[name]]


def _read_runs(context: BatchContext, names: Collection[PartitionName]) -> dict[PartitionName, str]:
    """Which run published each of these partitions, by their footers."""
    runs = footers(context.db, [context.target.file(name) for name in names], "reloads.run")
    return {name: runs.get(context.target.file(name), "") for name in names}


def _build_outcome(
    comparison: Comparison, earlier: Collection[PartitionName], not_replaced: Mapping[PartitionName, str]
) -> Outcome:
    """The outcome after publishing, where some partitions could not be replaced."""
    changed = {*comparison.changes, *earlier}
    failed_days = Days.of(name.day for name in not_replaced)
    published = Days.of(name.day for name in changed) - failed_days
    rows: dict[PartitionName, int] = {}
    sizes: dict[PartitionName, int] = {}
    for name, staged in comparison.staged.items():
        if name.day not in failed_days:
            rows[name] = staged.rows
            sizes[name] = staged.bytes
    failures: list[Failure] = []
    for name, error in not_replaced.items():
        failures.append(Failure(days=Days.of([name.day]), error=error, transient=True))
    return Outcome(
        published=published,
        unchanged=comparison.days - published - failed_days,
        failed=tuple(failures),
        rows=_sum_by_day(rows),
        bytes=_sum_by_day(sizes),
        rows_before=_sum_by_day({name: count or 0 for name, count in comparison.rows_before.items()}),
    )


def _published_by_earlier_try(context: BatchContext, comparison: Comparison) -> set[PartitionName]:
    """The partitions that an earlier try of this run published or removed.

    The run did so, although this try found them unchanged. What it removed is known as far as history is kept.
    """
    run, target = context.provenance.run, context.target
    published = {name for name, publishing_run in comparison.unchanged_runs.items() if publishing_run == run}
    if context.table.settings.keys:
        days = set(comparison.days)

        def is_gone(name: PartitionName) -> bool:
            return name.day in days and name not in comparison.staged and target.has_form_of(name)

        published |= History(target.warehouse, target.table).replaced_by(run, of=is_gone)
    return published


def _sum_by_day(counts: Mapping[PartitionName, int]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, count in counts.items():
        day = str(name.day)
        sums[day] = sums.get(day, 0) + count
    return sums


def _fail_day(day: date, error: Exception) -> Outcome:
    return _fail(Days.of([day]), error)


def _fail(days: Days, error: Exception) -> Outcome:
    import duckdb

    # A source that cannot be read now may be there in a minute; a query that is wrong stays wrong.
    transient = isinstance(error, OperatorError) or isinstance(error.__cause__, duckdb.IOException)
    return Outcome(failed=(Failure(days=days, error=str(error), transient=transient),))


def _merge_failures(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """One failure for each message, with all its days."""
    days_by_error: dict[tuple[str, bool], Days] = {}
    for failure in failures:
        key = (failure.error, failure.transient)
        days_by_error[key] = days_by_error.get(key, Days()) | failure.days
    merged: list[Failure] = []
    for (error, transient), days in days_by_error.items():
        merged.append(Failure(days=days, error=error, transient=transient))
    return tuple(merged)
