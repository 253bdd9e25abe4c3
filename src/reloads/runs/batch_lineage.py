"""What a batch read and wrote, by the log: partitions of tables, raw files, rows, columns and what the checks said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reloads.batch import Batch
from reloads.outcome import CheckResult, Outcome
from reloads.rewriting.check_statements import list_checks
from reloads.rewriting.report import commits_of
from reloads.settings import Settings
from reloads.stores.address import public_name
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import input_days
from reloads.warehouse.access import state_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of

Dimensions = Mapping[str, str]
"""A partition by its columns: the day, and the keys if there are any."""


@dataclass(frozen=True)
class Checked:
    """What one check said of the new rows."""

    check: str
    severity: Literal["error", "warn"]
    violations: int
    result: CheckResult | None
    """None where it objected to nothing."""


@dataclass(frozen=True)
class BatchLineage:
    """What one batch read and wrote. Folders are absolute paths."""

    output: str
    written: tuple[Dimensions, ...]
    """The partitions whose content changed, those that were removed among them."""
    rows: int
    bytes: int
    files: int
    columns: Mapping[str, str]
    read: Mapping[str, tuple[Dimensions, ...]]
    """Of each table that the query reads, by its folder or URL, the partitions of the days that were asked for."""
    source: str
    raw_files: tuple[str, ...]
    """The raw files that were read, by their absolute paths or URLs; none that no source of ``sources.toml`` names."""
    checks: tuple[Checked, ...]


def describe_batch(
    settings: Settings, catalog: Catalog, table: Table, batch: Batch, outcome: Outcome, *, run: str
) -> BatchLineage:
    """What became of the batch in that run; raises ``ReloadsError`` where the log cannot be read."""
    folder = folder_of(settings.warehouse, table)
    state = state_of(folder)
    commits = list(commits_of(state, batch, run))
    written: dict[PartitionName, tuple[int, int]] = {}
    raw_files: set[str] = set()
    columns: dict[str, str] = {}
    for commit in commits:
        if commit.columns:
            columns = {commit.day_column: "DATE", **commit.columns, **commit.key_types}
        for name in commit.changed_names():
            entry = commit.after[name]
            written[name] = (entry.rows, entry.bytes) if entry.version else (0, 0)
        for entry in commit.after.values():
            raw_files.update(entry.making.files if entry.making else ())
    return BatchLineage(
        output=public_name(settings.warehouse, table.name),
        written=tuple(_dimensions(table, name) for name in sorted(written, key=str)),
        rows=sum(rows for rows, _ in written.values()),
        bytes=sum(size for _, size in written.values()),
        files=len([size for _, size in written.values() if size]),
        columns=columns,
        read=_find_read(settings, catalog, table, batch),
        source=public_name(settings.source, ""),
        raw_files=tuple(public_name(settings.source, path) for path in sorted(raw_files)),
        checks=_find_checks(table, outcome),
    )


def _find_read(settings: Settings, catalog: Catalog, table: Table, batch: Batch) -> dict[str, tuple[Dimensions, ...]]:
    read: dict[str, tuple[Dimensions, ...]] = {}
    for name, window in table.inputs.items():
        source = catalog.definition(name)
        folder = folder_of(settings.warehouse, source)
        days = input_days(batch.days, window)
        snapshot = state_of(folder).read(days)
        names: list[PartitionName] = []
        for day in days:
            entries = snapshot.of_day(day)
            names += [each for each in entries if entries[each].version and folder.has_form_of(each)]
        read[public_name(settings.warehouse, name)] = tuple(
            _dimensions(source, each) for each in sorted(names, key=str)
        )
    return read


def _find_checks(table: Table, outcome: Outcome) -> tuple[Checked, ...]:
    """What each check said; nothing where the batch failed before it could be checked."""
    if not table.checks or not (outcome.fulfilled or outcome.checks):
        return ()
    results = {result.check: result for result in outcome.checks}
    checked: list[Checked] = []
    for name in list_checks(table):
        settings = table.settings.checks.get(name)
        violations = sum(result.rows for result in outcome.checks if result.check == name)
        checked.append(Checked(name, settings.severity if settings else "error", violations, results.get(name)))
    return tuple(checked)


def _dimensions(table: Table, name: PartitionName) -> Dimensions:
    return {table.settings.day_column: str(name.day), **name.key_values}
