"""How a batch begins: what it reads is linked as of one moment, before anything is written."""

from __future__ import annotations

from pathlib import Path

from reloads.batch import Batch
from reloads.errors import QueryError
from reloads.rewriting.context import BatchContext, Locations, Provenance, Wishes, build_footer
from reloads.rewriting.engine import Engine
from reloads.rewriting.inputs import create_inputs, set_parameters
from reloads.rewriting.linked_inputs import link_inputs
from reloads.rewriting.schema import query_columns, refuse_types_without_snapshot
from reloads.rewriting.stage import Stage
from reloads.rewriting.strangers import read_with_strangers
from reloads.tables.definition import Table
from reloads.warehouse.access import refuse_moved, state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.partitions import folder_of


def open_context(
    batch: Batch,
    table: Table,
    place: Locations,
    provenance: Provenance,
    engine: Engine,
    folder: Path,
    wishes: Wishes,
) -> BatchContext:
    """The batch with its inputs linked, its parameters set and its columns looked at."""
    _check_keys(batch, table)
    target = folder_of(place.warehouse, table)
    state = state_of(target)
    head = state.read_head()
    if batch.planned_at:
        refuse_moved(state, head, Point.parse(batch.planned_at))
    if (head.day_column, head.keys) != (target.day_column, target.keys):
        # To look for what lies there by other columns lists all days. While the columns stay, none of ours does.
        target.refuse_other_layout()
    # Before anything is read for it: what is published after that was not seen by the query.
    published = read_with_strangers(engine.db, target, batch.days, run=provenance.run, now=provenance.written_at)
    linked = link_inputs(engine.db, table, batch.days, place=place, folder=folder / "inputs", provenance=provenance)
    with engine.limit.bounded(engine.db):
        create_inputs(engine, linked, warehouse=place.warehouse, inputs=place.inputs)
        engine.set_files(table, batch.days)
        set_parameters(engine.db, table, batch.parameters)
        types = query_columns(engine, table)
        if table.has_snapshots(place.snapshots):
            refuse_types_without_snapshot(engine.db, table, types)
        footer = build_footer(table, batch, provenance, {key: types[key] for key in table.settings.keys})
        stage = Stage(table, batch.partition_filter, footer, engine.db, folder, wishes.meter)
        stage.refuse_rows_without_day(batch.days)
    return BatchContext(
        table, batch, place, provenance, stage, target, published, linked, types, wishes.find_wanted_days, engine
    )


def _check_keys(batch: Batch, table: Table) -> None:
    """Raise ``QueryError`` if the table lost a key since it was asked for: rows of one value would replace all rows."""
    for key_filter in (*batch.partition_filter.key_filters, *batch.partition_filter.excluded):
        for key in key_filter:
            if key not in table.settings.keys:
                raise QueryError(f"{table.name} has no key {key} any more; ask for its days again without that key")
