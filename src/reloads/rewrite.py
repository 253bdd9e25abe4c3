"""Rewriting a batch: staged, compared, checked, and what is good and new published.

If the query fails, the batch is halved until the failing days are known; the others are published, and the failing ones
keep their files.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.checks import run_checks
from reloads.columns import columns_of, fitted, published_columns
from reloads.compare import unchanged
from reloads.days import Days
from reloads.engine import Engine, Share, connect
from reloads.errors import FitError, OperatorError, QueryError, ReloadsError
from reloads.history import Act
from reloads.inputs import Snapshot, create_inputs, folder_of, set_parameters, take_snapshots
from reloads.ledger import Entry, Ledger, read_ledger
from reloads.outcome import CheckResult, Failure, Outcome
from reloads.partition_files import row_counts
from reloads.scope import Scope
from reloads.stage import Stage, Staged
from reloads.staging import staging_folder
from reloads.table import Table
from reloads.warehouse import Publication, TableFolder

if TYPE_CHECKING:
    import duckdb

FAILED = ".failed"


@dataclass(frozen=True)
class Provenance:
    """For whom, why and when partitions are written; kept in their Parquet footers."""

    requests: Mapping[str, Days]
    run: str
    written_at: datetime


@dataclass(frozen=True)
class Work:
    """What one batch is to do: which partitions, with which parameters, and which of its days others follow."""

    days: Days
    scope: Scope = field(default_factory=Scope)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    quiet: Days = field(default_factory=Days)
    """Days that the tables that read this one are not to follow."""


@dataclass(frozen=True)
class Place:
    """Where a batch finds what it reads, and where it publishes."""

    warehouse: Path
    source: Path
    inputs: Mapping[str, Table] = field(default_factory=dict)
    """The definitions of all tables that the query reads, directly or through others."""


@dataclass(frozen=True)
class _Batch:
    """What the steps of one batch share."""

    table: Table
    work: Work
    place: Place
    provenance: Provenance
    stage: Stage
    target: TableFolder
    snapshots: Mapping[str, Snapshot]
    key_types: Mapping[str, str]

    @property
    def db(self) -> duckdb.DuckDBPyConnection:
        return self.stage.db

    def entry(self, name: str, rows: int) -> Entry:
        """What the ledger is to say of a partition."""
        day = self.target.day_of(name.partition("#")[0])
        return Entry(
            version=self.table.version,
            inputs={input_: snapshot.digest(day) for input_, snapshot in self.snapshots.items()},
            checked_at=self.provenance.written_at.isoformat(timespec="seconds"),
            rows=rows,
            parameters=json.loads(json.dumps(self.work.parameters, default=str)),
            run=self.provenance.run,
        )


def rewrite_batch(work: Work, *, table: Table, place: Place, share: Share, provenance: Provenance) -> Outcome:
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
            outcome = _rewrite(_open(work, table, place, provenance, engine, folder), work.days)
    except ReloadsError as error:
        outcome = _failed(work.days, error)
    return outcome.model_copy(update={"seconds": round(time.monotonic() - begun, 3), "failed": _merged(outcome.failed)})


def footer(table: Table, work: Work, provenance: Provenance) -> dict[str, str]:
    """The key-value metadata of each file."""
    parameters = {"reloads.parameters": json.dumps(dict(work.parameters), default=str)} if work.parameters else {}
    return {
        "reloads.table": table.name,
        "reloads.requests": json.dumps(list(provenance.requests)),
        "reloads.run": provenance.run,
        "reloads.written_at": provenance.written_at.isoformat(timespec="seconds"),
        "reloads.query_version": table.version,
        **parameters,
    }


def _open(work: Work, table: Table, place: Place, provenance: Provenance, engine: Engine, folder: Path) -> _Batch:
    """The batch with its inputs linked, its parameters set and its columns looked at."""
    snapshots = take_snapshots(
        table, work.days, warehouse=place.warehouse, inputs=place.inputs, folder=folder / "inputs"
    )
    create_inputs(engine, snapshots, warehouse=place.warehouse, inputs=place.inputs)
    set_parameters(engine.db, table, work.parameters)
    types = check_columns(engine, table)
    stage = Stage(table, work.scope, footer(table, work, provenance), engine.db, folder)
    keys = {key: types[key] for key in table.settings.keys}
    return _Batch(table, work, place, provenance, stage, folder_of(place.warehouse, table), snapshots, keys)


def _rewrite(batch: _Batch, days: Days) -> Outcome:
    try:
        staged = batch.stage.write(days)
        return _judge(batch, days, staged)
    except (OperatorError, FitError) as error:
        return _failed(days, error)
    except QueryError as error:
        if len(days) == 1:
            return _failed(days, error)
        shutil.rmtree(batch.stage.place(days), ignore_errors=True)
        first, second = days.cut(2)
        return _rewrite(batch, first) + _rewrite(batch, second)


def _judge(batch: _Batch, days: Days, staged: Mapping[str, Staged]) -> Outcome:
    """Check what was staged, and publish the days that are good."""
    columns = _guard(batch, staged)
    before = _before(batch, days)
    old = [batch.target.file(name) for name, rows in before.items() if rows is not None]
    hive = {batch.table.settings.day_column: "date", **batch.key_types}
    found: tuple[CheckResult, ...] = ()
    if batch.table.checks:
        found = run_checks(batch.db, batch.table, new=[one.path for one in staged.values()], old=old, columns=hive)
    failed = _refused(batch, days, staged, found)
    good = days - Days.of(day for failure in failed for day in failure.days)
    outcome = _publish(batch, good, staged, before, columns)
    return outcome.model_copy(update={"failed": (*failed, *outcome.failed), "checks": found})


def _guard(batch: _Batch, staged: Mapping[str, Staged]) -> dict[str, str]:
    """The columns of the table once these files are published; raises ``FitError`` if they do not fit."""
    if not staged:
        return {}
    # One query wrote them all, so one speaks for all.
    new = columns_of(batch.db, next(iter(staged.values())).path)
    ledger = read_ledger(batch.place.warehouse, batch.table.name)
    old = published_columns(batch.db, ledger, batch.target)
    return fitted(batch.table.name, new, old, policy=batch.table.settings.on_schema_change)


def _before(batch: _Batch, days: Days) -> dict[str, int | None]:
    """The published partitions that the batch replaces, with their rows; None where a file cannot be read."""
    names = [name for day in days for name in batch.target.names_of(day)]
    if batch.table.settings.keys:
        values = {name: batch.target.key_values(name) for name in names}
        names = sorted(batch.work.scope.holds(batch.db, values, batch.table.settings.keys))
    counts = row_counts(batch.db, [batch.target.file(name) for name in names])
    return {name: counts.get(batch.target.file(name)) for name in names}


def _refused(
    batch: _Batch, days: Days, staged: Mapping[str, Staged], found: Sequence[CheckResult]
) -> tuple[Failure, ...]:
    """The days that a check refuses; their files are kept for a look where the table says so."""
    errors = [result for result in found if result.severity == "error"]
    failures = []
    for day in Days.of(day for result in errors for day in result.days) & days:
        text = "; ".join(result.sentence() for result in errors if day in result.days)
        if batch.table.settings.keep_failed:
            files = {name: one.path for name, one in staged.items() if batch.target.day_of(name) == day}
            text += f"; its rows are kept in {_keep(batch, day, files)}"
        failures.append(Failure(days=Days.of([day]), error=text))
    return tuple(failures)


def _keep(batch: _Batch, day: date, files: Mapping[str, Path]) -> Path:
    """Move refused files to where somebody can look at them; those of an earlier attempt give way."""
    folder = batch.place.warehouse / FAILED / batch.table.name
    try:
        if batch.work.scope.is_whole:
            shutil.rmtree(folder / batch.target.day_name(day), ignore_errors=True)
        for name, file in files.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            file.replace(folder / name / "data.parquet")
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written ({error.strerror}); make room or grant access") from error
    return folder


def _publish(
    batch: _Batch,
    days: Days,
    staged: Mapping[str, Staged],
    before: Mapping[str, int | None],
    columns: Mapping[str, str],
) -> Outcome:
    """Publish the partitions of ``days`` whose content is another than before, and enter all of them."""
    day_of = batch.target.day_of
    new = {name: one for name, one in staged.items() if day_of(name) in days}
    old = {name: rows for name, rows in before.items() if day_of(name) in days}
    readable = [name for name in new if old.get(name) is not None]
    same = unchanged(batch.db, {name: (batch.target.file(name), new[name].path) for name in readable})
    changes: dict[str, Path | None] = {name: one.path for name, one in new.items() if name not in same}
    changes |= dict.fromkeys(old.keys() - new.keys())
    ledger = read_ledger(batch.place.warehouse, batch.table.name)
    refused = batch.target.publish(_publication(batch, days, new, changes, columns, ledger))
    failed_days = Days.of(map(day_of, refused))
    # An earlier try of this run may have published some: the run did, although this try found them unchanged.
    mine = {name for name in same if (entry := ledger.entries.get(name)) and entry.run == batch.provenance.run}
    published = Days.of(map(day_of, {*changes, *mine})) - failed_days
    done = [name for name in new if day_of(name) not in failed_days]
    return Outcome(
        published=published,
        unchanged=days - published - failed_days,
        failed=tuple(Failure(days=Days.of([day_of(name)]), error=e, transient=True) for name, e in refused.items()),
        rows=_by_day(batch, {name: new[name].rows for name in done}),
        bytes=_by_day(batch, {name: new[name].bytes for name in done}),
        rows_before=_by_day(batch, {name: rows or 0 for name, rows in old.items()}),
    )


def _publication(
    batch: _Batch,
    days: Days,
    new: Mapping[str, Staged],
    changes: Mapping[str, Path | None],
    columns: Mapping[str, str],
    ledger: Ledger,
) -> Publication:
    work, settings = batch.work, batch.table.settings
    entries = {name: batch.entry(name, one.rows) for name, one in new.items()}
    for name in new.keys() & ledger.entries.keys() - changes.keys():
        entries[name] = replace(entries[name], run=ledger.entries[name].run)
    if settings.keys and not work.scope.choices:
        # A day of which every key was rewritten, or every key of a slice: also one that came out without any.
        part = f"#{work.scope.slice}/{work.scope.of}" if work.scope.of > 1 else ""
        entries |= {name: batch.entry(name, 0) for name in (f"{batch.target.day_name(day)}{part}" for day in days)}
    is_other = bool(ledger.columns) and bool(columns) and ledger.columns != columns
    return Publication(
        staged=changes,
        entries=entries,
        act=Act(batch.provenance.requests, batch.provenance.run),
        told=work.days - work.quiet,
        columns=columns,
        keys=batch.key_types,
        owed=batch.table.version if is_other and settings.on_schema_change == "replace" else "",
        is_history_kept=settings.history_days > 0,
    )


def _by_day(batch: _Batch, counts: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in counts.items():
        day = str(batch.target.day_of(name))
        found[day] = found.get(day, 0) + count
    return found


def check_columns(engine: Engine, table: Table) -> dict[str, str]:
    """The columns of the query's result with their types.

    Raises ``QueryError`` unless it binds and has the day column, as a DATE, and the other columns that the settings
    name; ``OperatorError`` where sources are missing, which may be why: that is no fault of the query.
    """
    import duckdb

    file, settings = f"tables/{table.name}/query.sql", table.settings
    column = settings.day_column
    try:
        types = {row[0]: row[1] for row in engine.db.execute(f"describe\n{table.query}").fetchall()}
    except duckdb.Error as error:
        kind = OperatorError if engine.missing_sources else QueryError
        raise kind(f"{file}: {engine.because(error)}") from error
    if column not in types:
        raise QueryError(f"{file} has no column {column}, only {', '.join(types)}; select it or change day_column")
    if types[column] != "DATE":
        raise QueryError(f"{file}: {column} is {types[column]}, not DATE; cast it to date")
    if not types.keys() - {column, *settings.keys}:
        name = " and ".join([column, *settings.keys])
        raise QueryError(f"{file} has no column besides {name}, which is the partition's name; select another")
    for setting, names in (("keys", settings.keys), ("order_by", settings.order_by)):
        if missing := [name for name in names if name not in types]:
            raise QueryError(
                f"{file} has no column {missing[0]}, only {', '.join(types)}; select it or change {setting}"
            )
    return types


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
