"""Moving a table whole in an object store, where nothing can be renamed: its objects are copied, and then removed.

1. The name that it gets is claimed: the log of that name, which is empty, ends, and the next one begins with a hold.
2. Its own log ends, and the next one of the name that it leaves begins with a hold. From then on nobody publishes it.
3. The objects are copied under their new keys, until a list of both sides shows that none is missing. Nothing is
   overwritten: the log is created object by object, and versions have names that no other file has.
4. The first commit takes the place of the hold: the table is there, under its new name. Readers are shown it.
5. The old objects are removed, each if its copy is there; those of the log stay, without content.
6. An empty log takes the place of the other hold: the old name is free.

A dropped table has no name, so 1 and 4, or 2 and 6, fall away. Each step sees by what is there whether it was done: a
move that was killed is carried on by taking all of them again. Once the old name is free nothing of it is touched, so
who was believed dead and goes on does no harm to the next table of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from uuid import uuid4

from reloads.errors import OperatorError, RequestError
from reloads.warehouse.access import state_of
from reloads.warehouse.commit_log import TRIMMED
from reloads.warehouse.layout import DATA_FILE, view_note
from reloads.warehouse.log_ends import LogEnd, dump_hold, end_file, is_hold
from reloads.warehouse.mirror import Mirror
from reloads.warehouse.move_notes import MovedLogs, TableMove
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import State, write_empty_checkpoint
from reloads.warehouse.stored_side import StoredSide
from reloads.warehouse.stored_view import bring_stored_view

ROUNDS = 10
"""So often objects may come while others are copied."""


def plan_stored_move(mirror: Mirror, move: TableMove) -> TableMove:
    """The move, with the logs that end and begin by it. Only who holds its tables may.

    Raises ``HeldError`` where another move of one of its names is at work.
    """
    logs = MovedLogs(begun=uuid4().hex[:16], freed=uuid4().hex[:16])
    if move.act != "restore":
        logs = replace(logs, left=_find_last(mirror, move.table)[0])
    if move.act != "drop":
        place, number = _find_last(mirror, move.new_name)
        logs = replace(logs, ended=place, ended_at=number + 1)
    return replace(move, logs=logs)


def _find_last(mirror: Mirror, table: str) -> tuple[str, int]:
    """Where the last log of that name lies, and its last number."""
    state = _held_state(mirror, table)
    number = state.read_head().point.number
    return state.pinned().place or "", number


def _held_state(mirror: Mirror, table: str) -> State:
    # Only its head is read, which needs no columns.
    return State(mirror.folder, table, "", is_locked=True)


def list_stored(mirror: Mirror, table: str) -> list[str]:
    """The URLs of some of what the store has of a table of that name, if it has anything. Only who holds it may."""
    side = StoredSide(mirror, table, _find_last(mirror, table)[0])
    keys = [side.log] if _held_state(mirror, table).read_head().day_column else []
    for folder in (table, *side.folders):
        keys += [found.key for found in mirror.store.look(folder)][:1]
    keys += [key for _, key in (*side.list_cursors(), *side.list_follows())]
    return [f"{mirror.store.url}/{key}" for key in keys]


@dataclass(frozen=True)
class _Copy:
    """An object that moves."""

    key: str
    copy: str
    size: int | None = None
    """Of a file; None for what is small, and may change while nobody looks."""

    def is_among(self, sizes: Mapping[str, int]) -> bool:
        """Whether its copy is one of the objects with these sizes."""
        return self.copy in sizes and self.size in (None, sizes[self.copy])


@dataclass(frozen=True)
class StoredMove:
    """The move of a table in the store of that mirror, as ``plan_stored_move`` planned it."""

    mirror: Mirror
    move: TableMove

    def claim(self) -> None:
        """Claim the name that the table gets. A second time it changes nothing more.

        Raises ``RequestError`` if another machine has published a table of that name; then nothing was begun.
        """
        target, logs = self._target, self._logs
        if target.place is None:
            return
        self._hold(target)
        ended, end = replace(target, place=logs.ended), LogEnd(logs.begun, self.move.command)
        try:
            self.mirror.store.create(f"{ended.log}/{logs.ended_at}.json", end.dump())
        except FileExistsError as error:
            self.mirror.store.remove([target.first])
            what = f"{target.table!r} is taken, another machine published a table of that name just now"
            raise RequestError(f"{what}; choose another name, or put that table away") from error
        self._note_end(ended, end)

    def carry_out(self) -> None:
        """Move all that the store has of the table, once its new name is claimed. A second time it does nothing more.

        Raises ``OperatorError`` where the store does not let it.
        """
        source, target = self._source, self._target
        if self._is_done():
            return
        last = self._end_source()
        self._copy_all(last)
        if target.place is not None:
            # Who was late may have noted that the table is shown there, when it had that name before.
            self.mirror.store.remove([self.mirror.key_of(view_note(self.mirror.folder, target.table))])
            self._release(target, is_empty=not last)
            self._show()
        self._remove_files()
        self._remove_rest(last)
        if source.place is not None:
            self._release(replace(source, place=self._logs.freed), is_empty=True)

    def _is_done(self) -> bool:
        """Whether the name that the table left is free: then what lies there is of another one."""
        if self._source.place is None:
            return False
        content = self.mirror.store.read(replace(self._source, place=self._logs.freed).first)
        return content is not None and not is_hold(content.data)

    @property
    def _logs(self) -> MovedLogs:
        if self.move.logs is None:
            raise OperatorError(f"the note of {self.move.command} is of a warehouse in a folder; restore or remove it")
        return self.move.logs

    @cached_property
    def _source(self) -> StoredSide:
        if self.move.act == "restore":
            return StoredSide(self.mirror, self.move.other, None)
        return StoredSide(self.mirror, self.move.table, self._logs.left)

    @cached_property
    def _target(self) -> StoredSide:
        if self.move.act == "drop":
            return StoredSide(self.mirror, self.move.other, None)
        return StoredSide(self.mirror, self.move.new_name, self._logs.begun)

    def _hold(self, side: StoredSide) -> None:
        """Keep others from a log that is to come, unless it has come."""
        with suppress(FileExistsError):
            self.mirror.store.create(side.first, dump_hold(self.move.command))

    def _note_end(self, side: StoredSide, end: LogEnd) -> None:
        """Note the end beside the log, for who finds its commits without content."""
        path = end_file(self.mirror.folder, side.table, side.place or "")
        self.mirror.store.write(self.mirror.key_of(path), end.dump())

    def _end_source(self) -> int:
        """End the log of the table; returns the number of its last commit, 0 where there is none."""
        source, store = self._source, self.mirror.store
        if source.place is None:
            return max(source.list_commits(), default=0)
        end = LogEnd(self._logs.freed, self.move.command)
        self._hold(replace(source, place=end.place))
        while True:
            last = max(source.list_commits(), default=0)
            content = store.read(f"{source.log}/{last}.json") if last else None
            found = LogEnd.parse(content.data) if content else None
            if found and found != end:
                raise OperatorError(f"{store.url}/{source.log} was ended by {found.command}; give that command again")
            if found:
                last -= 1
                break
            with suppress(FileExistsError):  # somebody has published just now
                store.create(f"{source.log}/{last + 1}.json", end.dump())
                break
        self._note_end(source, end)
        return last

    def _release(self, side: StoredSide, *, is_empty: bool) -> None:
        """Put the first commit, or the first object of an empty log, in the place of a hold; nothing if it was."""
        store = self.mirror.store
        content = store.read(side.first)
        if content is None or not is_hold(content.data):
            return
        first = None if is_empty else store.read(self._source.first)
        if is_empty:
            write_empty_checkpoint(self.mirror, self.mirror.path_of(side.log), log=str(side.place))
        with suppress(FileExistsError):  # another process carries on the same move
            store.replace(side.first, first.data if first else TRIMMED, tag=content.tag)

    def _copy_all(self, last: int) -> None:
        """Copy what is not there yet, until all is."""
        store = self.mirror.store
        for _ in range(ROUNDS):
            copies = [*self._list_files(), *self._list_log(last), *self._list_cursors()]
            there = self._list_there()
            missing = [each for each in copies if not each.is_among(there)]
            if not missing or self._is_done():
                return
            store.copy({each.copy: each.key for each in missing if each.size is not None})
            store.copy_new({each.copy: each.key for each in missing if each.size is None})
        raise OperatorError(f"{store.url} gets ever more of {self.move.table}; end what writes there, and ask again")

    def _list_files(self) -> list[_Copy]:
        """The versions, with the log of the Delta table over them, and the rows that a check refused."""
        copies: list[_Copy] = []
        for folder, new_folder in zip(self._source.folders, self._target.folders, strict=True):
            for found in self.mirror.store.look(folder):
                copies.append(_Copy(found.key, new_folder + found.key.removeprefix(folder), found.size))
        return copies

    def _list_log(self, last: int) -> Iterator[_Copy]:
        """The commits, but for the one that a hold waits for, and then the checkpoints.

        In that order: what is seen without content is in a checkpoint that is seen after that.
        """
        source, target = self._source, self._target
        keys = [found.key for number, found in source.list_commits().items() if number <= last]
        for key in (*keys, *source.list_checkpoints()):
            copy = target.log + key.removeprefix(source.log)
            if target.place is None or copy != target.first:
                yield _Copy(key, copy)

    def _list_cursors(self) -> Iterator[_Copy]:
        """The cursors in its log, and its own in the logs of others."""
        for follower, key in self._source.list_cursors():
            is_own = self.move.act == "rename" and follower == self.move.table
            yield _Copy(key, self._target.cursor(self._target.table if is_own else follower))
        for other, key in self._source.list_follows():
            yield _Copy(key, self._target.follows(other))

    def _list_there(self) -> dict[str, int]:
        """The sizes of the copies that are there; of what is small only that it is."""
        target = self._target
        keys = [*target.list_checkpoints(), *(found.key for found in target.list_commits().values())]
        keys += [key for _, key in (*target.list_cursors(), *target.list_follows())]
        return dict.fromkeys(keys, 0) | dict(target.list_files())

    def _show(self) -> None:
        """Show readers the table under its new name, if anything was published of it."""
        table = self._target.table
        head = _held_state(self.mirror, table).read_head()
        if head.day_column:
            folder = TableFolder(self.mirror.folder, table, head.day_column, head.keys)
            bring_stored_view(folder, self.mirror, replace(state_of(folder), is_locked=True))

    def _remove_files(self) -> None:
        """Remove the versions, and then what readers opened: who is late to show a version finds it gone."""
        store, there = self.mirror.store, dict(self._target.list_files())
        copied = [each.key for each in self._list_files() if each.is_among(there)]
        if self._is_done():
            return
        store.remove(copied)
        if self._source.place is None:
            return
        versions, _ = self._target.folders
        partitions = {key.removeprefix(f"{versions}/").rpartition("/")[0] for key in there}
        shown: list[str] = []
        for found in store.look(self.move.table):
            partition = found.key.removeprefix(f"{self.move.table}/").removesuffix(f"/{DATA_FILE}")
            # Whatever else lies there was not published from here.
            if partition in partitions:
                shown.append(found.key)
        if self._is_done():
            return
        store.remove([*shown, self.mirror.key_of(view_note(self.mirror.folder, self.move.table))])

    def _remove_rest(self, last: int) -> None:
        """Remove the cursors and the log; the numbers of a log under a name stay taken."""
        store, source, there = self.mirror.store, self._source, self._list_there()
        cursors = [each.key for each in self._list_cursors() if each.is_among(there)]
        if self._is_done():
            return
        store.remove(cursors)
        commits = [found for number, found in source.list_commits().items() if number <= last]
        if source.place is None:
            store.remove([*source.list_checkpoints(), *(found.key for found in commits)])
        else:
            store.write_all([found.key for found in commits if found.size], TRIMMED)
            store.remove(source.list_checkpoints())
