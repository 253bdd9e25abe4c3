"""What a batch publishes: the partitions that changed, and what the ledger is to know of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reloads.days import Days
from reloads.rewriting.context import BatchContext
from reloads.rewriting.stage import Staged
from reloads.rewriting.validation import SchemaFit
from reloads.warehouse.history import Act
from reloads.warehouse.ledger import Entry, Ledger, read_ledger
from reloads.warehouse.partition_name import LedgerName, PartitionName
from reloads.warehouse.publish import Publication


@dataclass(frozen=True)
class Comparison:
    """The partitions of the days that passed validation: what was written, and what is published there."""

    days: Days
    staged: Mapping[PartitionName, Staged]
    contents: Mapping[PartitionName, str]
    """The fingerprints of the staged files."""
    rows_before: Mapping[PartitionName, int | None]
    """Of the published partitions; None where the file cannot be read."""
    unchanged: Mapping[PartitionName, str | None]
    """The partitions that came out as they are published, with the identity of the file that was compared."""
    unchanged_runs: Mapping[PartitionName, str]
    """The runs that published them."""

    @property
    def changes(self) -> dict[PartitionName, Path | None]:
        """By partition, the file that replaces the published one; None where the partition has no rows any more."""
        changes: dict[PartitionName, Path | None] = {}
        for name, staged in self.staged.items():
            if name not in self.unchanged:
                changes[name] = staged.path
        for name in self.rows_before:
            if name not in self.staged:
                changes[name] = None
        return changes


def build_publication(context: BatchContext, comparison: Comparison, fit: SchemaFit) -> Publication:
    """What is to be published of the comparison, and entered into the ledger."""
    settings, changes = context.table.settings, comparison.changes
    ledger = read_ledger(context.place.warehouse, context.table.name)
    # Only where something is published: batches whose columns differ would ask one another to reload for ever.
    needs_backfill = fit.is_changed and bool(changes) and settings.on_schema_change == "replace"
    return Publication(
        staged=changes,
        entries=_build_entries(context, comparison),
        act=Act(context.batch.requests, context.provenance.run),
        cascade_days=context.batch.days - context.batch.no_cascade_days,
        columns=fit.columns if changes or not ledger.columns else {},
        keys=context.key_types,
        schema_backfill=context.table.version if needs_backfill else "",
        dropped_entries=_vanished_partitions(context, comparison.days, ledger) - comparison.staged.keys(),
        # The ledger's entry of an unchanged partition is true of the file that was compared, and of no other.
        expected=comparison.unchanged,
        is_history_kept=settings.history_days > 0,
    )


def _build_entries(context: BatchContext, comparison: Comparison) -> dict[LedgerName, Entry]:
    """The ledger's new entries: of each partition, and of the days or slices that were rewritten whole."""
    entries: dict[LedgerName, Entry] = {}
    for name, staged in comparison.staged.items():
        entry = replace(context.build_entry(name.day, staged.rows), content=comparison.contents[name])
        run = comparison.unchanged_runs.get(name)
        entries[name] = entry if run is None else replace(entry, run=run)
    partition_filter = context.batch.partition_filter
    if context.table.settings.keys and not partition_filter.key_filters:
        # Also a day that came out without any key.
        for day in comparison.days:
            name_of_whole: LedgerName = context.target.day_name(day)
            if partition_filter.slice_count > 1:
                slice_number, slice_count = partition_filter.slice_number, partition_filter.slice_count
                name_of_whole = context.target.slice_name(day, slice_number, slice_count)
            entries[name_of_whole] = context.build_entry(day, 0)
    return entries


def _vanished_partitions(context: BatchContext, days: Days, ledger: Ledger) -> set[PartitionName]:
    """The partitions of the batch whose file an earlier try removed, but whose entry it did not come to drop."""
    target, rewritten_days = context.target, set(days)
    vanished: list[PartitionName] = []
    for name, entry in ledger.entries.items():
        if not isinstance(name, PartitionName) or name.day not in rewritten_days:
            continue
        if entry.file and target.has_form_of(name) and not target.file(name).exists():
            vanished.append(name)
    return context.select_partitions(vanished)
