"""Rewriting a batch: staged, compared, checked, and what is good and new published.

If the query fails, the batch is halved until the failing days are known; the others are published, and the failing ones
keep their files.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import FitError, InputError, OperatorError, QueryError, ReloadsError
from reloads.outcome import Failure, Outcome
from reloads.rewriting.compare import find_unchanged
from reloads.rewriting.context import BatchContext, Locations, Provenance, build_footer
from reloads.rewriting.engine import Engine, Share, connect
from reloads.rewriting.inputs import create_inputs, set_parameters, take_snapshots
from reloads.rewriting.schema import query_columns
from reloads.rewriting.stage import Stage, Staged
from reloads.rewriting.validation import SchemaFit, check_schema, validate_rows
from reloads.tables.definition import Table
from reloads.warehouse.fingerprint import identity_or_none
from reloads.warehouse.history import Act, History
from reloads.warehouse.ledger import Ledger, read_ledger
from reloads.warehouse.parquet import footers, row_counts
from reloads.warehouse.partitions import day_part, folder_of
from reloads.warehouse.publish import Publication, publish
from reloads.warehouse.staging import staging_folder


def rewrite_batch(batch: Batch, *, table: Table, place: Locations, share: Share, provenance: Provenance) -> Outcome:
    """Rewrite the partitions of the work and publish those that changed.

    Never raises for what a query, data or a disk can do: that stands in the outcome. An error of the environment fails
    the days not yet published and may be ``transient``.
    """
    begun = time.monotonic()
    try:
        with (
            staging_folder(place.warehouse, table.name) as folder,
            connect(table, source=place.source, spill=folder / "spill", share=share) as engine,
        ):
            outcome = _rewrite(_open(batch, table, place, provenance, engine, folder), batch.days)
    except InputError as error:
        outcome = _failed(batch.days, error)
        if len(batch.days) > 1:
            outcome = Outcome()
            for half in batch.days.split(2):
                outcome += rewrite_batch(
                    replace(batch, days=half), table=table, place=place, share=share, provenance=provenance
                )
    except ReloadsError as error:
        outcome = _failed(batch.days, error)
    return outcome.model_copy(update={"seconds": round(time.monotonic() - begun, 3), "failed": _merged(outcome.failed)})


def _open(
    batch: Batch, table: Table, place: Locations, provenance: Provenance, engine: Engine, folder: Path
) -> BatchContext:
    """The batch with its inputs linked, its parameters set and its columns looked at."""
    snapshots = take_snapshots(
        table, batch.days, warehouse=place.warehouse, inputs=place.inputs, folder=folder / "inputs"
    )
    create_inputs(engine, snapshots, warehouse=place.warehouse, inputs=place.inputs)
    set_parameters(engine.db, table, batch.parameters)
    types = query_columns(engine, table)
    stage = Stage(table, batch.partition_filter, build_footer(table, batch, provenance), engine.db, folder)
    keys = {key: types[key] for key in table.settings.keys}
    return BatchContext(table, batch, place, provenance, stage, folder_of(place.warehouse, table), snapshots, keys)


def _rewrite(context: BatchContext, days: Days) -> Outcome:
    try:
        staged = context.stage.write(days)
        return _judge(context, days, staged)
    except (OperatorError, FitError) as error:
        return _failed(days, error)
    except QueryError as error:
        if len(days) == 1:
            return _failed(days, error)
        shutil.rmtree(context.stage.place(days), ignore_errors=True)
        first, second = days.split(2)
        return _rewrite(context, first) + _rewrite(context, second)


def _judge(context: BatchContext, days: Days, staged: Mapping[str, Staged]) -> Outcome:
    """Publish the days of the staged files that are good."""
    fit = check_schema(context, staged)
    before = _before(context, days)
    found, refused = validate_rows(context, days, staged, [name for name, rows in before.items() if rows is not None])
    good = days - Days.of(day for failure in refused for day in failure.days)
    outcome = _publish(context, good, staged, before, fit)
    return outcome.model_copy(update={"failed": (*refused, *outcome.failed), "checks": found})


def _before(context: BatchContext, days: Days) -> dict[str, int | None]:
    """The published partitions that the batch replaces, with their rows; None where a file cannot be read."""
    names = [name for day in days for name in context.target.names_of(day)]
    if context.table.settings.keys:
        values = {name: context.target.key_values(name) for name in names}
        names = sorted(context.batch.partition_filter.select(context.db, values, context.table.settings.keys))
    counts = row_counts(context.db, [context.target.file(name) for name in names])
    return {name: counts.get(context.target.file(name)) for name in names}


def _publish(
    context: BatchContext,
    days: Days,
    staged: Mapping[str, Staged],
    before: Mapping[str, int | None],
    fit: SchemaFit,
) -> Outcome:
    """Publish the partitions of ``days`` whose content is another than before, and enter all of them."""
    day_of = context.target.day_of
    new = {name: one for name, one in staged.items() if day_of(name) in days}
    old = {name: rows for name, rows in before.items() if day_of(name) in days}
    readable = [name for name in new if old.get(name) is not None]
    seen = {name: identity_or_none(context.target.file(name)) for name in readable}
    same = find_unchanged(context.db, {name: (context.target.file(name), new[name].path) for name in readable})
    changes: dict[str, Path | None] = {name: one.path for name, one in new.items() if name not in same}
    changes |= dict.fromkeys(old.keys() - new.keys())
    runs = _runs(context, same)
    mine = {name for name, run in runs.items() if run == context.provenance.run} | _removed_before(context, days, new)
    publication = _publication(context, days, new, changes, fit, runs)
    # What the ledger is to say of an unchanged file is true of the file that was compared.
    refused = publish(context.target, replace(publication, expected={name: seen[name] for name in same}))
    failed_days = Days.of(map(day_of, refused))
    # An earlier try of this run may have published some: the run did, although this try found them unchanged.
    published = Days.of(map(day_of, {*changes, *mine})) - failed_days
    done = [name for name in new if day_of(name) not in failed_days]
    return Outcome(
        published=published,
        unchanged=days - published - failed_days,
        failed=tuple(Failure(days=Days.of([day_of(name)]), error=e, transient=True) for name, e in refused.items()),
        rows=_by_day(context, {name: new[name].rows for name in done}),
        bytes=_by_day(context, {name: new[name].bytes for name in done}),
        rows_before=_by_day(context, {name: rows or 0 for name, rows in old.items()}),
    )


def _publication(
    context: BatchContext,
    days: Days,
    new: Mapping[str, Staged],
    changes: Mapping[str, Path | None],
    fit: SchemaFit,
    runs: Mapping[str, str],
) -> Publication:
    batch, settings = context.batch, context.table.settings
    ledger = read_ledger(context.place.warehouse, context.table.name)
    entries = {name: context.entry(name, one.rows) for name, one in new.items()}
    entries |= {name: replace(entries[name], run=run) for name, run in runs.items()}
    if settings.keys and not batch.partition_filter.key_filters:
        # A day of which every key was rewritten, or every key of a slice: also one that came out without any.
        part = (
            f"#{batch.partition_filter.slice_number}/{batch.partition_filter.slice_count}"
            if batch.partition_filter.slice_count > 1
            else ""
        )
        entries |= {name: context.entry(name, 0) for name in (f"{context.target.day_name(day)}{part}" for day in days)}
    # Nothing is owed where nothing was published: batches whose columns differ would owe one another for ever.
    is_owed = fit.is_other and bool(changes) and settings.on_schema_change == "replace"
    return Publication(
        staged=changes,
        entries=entries,
        act=Act(context.batch.requests, context.provenance.run),
        told=batch.days - batch.no_cascade_days,
        columns=fit.columns if changes or not ledger.columns else {},
        keys=context.key_types,
        owed=context.table.version if is_owed else "",
        forgotten=_vanished(context, days, ledger) - new.keys(),
        is_history_kept=settings.history_days > 0,
    )


def _runs(context: BatchContext, names: Collection[str]) -> dict[str, str]:
    """Which run published each of these partitions, by their footers."""
    found = footers(context.db, [context.target.file(name) for name in names], "reloads.run")
    return {name: found.get(context.target.file(name), "") for name in names}


def _removed_before(context: BatchContext, days: Days, new: Collection[str]) -> set[str]:
    """The partitions that an earlier try of this run removed, as far as history is kept."""
    if not context.table.settings.keys:
        return set()
    target, wanted = context.target, set(days)

    def is_gone(name: str) -> bool:
        return name not in new and target.is_name(name) and target.day_of(name) in wanted

    return History(target.warehouse, target.table).replaced_by(context.provenance.run, of=is_gone)


def _vanished(context: BatchContext, days: Days, ledger: Ledger) -> set[str]:
    """The partitions within the scope that an earlier try removed and did not come to forget."""
    target, keys = context.target, context.table.settings.keys
    wanted = {context.target.day_name(day) for day in days}
    entered = [name for name, entry in ledger.entries.items() if entry.file and day_part(name) in wanted]
    entered = [name for name in entered if target.is_name(name)]
    gone = {name: target.key_values(name) for name in entered if not target.file(name).exists()}
    return context.batch.partition_filter.select(context.db, gone, keys)


def _by_day(context: BatchContext, counts: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in counts.items():
        day = str(context.target.day_of(name))
        found[day] = found.get(day, 0) + count
    return found


def _failed(days: Days, error: ReloadsError) -> Outcome:
    import duckdb

    # A source that cannot be read now may be there in a minute; a query that is wrong stays wrong.
    transient = isinstance(error, OperatorError) or isinstance(error.__cause__, duckdb.IOException)
    return Outcome(failed=(Failure(days=days, error=str(error), transient=transient),))


def _merged(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """One failure for each message, with all its days."""
    by_error: dict[tuple[str, bool], Days] = {}
    for failure in failures:
        key = (failure.error, failure.transient)
        by_error[key] = by_error.get(key, Days()) | failure.days
    return tuple(Failure(days=days, error=error, transient=t) for (error, t), days in by_error.items())
