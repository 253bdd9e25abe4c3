"""Linking the versions of a batch's inputs into its staging folder, for each input as of one commit.

The query then neither mixes two versions nor meets a file that is gone, and the commit can say how far it was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.days import Days
from reloads.errors import InputError
from reloads.files import cannot_write, link_or_copy
from reloads.rewriting.context import Locations, Provenance
from reloads.rewriting.strangers import read_with_strangers
from reloads.tables.definition import Table
from reloads.tables.lineage import input_days
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.current_view import version_file
from reloads.warehouse.delta_table import read_snapshot, snapshot_point
from reloads.warehouse.layout import DATA_FILE
from reloads.warehouse.mirror import fetch_files
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.state import Head, Snapshot

if TYPE_CHECKING:
    import duckdb

TRIES = 3
"""So often a version may be replaced and expire while it is being linked."""


@dataclass(frozen=True)
class LinkedInput:
    """The files of one input, and what its log said of the table when they were linked."""

    table: Table
    head: Head
    files: tuple[Path, ...] = ()

    @property
    def point(self) -> Point:
        """How far its log was read."""
        return self.head.point


def link_inputs(
    db: duckdb.DuckDBPyConnection, table: Table, days: Days, *, place: Locations, folder: Path, provenance: Provenance
) -> dict[str, LinkedInput]:
    """Link the versions that ``days`` of ``table`` depend on into ``folder``, for each input as of one commit.

    Raises ``InputError`` where a version is lost.
    """
    linked: dict[str, LinkedInput] = {}
    for name, window in table.inputs.items():
        source, wanted_days = folder_of(place.warehouse, place.inputs[name]), input_days(days, window)
        snapshot = read_with_strangers(db, source, wanted_days, run=provenance.run, now=provenance.written_at)
        if place.inputs[name].has_snapshots(place.snapshots) and snapshot_point(source) != snapshot.head.point:
            shown = _link_shown(source, snapshot.head, wanted_days, root=folder)
            if shown is not None:
                head, files = shown
                linked[name] = LinkedInput(place.inputs[name], head, files)
                continue
        for number in range(TRIES):
            root = folder / str(number)
            missing = next(_find_missing(source, snapshot, root), None)
            if missing is None:
                files = tuple(root / name / str(part) / DATA_FILE for part, _ in _versions(source, snapshot))
                linked[name] = LinkedInput(place.inputs[name], snapshot.head, files)
                break
            # It was replaced and has expired, as with history_days = 0; if it was not, it is lost.
            snapshot = state_of(source).read(wanted_days)
        else:
            raise InputError(f"the table '{name}' has lost the file of {missing}; reload that partition")
    return linked


def _link_shown(source: TableFolder, head: Head, days: Days, *, root: Path) -> tuple[Head, tuple[Path, ...]] | None:
    """Link what the table's snapshot shows of these days, as it is behind the log while a run is at work.

    None where there is no snapshot yet.
    """
    shown = read_snapshot(source)
    if shown is None:
        return None
    files: list[Path] = []
    fetch_files(source.warehouse, [file for name, file in shown.files.items() if name.day in days])
    for name, file in shown.files.items():
        if name.day in days:
            link = root / "snapshot" / source.table / str(name) / DATA_FILE
            try:
                link.parent.mkdir(parents=True)
                link_or_copy(file, link)
            except OSError as error:
                raise cannot_write(link, error) from error
            files.append(link)
    return replace(head, point=shown.point, columns=shown.columns or head.columns), tuple(files)


def _versions(source: TableFolder, snapshot: Snapshot) -> Iterator[tuple[PartitionName, Path]]:
    """The partitions that have rows now, each with the file of its version."""
    for name, entry in snapshot.entries.items():
        if entry.version and source.has_form_of(name):
            yield name, version_file(source, name, entry)


def _find_missing(source: TableFolder, snapshot: Snapshot, root: Path) -> Iterator[PartitionName]:
    """Link all versions of the snapshot below ``root``; the partitions whose version is not there."""
    fetch_files(source.warehouse, [file for _, file in _versions(source, snapshot)])
    for name, file in _versions(source, snapshot):
        link = root / source.table / str(name) / DATA_FILE
        try:
            link.parent.mkdir(parents=True)
            link_or_copy(file, link)
        except FileNotFoundError:
            yield name
        except OSError as error:
            raise cannot_write(link, error) from error
