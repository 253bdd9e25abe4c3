"""Judging a batch's staged files before they are published: do their columns fit, and do the checks pass."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.outcome import CheckResult, Failure
from reloads.rewriting.context import BatchContext
from reloads.rewriting.data_checks import run_checks
from reloads.rewriting.schema import columns_of, merge_columns, published_columns
from reloads.rewriting.stage import Staged
from reloads.warehouse.ledger import read_ledger

FAILED = ".failed"


@dataclass(frozen=True)
class SchemaFit:
    """The columns of the table once the staged files are published, and whether those it has are others."""

    columns: Mapping[str, str] = field(default_factory=dict)
    is_other: bool = False


def check_schema(context: BatchContext, staged: Mapping[str, Staged]) -> SchemaFit:
    """Whether the columns of these files fit, keys included; raises ``FitError`` if they do not."""
    if not staged:
        return SchemaFit()
    # One query wrote them all, so one speaks for all.
    new = columns_of(context.db, next(iter(staged.values())).path) | dict(context.key_types)
    ledger = read_ledger(context.place.warehouse, context.table.name)
    old = published_columns(context.db, ledger, context.target)
    # The keys' types are known to the ledger alone; where it was lost, they are whatever they are now.
    old |= {key: ledger.keys.get(key, kind) for key, kind in context.key_types.items()} if old else {}
    columns = merge_columns(context.table.name, new, old, policy=context.table.settings.on_schema_change)
    in_files = {name: kind for name, kind in columns.items() if name not in context.key_types}
    return SchemaFit(in_files, is_other=bool(old) and columns != old)


def validate_rows(
    context: BatchContext, days: Days, staged: Mapping[str, Staged], old: Iterable[str]
) -> tuple[tuple[CheckResult, ...], tuple[Failure, ...]]:
    """What the checks found in these files and the published ones of the names ``old``, and the days they refuse."""
    if not context.table.checks:
        return (), ()
    hive = {context.table.settings.day_column: "date", **context.key_types}
    files = [context.target.file(name) for name in old]
    found = run_checks(context.db, context.table, new=[one.path for one in staged.values()], old=files, columns=hive)
    return found, _refused(context, days, staged, found)


def _refused(
    context: BatchContext, days: Days, staged: Mapping[str, Staged], found: Sequence[CheckResult]
) -> tuple[Failure, ...]:
    """The days that a check refuses; their files are kept for a look where the table says so."""
    errors = [result for result in found if result.severity == "error"]
    failures = []
    for day in Days.of(day for result in errors for day in result.days) & days:
        text = "; ".join(result.sentence() for result in errors if day in result.days)
        if context.table.settings.keep_failed:
            files = {name: one.path for name, one in staged.items() if context.target.day_of(name) == day}
            text += f"; its rows are kept in {_keep(context, day, files)}"
        failures.append(Failure(days=Days.of([day]), error=text))
    return tuple(failures)


def _keep(context: BatchContext, day: date, files: Mapping[str, Path]) -> Path:
    """Move refused files to where somebody can look at them; those of an earlier attempt give way."""
    folder = context.place.warehouse / FAILED / context.table.name
    try:
        if context.batch.partition_filter.is_whole:
            shutil.rmtree(folder / context.target.day_name(day), ignore_errors=True)
        for name, file in files.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            file.replace(folder / name / "data.parquet")
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written ({error.strerror}); make room or grant access") from error
    return folder
