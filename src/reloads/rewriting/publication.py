"""What a batch publishes: its files with what they were made from, and which of them are published already."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from reloads.days import Days
from reloads.rewriting.content import are_comparable, take_fingerprints
from reloads.rewriting.context import BatchContext
from reloads.rewriting.schema import columns_of
from reloads.rewriting.stage import Staged
from reloads.warehouse.commit import Making
from reloads.warehouse.mirror import fetch_files
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.publication import NewFile, Publication


@dataclass(frozen=True)
class Comparison:
    """What was written, beside what is published."""

    staged: Mapping[PartitionName, Staged]
    contents: Mapping[PartitionName, str]
    """The fingerprints of the staged files."""
    same: Mapping[PartitionName, int]
    """Partitions that came out as the version of that number, found by reading it."""
    damaged: Collection[PartitionName]
    """Partitions whose published file cannot be read."""


def compare(
    context: BatchContext, staged: Mapping[PartitionName, Staged], rows_by_version: Mapping[Path, int]
) -> Comparison:
    """Take the fingerprints of the staged files, and of published ones that the log has no comparable one for."""
    order_by, db = context.table.settings.order_by, context.db
    fingerprints = take_fingerprints(db, [file.path for file in staged.values()], order_by=order_by)
    contents = {name: fingerprints.get(file.path, "") for name, file in staged.items()}
    damaged: list[PartitionName] = []
    unknown: dict[PartitionName, Path] = {}
    for name, file in staged.items():
        entry = context.published.entries.get(name)
        if entry is None or not entry.version:
            continue
        rows = rows_by_version.get(context.version_of(name))
        if rows is None:
            damaged.append(name)
        elif rows == file.rows and not are_comparable(entry.content, contents[name]):
            unknown[name] = context.version_of(name)
    # The files of another release, or that somebody else put there, are read once.
    fetch_files(context.target.warehouse, unknown.values())
    read = take_fingerprints(db, list(unknown.values()), order_by=order_by)
    same: dict[PartitionName, int] = {}
    for name, path in unknown.items():
        if contents[name] and read.get(path) == contents[name]:
            same[name] = context.published.entries[name].version
    return Comparison(staged, contents, same, damaged)


def build_publication(
    context: BatchContext, days: Days, comparison: Comparison, columns: Mapping[str, str]
) -> Publication:
    """What is to be published of these days."""
    by_day = context.build_makings(context.batch.days)
    whole_days = days if context.table.settings.keys and not context.batch.partition_filter.key_filters else Days()
    makings: dict[PartitionName, Making | None] = {}
    for name in (*comparison.staged, *context.published_names(days)):
        makings[name] = by_day[name.day]
    makings |= {context.target.day_name(day): by_day[day] for day in whole_days}
    requests = {request: days & served for request, served in context.batch.requests.items() if days & served}
    return Publication(
        act="load",
        run=context.provenance.run,
        batch=context.batch.number,
        now=context.provenance.written_at,
        day_column=context.target.day_column,
        keys=context.target.keys,
        base=context.published.head.point,
        files=_build_files(context, comparison),
        select=context.select_partitions,
        same=comparison.same,
        damaged=comparison.damaged,
        whole_days=whole_days,
        makings=makings,
        requests=requests,
        no_cascade_days=context.batch.no_cascade_days & days,
        columns=columns,
        key_types=context.key_types,
    )


def _build_files(context: BatchContext, comparison: Comparison) -> dict[PartitionName, NewFile]:
    files: dict[PartitionName, NewFile] = {}
    columns: dict[str, str] = {}
    for name, file in comparison.staged.items():
        # One query wrote all files, so they have the same columns.
        columns = columns or columns_of(context.db, file.path)
        files[name] = NewFile(file.path, file.rows, file.bytes, comparison.contents[name], columns)
    return files
