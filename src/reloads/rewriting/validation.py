"""Validation of a batch's staged files before they are published: do their columns fit, and do the checks pass?"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from reloads.days import Days
from reloads.files import cannot_write
from reloads.outcome import CheckResult, Failure
from reloads.rewriting.context import BatchContext
from reloads.rewriting.data_checks import run_checks
from reloads.rewriting.schema import columns_of, merge_columns, published_columns
from reloads.rewriting.stage import Staged
from reloads.warehouse.layout import DATA_FILE, failed_folder
from reloads.warehouse.ledger import read_ledger
from reloads.warehouse.partition_name import PartitionName

EMPTY_DAY = (
    'a day came out without any row; ask for it again once it has some, or set on_empty = "publish" in table.toml'
)
"""One sentence for all days, so that they share one failure."""


@dataclass(frozen=True)
class SchemaFit:
    """The columns of the table once the staged files are published, and whether that changes those it has."""

    columns: Mapping[str, str] = field(default_factory=dict)
    is_changed: bool = False


def check_schema(context: BatchContext, staged: Mapping[PartitionName, Staged]) -> SchemaFit:
    """Whether the columns of these files fit, keys included; raises ``FitError`` if they do not."""
    if not staged:
        return SchemaFit()
    # One query wrote all files, so they have the same columns.
    new = columns_of(context.db, next(iter(staged.values())).path) | dict(context.key_types)
    ledger = read_ledger(context.place.warehouse, context.table.name)
    old = published_columns(context.db, ledger, context.target)
    # The keys' types are known to the ledger alone; where it was lost, they are whatever they are now.
    old |= {key: ledger.keys.get(key, kind) for key, kind in context.key_types.items()} if old else {}
    columns = merge_columns(context.table.name, new, old, policy=context.table.settings.on_schema_change)
    in_files = {name: kind for name, kind in columns.items() if name not in context.key_types}
    return SchemaFit(in_files, is_changed=bool(old) and columns != old)


def validate_rows(
    context: BatchContext, days: Days, staged: Mapping[PartitionName, Staged], published: Iterable[PartitionName]
) -> tuple[tuple[CheckResult, ...], tuple[Failure, ...]]:
    """What the checks say of the staged files beside the published ones, and the days that may not be published."""
    results = run_checks(
        context.db,
        context.table,
        days=days,
        new=[file.path for file in staged.values()],
        old=[context.target.file(name) for name in published],
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

    Values of keys that were asked for, and slices, may be without rows: the rest of the day has some.
    """
    partition_filter = context.batch.partition_filter
    if context.table.settings.on_empty == "publish" or partition_filter.key_filters:
        return Days()
    days_with_rows = {name.day for name, file in staged.items() if file.rows}
    empty_days = days - Days.of(days_with_rows)
    if partition_filter.slice_count > 1:
        return Days.of(day for day in empty_days if not context.stage.has_rows(day))
    return empty_days


def _refuse_day(
    context: BatchContext, day: date, staged: Mapping[PartitionName, Staged], errors: Iterable[CheckResult]
) -> Failure:
    """The failure of a day that checks refuse; its files are kept for a look where the table says so."""
    text = "; ".join(result.sentence() for result in errors if day in result.days)
    if context.table.settings.keep_failed:
        files = {name: file.path for name, file in staged.items() if name.day == day}
        text += f"; its rows are kept in {_keep_failed_rows(context, day, files)}"
    return Failure(days=Days.of([day]), error=text)


def _keep_failed_rows(context: BatchContext, day: date, files: Mapping[PartitionName, Path]) -> Path:
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
    return folder
