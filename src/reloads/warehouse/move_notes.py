"""Moves of whole tables that were begun: a note of each, until it was carried to its end. ``warehouse/.moving/``.

Of a warehouse in an object store the notes are there, so that other machines see them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from reloads.errors import OperatorError, RequestError, one_line
from reloads.files import cannot_write, make_folder, read_json, sync_written, write_atomically
from reloads.warehouse.mirror import mirror_of

Act = Literal["rename", "drop", "restore"]


@dataclass(frozen=True)
class MovedLogs:
    """The logs of a move in an object store, by their places, as ``log_ends`` says."""

    begun: str
    """Where the log of the table lies afterwards, under the name that it gets."""
    freed: str
    """Where the next log of the name lies that it leaves."""
    left: str = ""
    """Where its log lay under that name."""
    ended: str = ""
    """The empty log of the name that it gets."""
    ended_at: int = 0
    """The number with which that one ends."""


@dataclass(frozen=True)
class TableMove:
    """A move of one table."""

    act: Act
    table: str
    other: str
    """The new name of a renamed table; of a dropped one ``<table>@<time>``."""
    logs: MovedLogs | None = None
    """In an object store."""

    @property
    def new_name(self) -> str:
        """What a table is called that is renamed or brought back."""
        return self.other if self.act == "rename" else self.table

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
    if mirror := mirror_of(warehouse):
        keys = [found.key for found in mirror.store.look(mirror.key_of(moves_folder(warehouse)))]
        contents = {f"{mirror.store.url}/{key}": mirror.store.read(key) for key in sorted(keys)}
        return [_parse(url, _load(content.data)) for url, content in contents.items() if content]
    return [_parse(path, read_json(path)) for path in sorted(moves_folder(warehouse).glob("*.json"))]


def note_begin(warehouse: Path, move: TableMove) -> None:
    """Note that the move is to be carried to its end.

    Raises ``RequestError`` if another machine has just begun another one.
    """
    path, text = _note(warehouse, move), json.dumps(asdict(move)) + "\n"
    if mirror := mirror_of(warehouse):
        try:
            mirror.store.create(mirror.key_of(path), text.encode())
        except FileExistsError as error:
            raise RequestError(f"{move.table} is being moved by another machine; wait for it") from error
        return
    make_folder(path.parent)
    write_atomically(path, text)


def forget(warehouse: Path, move: TableMove) -> None:
    """Note that the move is over."""
    path = _note(warehouse, move)
    if mirror := mirror_of(warehouse):
        mirror.store.remove([mirror.key_of(path)])
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    sync_written(path.parent)


def _note(warehouse: Path, move: TableMove) -> Path:
    return moves_folder(warehouse) / f"{move.table}.json"


def _load(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _parse(place: Path | str, fields: Any) -> TableMove:
    try:
        logs = fields.get("logs")
        return TableMove(fields["act"], fields["table"], fields["other"], MovedLogs(**logs) if logs else None)
    except (LookupError, TypeError, AttributeError) as error:
        raise OperatorError(f"{place} is not the note of a move ({one_line(error)}); restore or remove it") from error
