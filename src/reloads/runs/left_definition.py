"""A definition that a move left behind, as another machine moved the table and this one has tables of its own."""

from __future__ import annotations

from reloads.errors import TableError
from reloads.settings import Settings
from reloads.warehouse.layout import log_folder
from reloads.warehouse.log_ends import find_place
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.state import State


def refuse_left(settings: Settings, table: str) -> None:
    """Raise ``TableError`` if the table was moved in an object store, and its definition here is still that of before.

    Of one that was published since, or never moved as far as this machine has read, nothing is asked.
    """
    mirror, place = mirror_of(settings.warehouse), find_place(settings.warehouse, table)
    if mirror is None or not place or State(settings.warehouse, table, "").read_head().day_column:
        return
    moved = mirror.store.describe(mirror.key_of(log_folder(settings.warehouse, table) / place / "1.json"))
    folder = settings.tables / table
    # A rename of the folder changes its time, too, as when it is put back.
    changed_at = max(path.stat().st_ctime for path in (folder, *folder.iterdir()))
    if changed_at < moved.modified_at.timestamp():
        what = f"{folder} is older than the rename or drop that took {table} away"
        raise TableError(f"{what}; remove it or, if a new table of that name is to begin, write it anew")
