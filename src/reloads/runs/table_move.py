"""Moving a table whole: to another name, out of the way, or back.

A move notes what it is about to do, takes the definition away, renames one place after the other, and brings the
definition last. Until then there is no such table, so nobody loads half of it. A move that was interrupted is carried
on by the same command, and until then refuses any other of its tables.

What lies in an object store is copied there and then removed, see ``warehouse.stored_move``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reloads.errors import OperatorError, RequestError
from reloads.files import cannot_write, make_folder, sync_written
from reloads.locks import file_lock
from reloads.requests.batch_notes import forget_batches
from reloads.runs.table_places import Places, dropped_places, named_places
from reloads.settings import Settings
from reloads.warehouse.layout import lock_file
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.move_notes import TableMove, forget, list_begun, moves_folder, note_begin
from reloads.warehouse.stored_move import StoredMove, list_stored, plan_stored_move


def find_interrupted(settings: Settings, *tables: str) -> TableMove | None:
    """The move of one of these tables that was not carried to its end, if there is one."""
    for move in list_begun(settings.warehouse):
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
        stack.enter_context(file_lock(moves_folder(settings.warehouse) / ".lock"))
        for table in sorted(tables):
            stack.enter_context(file_lock(lock_file(settings.warehouse, table)))
        yield


def begin_move(settings: Settings, move: TableMove) -> TableMove:
    """Note the move and take the definition away; from then on it is to be carried to its end. Returns what was noted.

    Only who holds its tables may. Raises ``OperatorError`` where the disk refuses that; then nothing was begun.
    """
    if mirror := mirror_of(settings.warehouse):
        mirror.probe_once()
        move = plan_stored_move(mirror, move)
    note_begin(settings.warehouse, move)
    source, _ = _ends(settings, move)
    try:
        _rename(source.definition, _away(settings, move))
    except OperatorError:
        forget(settings.warehouse, move)
        raise
    return move


def carry_out(settings: Settings, move: TableMove) -> None:
    """Move all but the definition, which is away after it. A second time it changes nothing more.

    Raises ``OperatorError`` where the disk or the store refuses a step, or where something is in the way, and
    ``RequestError`` where another machine was faster to publish a table of the new name; then nothing was begun.
    """
    source, target = _ends(settings, move)
    mirror = mirror_of(settings.warehouse)
    # Again, as it may have been killed before.
    _rename(source.definition, _away(settings, move))
    if mirror:
        try:
            StoredMove(mirror, move).claim()
        except RequestError:
            _rename(_away(settings, move), source.definition)
            forget(settings.warehouse, move)
            raise
        StoredMove(mirror, move).carry_out()
    forget_batches(settings.landing, move.table)
    for name, path in source.files.items():
        _rename(path, target.files[name])
    for other, path in source.cursors():
        _rename(path, target.cursor(other))
    if move.act == "rename" and mirror is None:
        own = target.files["cursors"]
        _rename(own / f"{move.table}.json", own / f"{move.other}.json")


def end_move(settings: Settings, move: TableMove) -> None:
    """Bring the definition, and forget the move."""
    _, target = _ends(settings, move)
    _rename(_away(settings, move), target.definition)
    forget(settings.warehouse, move)


def find_places(settings: Settings, table: str) -> list[Path | str]:
    """What there is of a table of that name: paths, and URLs in an object store. Only who holds it may."""
    places: list[Path | str] = [*named_places(settings, table).all()]
    if mirror := mirror_of(settings.warehouse):
        places += list_stored(mirror, table)
    return places


def refuse_taken(settings: Settings, name: str, cure: str) -> None:
    """Raise ``RequestError`` if anything lies where a table of that name belongs."""
    taken = find_places(settings, name)
    if taken:
        raise RequestError(f"{name!r} is taken, {taken[0]} is there; {cure}")


def _ends(settings: Settings, move: TableMove) -> tuple[Places, Places]:
    """From where to where it goes."""
    here = named_places(settings, move.table)
    if move.act == "rename":
        return here, named_places(settings, move.other)
    there = dropped_places(settings, move.other)
    return (here, there) if move.act == "drop" else (there, here)


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
