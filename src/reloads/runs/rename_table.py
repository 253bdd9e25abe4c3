"""Renaming a table: its definition, all that is published of it, its history and its requests get the new name."""

from __future__ import annotations

from reloads.requests.queue import Queue
from reloads.runs.idle_table import refuse_bad_name, refuse_busy, refuse_read
from reloads.runs.table_move import (
    begin_move,
    carry_out,
    end_move,
    hold_tables,
    refuse_interrupted,
    refuse_taken,
)
from reloads.settings import Settings
from reloads.warehouse.move_notes import TableMove
from reloads.warehouse.upgrade import open_catalog


def rename_table(settings: Settings, old: str, new: str) -> None:
    """Rename the table; afterwards ``old`` is unknown, and can be the name of another one.

    Undo, history and records know it by its new name; requests that were archived keep the old one. It is done whole
    or, if it was killed, by the same command once more. Raises ``RequestError`` where it is in use, is read by another
    table, or the new name is not free, and ``OperatorError`` where the disk or the store refuses a step.
    """
    refuse_bad_name(old, "reloads tables lists them")
    refuse_bad_name(new, "choose such a name")
    move = TableMove("rename", old, new)
    with hold_tables(settings, old, new):
        begun = refuse_interrupted(settings, move)
        if begun is None:
            _refuse(settings, old, new)
            begun = begin_move(settings, move)
        move = begun
        carry_out(settings, move)
        Queue(settings.landing).rename_table(old, new)
        end_move(settings, move)


def _refuse(settings: Settings, old: str, new: str) -> None:
    """Raise ``RequestError`` where the table cannot be renamed now."""
    catalog = open_catalog(settings)
    if not catalog.has(old):
        catalog[old]  # raises with the names that there are
    refuse_taken(settings, new, f"choose another name, or put it away with reloads drop {new}")
    refuse_read(catalog, old, f"write {new} into its query first; it cannot be loaded until {old} has that name")
    refuse_busy(settings, old)
