"""Validation of a batch's staged files before they are published: do their columns fit, and do the checks pass?"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from reloads.days import Days
from reloads.files import cannot_write
from reloads.outcome import CheckResult, Failure
from reloads.rewriting.checked_rows import reads_old
from reloads.rewriting.context import BatchContext
from reloads.rewriting.data_checks import run_checks
from reloads.rewriting.schema import columns_of, merge_columns, published_columns
from reloads.rewriting.stage import Staged
from reloads.warehouse.layout import DATA_FILE, failed_folder
from reloads.warehouse.mirror import fetch_files, mirror_of
from reloads.warehouse.partition_name import PartitionName

EMPTY_DAY = (
    'a day came out without any row; ask for it again once it has some, or set on_empty = "publish" in table.toml'
)
"""One sentence for all days, so that they share one failure."""


def check_schema(context: BatchContext, staged: Mapping[PartitionName, Staged]) -> dict[str, str]:
    """The columns of the table once these files are published; ``FitError`` if they, or the keys, do not fit."""
    if not staged:
        return {}
    # One query wrote all files, so they have the same columns.
    new = columns_of(context.db, next(iter(staged.values())).path) | dict(context.key_types)
    head = context.published.head
    old = published_columns(context.db, head, context.target)
    if old:
        # Where the keys' types are not known, they are whatever they are now.
        old = {**old, **context.key_types, **head.key_types}
    columns = merge_columns(context.table.name, new, old, policy=context.table.settings.on_schema_change)
    return {name: kind for name, kind in columns.items() if name not in context.key_types}


def validate_rows(
    context: BatchContext, days: Days, staged: Mapping[PartitionName, Staged], published: Iterable[PartitionName]
) -> tuple[tuple[CheckResult, ...], tuple[Failure, ...]]:
    """What the checks say of the staged files beside the published ones, and the days that may not be published."""
    old = [context.version_of(name) for name in published]
    if reads_old(context.table) or not staged:
        fetch_files(context.target.warehouse, old)
    results = run_checks(
        context.db,
        context.table,
        days=days,
        new=[file.path for file in staged.values()],
        old=old,
        columns=context.columns,
    )
    errors = [result for result in results if result.severity == "error"]
    refused_days = Days.union(result.days for result in errors) & days
    failures = [_refuse_day(context, day, staged, errors) for day in refused_days]
    if empty_days := _empty_days(context, days - refused_days, staged):
        failures.append(Failure(days=empty_days, error=EMPTY_DAY))
    return results, tuple(failures)


def _empty_days(context: BatchContext, days: Days, staged: Mapping[PartitionName, Staged]) -> Days:
    """The days that came out without any row, where the table does not allow it.

    Values of keys that were asked for may be without rows: the rest of the day has some.
    """
    if context.table.settings.on_empty == "publish" or context.batch.partition_filter.key_filters:
        return Days()
    return days - Days.of(name.day for name, file in staged.items() if file.rows)


def _refuse_day(
    context: BatchContext, day: date, staged: Mapping[PartitionName, Staged], errors: Iterable[CheckResult]
) -> Failure:
    """The failure of a day that checks refuse; its files are kept for a look where the table says so."""
    text = "; ".join(result.sentence() for result in errors if day in result.days)
    if context.table.settings.keep_failed:
        files = {name: file.path for name, file in staged.items() if name.day == day}
        text += f"; its rows are kept in {_keep_failed_rows(context, day, files)}"
    return Failure(days=Days.of([day]), error=text)


def _keep_failed_rows(context: BatchContext, day: date, files: Mapping[PartitionName, Path]) -> str:
    """Move refused files to where somebody can look at them; those of an earlier attempt give way."""
    folder = failed_folder(context.place.warehouse, context.table.name)
    try:
        if context.batch.partition_filter.is_whole:
            shutil.rmtree(folder / str(context.target.day_name(day)), ignore_errors=True)
        for name, file in files.items():
            (folder / str(name)).mkdir(parents=True, exist_ok=True)
            file.replace(folder / str(name) / DATA_FILE)
    except OSError as error:
        raise cannot_write(folder, error) from error
    if mirror := mirror_of(context.place.warehouse):
        # Where whoever asked can find them, and not on the machine that happened to write them.
        mirror.upload([folder / str(name) / DATA_FILE for name in files])
        return f"{mirror.store.url}/{mirror.key_of(folder)}"
    return str(folder)
