"""The context of one batch: what to rewrite, for whom and where, and what the steps share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.batch import Batch
from reloads.days import Days
from reloads.rewriting.inputs import Snapshot
from reloads.rewriting.stage import Stage
from reloads.tables.definition import Table
from reloads.warehouse.ledger import Entry
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Provenance:
    """Which run writes partitions, and when; kept in their Parquet footers beside the requests of the batch."""

    run: str
    written_at: datetime


@dataclass(frozen=True)
class Locations:
    """Where a batch finds what it reads, and where it publishes."""

    warehouse: Path
    source: Path
    inputs: Mapping[str, Table] = field(default_factory=dict)
    """The definitions of all tables that the query reads, directly or through others."""
    time_zone: str = "UTC"
    """Where a day begins."""


@dataclass(frozen=True)
class BatchContext:
    """What the steps of one batch share."""

    table: Table
    batch: Batch
    place: Locations
    provenance: Provenance
    stage: Stage
    target: TableFolder
    snapshots: Mapping[str, Snapshot]
    columns: Mapping[str, str]
    """Of the query's result, with their SQL types."""
    find_wanted_days: Callable[[], Days]
    """Asks which days of the batch are still wanted, as they may be given up while it runs."""

    @property
    def key_types(self) -> dict[str, str]:
        """The keys with their SQL types."""
        return {key: self.columns[key] for key in self.table.settings.keys}

    @property
    def db(self) -> duckdb.DuckDBPyConnection:
        """The database of the batch, with its inputs and parameters."""
        return self.stage.db

    def select_partitions(self, names: Iterable[PartitionName]) -> set[PartitionName]:
        """Those of these partitions that pass the partition filter of the batch."""
        names_by_text = {str(name): name for name in names}
        key_values = {text: tuple(name.key_values.values()) for text, name in names_by_text.items()}
        passing = self.batch.partition_filter.select(self.db, key_values, self.table.settings.keys)
        return {names_by_text[text] for text in passing}

    def build_entry(self, day: date, rows: int) -> Entry:
        """The ledger's entry of a partition, or of a whole day or a slice of it, that was rewritten now."""
        return Entry(
            version=self.table.version,
            inputs=self._input_digests(day),
            checked_at=self.provenance.written_at.isoformat(timespec="seconds"),
            rows=rows,
            parameters=json.loads(json.dumps(self.batch.parameters, default=str)),
            run=self.provenance.run,
        )

    def _input_digests(self, day: date) -> dict[str, str]:
        if day not in self._digests:
            self._digests[day] = {name: snapshot.digest(day) for name, snapshot in self.snapshots.items()}
        return self._digests[day]

    @cached_property
    def _digests(self) -> dict[date, dict[str, str]]:
        """Of the inputs, by day: computed once a day, which may have thousands of partitions."""
        return {}


def build_footer(table: Table, batch: Batch, provenance: Provenance) -> dict[str, str]:
    """The key-value metadata of each file."""
    parameters = {"reloads.parameters": json.dumps(dict(batch.parameters), default=str)} if batch.parameters else {}
    return {
        "reloads.table": table.name,
        "reloads.requests": json.dumps(list(batch.requests)),
        "reloads.run": provenance.run,
        "reloads.written_at": provenance.written_at.isoformat(timespec="seconds"),
        "reloads.query_version": table.version,
        **parameters,
    }
