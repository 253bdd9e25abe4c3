"""Moves of whole tables that were begun: a note of each, until it was carried to its end. ``warehouse/.moving/``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from reloads.errors import OperatorError, one_line
from reloads.files import cannot_write, make_folder, read_json, sync_written, write_atomically

Act = Literal["rename", "drop", "restore"]


@dataclass(frozen=True)
class TableMove:
    """A move of one table."""

    act: Act
    table: str
    other: str
    """The new name of a renamed table; of a dropped one ``<table>@<time>``."""

    @property
    def command(self) -> str:
        """What asks for it."""
        if self.act == "rename":
            return f"reloads rename {self.table} {self.other}"
        return f"reloads drop {self.table}{' --undo' if self.act == 'restore' else ''}"


def moves_folder(warehouse: Path) -> Path:
    """Where the notes are."""
    return warehouse / ".moving"


def list_begun(warehouse: Path) -> list[TableMove]:
    """The moves that were begun and not carried to their end; raises ``OperatorError`` for a damaged note."""
    return [_read(path) for path in sorted(moves_folder(warehouse).glob("*.json"))]


def note_begin(warehouse: Path, move: TableMove) -> None:
    """Note that the move is to be carried to its end."""
    make_folder(moves_folder(warehouse))
    write_atomically(_note(warehouse, move), json.dumps(asdict(move)) + "\n")


def forget(warehouse: Path, move: TableMove) -> None:
    """Note that the move is over."""
    path = _note(warehouse, move)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    sync_written(path.parent)


def _note(warehouse: Path, move: TableMove) -> Path:
    return moves_folder(warehouse) / f"{move.table}.json"


def _read(path: Path) -> TableMove:
    fields = read_json(path)
    try:
        return TableMove(fields["act"], fields["table"], fields["other"])
    except (LookupError, TypeError) as error:
        raise OperatorError(f"{path} is not the note of a move ({one_line(error)}); restore or remove it") from error
