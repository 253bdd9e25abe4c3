"""Dropping a table: its definition and all that is published of it are put away, kept for a while, and then removed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from reloads.errors import OperatorError, ReloadsError, RequestError, one_line
from reloads.files import cannot_write, make_folder, read_json, write_atomically
from reloads.runs.idle_table import refuse_bad_name, refuse_busy, refuse_read
from reloads.runs.table_move import (
    begin_move,
    carry_out,
    end_move,
    find_interrupted,
    find_places,
    hold_tables,
    refuse_interrupted,
    refuse_taken,
)
from reloads.runs.table_places import named_places
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.layout import DATA_FILE, dropped_folder, versions_folder
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.move_notes import TableMove
from reloads.warehouse.upgrade import open_catalog

LEAST_DAYS = 7
"""So long a dropped table is kept, even if its replaced partitions are not."""

NOTE = "drop.json"


@dataclass(frozen=True)
class DroppedTable:
    """A table that was dropped and is still kept."""

    table: str
    name: str
    """``<table>@<time>``, as its folders are called."""
    keep_until: datetime
    by: str | None


@dataclass(frozen=True)
class TableSize:
    """What there is of a table."""

    partitions: int
    bytes: int
    """Of the published partitions and of those that are kept for an undo."""


def size_of(settings: Settings, table: str) -> TableSize:
    """What dropping the table takes away; raises ``RequestError`` if it cannot be dropped now."""
    refuse_bad_name(table, "reloads tables lists them")
    with hold_tables(settings, table):
        if not find_interrupted(settings, table):
            _refuse(settings, table)
    if mirror := mirror_of(settings.warehouse):
        versions = mirror.store.look(mirror.key_of(versions_folder(settings.warehouse, table)))
        published = [found for found in mirror.store.look(table) if found.key.endswith(f"/{DATA_FILE}")]
        return TableSize(len(published), sum(found.size for found in versions if found.key.endswith(".parquet")))
    files = named_places(settings, table).files
    sizes: dict[int, int] = {}
    for path in (*files["data"].rglob("*.parquet"), *files["versions"].rglob("*.parquet")):
        with suppress(FileNotFoundError):  # it expired just now
            status = path.stat()
            # A published file is a link to a version.
            sizes[status.st_ino] = status.st_size
    return TableSize(sum(1 for _ in files["data"].rglob(DATA_FILE)), sum(sizes.values()))


def drop_table(settings: Settings, table: str, *, now: datetime, by: str | None = None) -> DroppedTable:
    """Put the table away; ``restore_table`` brings it back until its time is over.

    It is kept for its ``history_days``, and for a week at least. Raises ``RequestError`` where it is unknown, in use or
    read by another table, and ``OperatorError`` where the disk refuses a step; then the same command carries it on.
    """
    refuse_bad_name(table, "reloads tables lists them")
    name = f"{table}@{now:%Y%m%dT%H%M%SZ}"
    with hold_tables(settings, table):
        move = refuse_interrupted(settings, TableMove("drop", table, name))
        if move is None:
            catalog = _refuse(settings, table)
            days = catalog.tables[table].settings.history_days if table in catalog.tables else 0
            keep_until = now + timedelta(days=max(days, LEAST_DAYS))
            dropped = DroppedTable(table, name, keep_until, by)
            _write_note(settings, dropped)
            try:
                move = begin_move(settings, TableMove("drop", table, dropped.name))
            except ReloadsError:
                remove_dropped_table(settings, dropped)
                raise
        carry_out(settings, move)
        end_move(settings, move)
        return _find_dropped(settings, move.other)


def restore_table(settings: Settings, table: str) -> DroppedTable:
    """Bring the table back that was dropped last under that name.

    Raises ``RequestError`` where there is none, or where another table has its name now.
    """
    refuse_bad_name(table, "reloads tables lists them")
    with hold_tables(settings, table):
        move = refuse_interrupted(settings, TableMove("restore", table, ""))
        if move is None:
            dropped = [each for each in dropped_tables(settings) if each.table == table]
            if not dropped:
                raise RequestError(f"no dropped table {table[:80]!r} is kept; load it anew")
            cure = "rename that table, or drop it"
            refuse_taken(settings, table, cure)
            move = begin_move(settings, TableMove("restore", table, dropped[-1].name))
        restored = _find_dropped(settings, move.other)
        carry_out(settings, move)
        end_move(settings, move)
        remove_dropped_table(settings, restored)
        return restored


def dropped_tables(settings: Settings) -> list[DroppedTable]:
    """The dropped tables that are kept, by name and time."""
    folder = dropped_folder(settings.warehouse)
    if mirror := mirror_of(settings.warehouse):
        keys = [Path(found.key) for found in mirror.store.look(mirror.key_of(folder))]
        names = [key.parent.name for key in keys if key.name == NOTE and len(key.parts) == len((folder.name, "", ""))]
    else:
        names = [path.parent.name for path in folder.glob(f"*/{NOTE}")]
    return [_find_dropped(settings, name) for name in sorted(names)]


def remove_dropped(settings: Settings, *, now: datetime) -> int:
    """Remove the dropped tables whose time is over; returns their number."""
    removed = 0
    for dropped in list(dropped_tables(settings)):
        if dropped.keep_until < now and not find_interrupted(settings, dropped.table, dropped.name):
            remove_dropped_table(settings, dropped)
            removed += 1
    return removed


def remove_dropped_table(settings: Settings, dropped: DroppedTable) -> None:
    """Remove all that is kept of it; raises ``OperatorError`` where the disk or the store refuses that."""
    if mirror := mirror_of(settings.warehouse):
        note = mirror.key_of(_note(settings, dropped.name))
        keys = [found.key for found in mirror.store.look(str(Path(note).parent))]
        mirror.store.remove([key for key in keys if key != note])
    for folder in _folders(settings, dropped.name):
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise cannot_write(folder, error) from error
    if mirror:
        mirror.store.remove([note])


def _refuse(settings: Settings, table: str) -> Catalog:
    """Raise ``RequestError`` where the table cannot be dropped now."""
    catalog = open_catalog(settings)
    if not catalog.has(table) and not find_places(settings, table):
        catalog[table]  # raises with the names that there are
    refuse_read(catalog, table, f"drop that first, or take {table} out of its query")
    refuse_busy(settings, table)
    return catalog


def _folders(settings: Settings, dropped: str) -> Iterator[Path]:
    """Where a dropped table lies, the folder of its note last."""
    for place in (settings.tables, settings.landing, settings.warehouse):
        yield dropped_folder(place) / dropped


def _note(settings: Settings, dropped: str) -> Path:
    return dropped_folder(settings.warehouse) / dropped / NOTE


def _write_note(settings: Settings, dropped: DroppedTable) -> None:
    path = _note(settings, dropped.name)
    fields = {"table": dropped.table, "keep_until": dropped.keep_until.isoformat(), "by": dropped.by}
    text = json.dumps(fields) + "\n"
    if mirror := mirror_of(settings.warehouse):
        mirror.store.write(mirror.key_of(path), text.encode())
        return
    make_folder(path.parent)
    write_atomically(path, text)


def _read_note(settings: Settings, path: Path) -> Any:
    """The fields of the note; raises ``ValueError`` in a store and ``OperatorError`` in a folder if it is damaged."""
    mirror = mirror_of(settings.warehouse)
    if mirror is None:
        return read_json(path)
    content = mirror.store.read(mirror.key_of(path))
    if content is None:
        raise ValueError("it is not there")
    return json.loads(content.data)


def _find_dropped(settings: Settings, name: str) -> DroppedTable:
    """The dropped table of that name; raises ``OperatorError`` where its note is lost or damaged."""
    path = _note(settings, name)
    try:
        fields = _read_note(settings, path)
        keep_until = datetime.fromisoformat(fields["keep_until"])
        return DroppedTable(fields["table"], name, keep_until, fields["by"])
    except (LookupError, TypeError, ValueError) as error:
        raise OperatorError(f"{path} is not the note of a dropped table ({one_line(error)}); restore it") from error
