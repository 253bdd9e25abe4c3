"""The context of one batch: what to rewrite, for whom and where, and what the steps share."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.batch import Batch
from reloads.days import Days
from reloads.rewriting.meter import Meter
from reloads.rewriting.stage import Stage
from reloads.rewriting.strangers import KEY_TYPES
from reloads.tables.definition import Table
from reloads.warehouse.commit import Making
from reloads.warehouse.current_view import version_file
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Snapshot

if TYPE_CHECKING:
    import duckdb

    from reloads.rewriting.engine import Engine
    from reloads.rewriting.linked_inputs import LinkedInput


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
    stable_seconds: float = 0
    """How long a raw file has rested before it is read."""
    snapshots: str = "none"
    """Which snapshots a table has that does not say so itself."""


@dataclass(frozen=True)
class Wishes:
    """Who still waits for the days of a batch, asked anew each time, as people change their minds; they are told."""

    find_wanted_days: Callable[[], Days]
    """Those that nobody has given up."""
    find_open_days: Callable[[], Days]
    """Those that no run has ended."""
    meter: Meter = field(default_factory=Meter)
    """Tells them how far it has come."""


@dataclass(frozen=True)
class BatchContext:
    """What the steps of one batch share."""

    table: Table
    batch: Batch
    place: Locations
    provenance: Provenance
    stage: Stage
    target: TableFolder
    published: Snapshot
    """What the log says of the days, as of before anything was read for the batch."""
    linked: Mapping[str, LinkedInput]
    columns: Mapping[str, str]
    """Of the query's result, with their SQL types."""
    find_wanted_days: Callable[[], Days]
    """Asks which days of the batch are still wanted, as they may be given up while it runs."""
    engine: Engine

    @property
    def key_types(self) -> dict[str, str]:
        """The keys with their SQL types."""
        return {key: self.columns[key] for key in self.table.settings.keys}

    @property
    def db(self) -> duckdb.DuckDBPyConnection:
        """The database of the batch, with its inputs and parameters."""
        return self.stage.db

    def select_partitions(self, names: Collection[PartitionName]) -> set[PartitionName]:
        """Those of these partitions that pass the partition filter of the batch."""
        names_by_text = {str(name): name for name in names}
        key_values = {text: tuple(name.key_values.values()) for text, name in names_by_text.items()}
        passing = self.batch.partition_filter.select(self.db, key_values, self.table.settings.keys)
        return {names_by_text[text] for text in passing}

    def published_names(self, days: Days) -> list[PartitionName]:
        """The partitions of these days that have rows and that the batch replaces, as of when it began."""
        names: list[PartitionName] = []
        for name, entry in self.published.entries.items():
            if entry.version and name.day in days and self.target.has_form_of(name):
                names.append(name)
        return sorted(self.select_partitions(names), key=str)

    def version_of(self, name: PartitionName) -> Path:
        """The file of a published partition."""
        return version_file(self.target, name, self.published.entries[name])

    def build_makings(self, days: Days) -> dict[date, Making]:
        """What the partitions of each of these days are made from; one value for all that have the same files."""
        making = self._build_making()
        if not self.table.file_sources:
            return dict.fromkeys(days, making)
        makings: dict[date, Making] = {}
        for day in days:
            makings[day] = replace(making, files=self.engine.raw.of_day(self.table, day).files)
        return makings

    def _build_making(self) -> Making:
        return Making(
            definition=self.table.version,
            inputs={name: linked.point for name, linked in self.linked.items()},
            parameters=json.loads(json.dumps(self.batch.parameters, default=str)),
            run=self.provenance.run,
            made_at=self.provenance.written_at,
        )


def build_footer(table: Table, batch: Batch, provenance: Provenance, key_types: Mapping[str, str]) -> dict[str, str]:
    """The key-value metadata of each file."""
    notes: dict[str, str] = {}
    if batch.parameters:
        notes["reloads.parameters"] = json.dumps(dict(batch.parameters), default=str)
    if key_types:
        notes[KEY_TYPES] = json.dumps(dict(key_types))
    return {
        "reloads.table": table.name,
        "reloads.requests": json.dumps(list(batch.requests)),
        "reloads.run": provenance.run,
        "reloads.written_at": provenance.written_at.isoformat(timespec="seconds"),
        "reloads.query_version": table.version,
        **notes,
    }
