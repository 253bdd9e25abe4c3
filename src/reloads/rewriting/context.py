"""The work of one batch: what it is to do, for whom and where, and what its steps share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.batch import Batch
from reloads.rewriting.inputs import Snapshot
from reloads.rewriting.stage import Stage
from reloads.tables.definition import Table
from reloads.warehouse.ledger import Entry
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
    key_types: Mapping[str, str]

    @property
    def db(self) -> duckdb.DuckDBPyConnection:
        """The database of the batch, with its inputs and parameters."""
        return self.stage.db

    def entry(self, name: str, rows: int) -> Entry:
        """What the ledger is to say of a partition."""
        day = self.target.day_of(name)
        return Entry(
            version=self.table.version,
            inputs=self._inputs_of(day),
            checked_at=self.provenance.written_at.isoformat(timespec="seconds"),
            rows=rows,
            parameters=json.loads(json.dumps(self.batch.parameters, default=str)),
            run=self.provenance.run,
        )

    def _inputs_of(self, day: date) -> dict[str, str]:
        if day not in self._digests:
            self._digests[day] = {input_: snapshot.digest(day) for input_, snapshot in self.snapshots.items()}
        return self._digests[day]

    @cached_property
    def _digests(self) -> dict[date, dict[str, str]]:
        """Of the inputs, for each day, which may have many partitions."""
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
