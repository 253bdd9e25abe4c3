"""Moving a table whole: to another name, out of the way, or back.

A move notes what it is about to do, takes the definition away, renames one place after the other, and brings the
definition last. Until then there is no such table, so nobody loads half of it. A move that was interrupted is carried
on by the same command, and until then refuses any other of its tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from reloads.errors import OperatorError, RequestError, one_line
from reloads.files import cannot_write, make_folder, read_json, sync_written, write_atomically
from reloads.locks import file_lock
from reloads.requests.batch_notes import forget_batches
from reloads.runs.table_places import Places, dropped_places, named_places
from reloads.settings import Settings
from reloads.warehouse.layout import lock_file

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

    def ends(self, settings: Settings) -> tuple[Places, Places]:
        """From where to where it goes."""
        here = named_places(settings, self.table)
        if self.act == "rename":
            return here, named_places(settings, self.other)
        there = dropped_places(settings, self.other)
        return (here, there) if self.act == "drop" else (there, here)


def find_interrupted(settings: Settings, *tables: str) -> TableMove | None:
    """The move of one of these tables that was not carried to its end, if there is one."""
    for path in sorted(_folder(settings).glob("*.json")):
        move = _read_note(path)
        if move.table in tables or move.other in tables:
            return move
    return None


def refuse_interrupted(settings: Settings, move: TableMove) -> TableMove | None:
    """The same move, if it was interrupted and is to be carried on.

    Raises ``RequestError`` if another one of its tables was: nobody knows what that would make of this one.
    """
    interrupted = find_interrupted(settings, move.table, move.other)
    if interrupted and interrupted.command != move.command:
        raise RequestError(f"{interrupted.command} was interrupted; give that command again first")
    return interrupted


@contextmanager
def hold_tables(settings: Settings, *tables: str) -> Iterator[None]:
    """Keep everybody else from publishing any of these tables, and from moving a table."""
    with ExitStack() as stack:
        stack.enter_context(file_lock(_folder(settings) / ".lock"))
        for table in sorted(tables):
            stack.enter_context(file_lock(lock_file(settings.warehouse, table)))
        yield


def begin_move(settings: Settings, move: TableMove) -> None:
    """Note the move, which from then on is to be carried to its end. Only who holds its tables may."""
    make_folder(_folder(settings))
    write_atomically(_note(settings, move), json.dumps(asdict(move)) + "\n")


def carry_out(settings: Settings, move: TableMove) -> None:
    """Move all but the definition, which is away after it. A second time it changes nothing more.

    Raises ``OperatorError`` where the disk refuses a rename, or where something is in the way.
    """
    source, target = move.ends(settings)
    forget_batches(settings.landing, move.table)
    _rename(source.definition, _away(settings, move))
    for name, path in source.files.items():
        _rename(path, target.files[name])
    for other, path in source.cursors():
        _rename(path, target.cursor(other))
    if move.act == "rename":
        own = target.files["cursors"]
        _rename(own / f"{move.table}.json", own / f"{move.other}.json")


def end_move(settings: Settings, move: TableMove) -> None:
    """Bring the definition, and forget the move."""
    _rename(_away(settings, move), move.ends(settings)[1].definition)
    try:
        _note(settings, move).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(_note(settings, move), error) from error
    sync_written(_folder(settings))


def refuse_taken(places: Places, name: str, cure: str) -> None:
    """Raise ``RequestError`` if anything lies where a table of that name belongs."""
    taken = places.all()
    if taken:
        raise RequestError(f"{name!r} is taken, {taken[0]} is there; {cure}")


def _rename(source: Path, target: Path) -> None:
    if not source.exists():
        return
    if target.exists():
        raise OperatorError(f"{target} is there, and {source} belongs there; move one of the two away, and ask again")
    make_folder(target.parent)
    try:
        source.rename(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    for folder in {source.parent, target.parent}:
        sync_written(folder)


def _away(settings: Settings, move: TableMove) -> Path:
    """Where the definition is meanwhile: hidden, so that it defines no table."""
    return settings.tables / f".moving-{move.table}"


def _folder(settings: Settings) -> Path:
    return settings.warehouse / ".moving"


def _note(settings: Settings, move: TableMove) -> Path:
    return _folder(settings) / f"{move.table}.json"


def _read_note(path: Path) -> TableMove:
    fields = read_json(path)
    try:
        return TableMove(fields["act"], fields["table"], fields["other"])
    except (LookupError, TypeError) as error:
        raise OperatorError(f"{path} is not the note of a move ({one_line(error)}); restore or remove it") from error
