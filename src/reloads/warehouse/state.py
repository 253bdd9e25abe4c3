"""What is known of each partition of a table now: the log, applied. ``warehouse/.state/<table>/``.

    head.json           how far the log was applied, and what holds for the whole table
    2013-01.json        the entries of a month
    2013-01-05.json     those of a day, in a table with keys

It is cut into pieces so that the reload of a day reads and writes what concerns that day, however large the table is.
All of it follows from the log. A reader applies the commits behind the head in memory, so it needs no lock and sees all
of a commit or nothing of it; a writer, who holds the table's lock, brings the files up to the log.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.files import write_all_atomically, write_atomically
from reloads.locks import file_lock, take_lock
from reloads.warehouse.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from reloads.warehouse.commit import Commit, Entry, Point
from reloads.warehouse.commit_log import CommitLog, EndedError, TrimmedError
from reloads.warehouse.layout import lock_file, state_folder, versions_folder
from reloads.warehouse.log_ends import find_place, note_end
from reloads.warehouse.mirror import Mirror
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.piece import FAULTS, Entries, Facts, PartitionForm, Piece, dump_piece

Pieces = dict[str, Entries]

_HEAD = "head.json"
MOST_BEHIND = 8
"""By so many commits a mirror may be behind before a reader writes them down, as there nobody may ever publish."""


@dataclass(frozen=True)
class Head:
    """How far the log was applied, and what holds for the whole table."""

    point: Point
    day_column: str = ""
    keys: tuple[str, ...] = ()
    """Of the partitions' folders; empty before the first commit."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The columns of the table, without those that only folders' names hold."""
    key_types: Mapping[str, str] = field(default_factory=dict)
    published_ns: int = 0
    """The time that the files of the last commit have, later than that of every one before."""
    expired: int = 0
    """The last commit whose replaced versions were removed."""
    trimmed: int = 0
    """The last commit that was removed from the log."""

    def after(self, commit: Commit) -> Head:
        """The head once the commit is applied."""
        return replace(
            self,
            point=commit.point,
            day_column=commit.day_column,
            keys=commit.keys,
            columns=commit.columns,
            key_types=commit.key_types,
            published_ns=commit.published_ns,
        )


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Some days of a table as of one commit, the last one of ``head``. Parsed as far as somebody asks."""

    head: Head
    form: PartitionForm
    pieces: Mapping[str, Piece]
    days: Days | None = None
    """The days that were read; None for all."""

    @cached_property
    def entries(self) -> Mapping[PartitionName, Entry]:
        """Of the partitions of these days and, in a table with keys, of the days as a whole."""
        entries: Entries = {}
        for piece in self.pieces:
            for day, some in self._parse(piece).items():
                if self.days is None or day in self.days:
                    entries |= some
        return entries

    def of_day(self, day: date) -> Mapping[PartitionName, Entry]:
        """The entries of one day, which must be one that was read: nothing is known of any other."""
        if self.days is not None and day not in self.days:
            raise KeyError(f"{day} was not read")
        piece = self.form.piece_of(day)
        return self._parse(piece).get(day, {}) if piece in self.pieces else {}

    def facts_of(self, piece: str) -> Facts:
        """What a plan asks of the partitions of a piece; they may have another form, and lie on other days."""
        return self.pieces[piece].facts() if piece in self.pieces else Facts()

    @cached_property
    def last_changes(self) -> Mapping[date, int]:
        """By day, the last commit that changed anything in it."""
        changes: dict[date, int] = {}
        if self.form.keys:
            for name, entry in self.entries.items():
                changes[name.day] = max(entry.changed, changes.get(name.day, 0))
            return changes
        begin = f"{self.form.day_column}="
        for piece in self.pieces:
            for text, fact in self.facts_of(piece).by_name.items():
                if text.startswith(begin) and "/" not in text:
                    with suppress(ValueError):  # a name that nobody here gives
                        changes[date.fromisoformat(text[len(begin) :])] = fact["changed"]
        return changes

    def with_entries(self, entries: Mapping[PartitionName, Entry]) -> Snapshot:
        """The same with these entries in the place of those that it has of them."""
        changed: Pieces = {}
        for name, entry in entries.items():
            piece = self.form.piece_of(name.day)
            if piece not in changed:
                changed[piece] = self.pieces[piece].entries() if piece in self.pieces else {}
            changed[piece][name] = entry
        pieces = {piece: Piece.of(some) for piece, some in changed.items()}
        return replace(self, pieces={**self.pieces, **pieces})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return (self.head, self.days, self.entries) == (other.head, other.days, other.entries)

    __hash__ = None  # type: ignore[assignment] # as of any value that can be compared and holds a mapping

    def _parse(self, piece: str) -> Mapping[date, Entries]:
        if piece not in self._parsed:
            entries: dict[date, Entries] = {}
            for name, entry in self.pieces[piece].entries().items():
                if self.form.has(name):
                    entries.setdefault(name.day, {})[name] = entry
            self._parsed[piece] = entries
        return self._parsed[piece]

    @cached_property
    def _parsed(self) -> dict[str, Mapping[date, Entries]]:
        return {}


@dataclass(frozen=True)
class State:
    """The state of one table, whose partitions are named by these columns."""

    warehouse: Path
    table: str
    day_column: str
    keys: tuple[str, ...] = ()
    is_held: bool = False
    """Whether this process holds the table and has read its log: of what another machine publishes meanwhile, the
    commit that is created next tells."""
    is_locked: bool = False
    """Whether this process has the table's lock."""
    place: str | None = None
    """Which of the logs of that name it follows from; None for the last one that is known here."""

    @property
    def log(self) -> CommitLog:
        """What it follows from."""
        return CommitLog(self.warehouse, self.table, is_read=self.is_held, place=self.pinned().place)

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        place = find_place(self.warehouse, self.table) if self.place is None else self.place
        return state_folder(self.warehouse, self.table) / place

    def pinned(self) -> State:
        """The same of the log that is the last one known here, and of no later one."""
        return self if self.place is not None else replace(self, place=find_place(self.warehouse, self.table))

    @property
    def form(self) -> PartitionForm:
        """How its partitions are named."""
        return PartitionForm(self.day_column, self.keys)

    def read(self, days: Iterable[date]) -> Snapshot:
        """What is known of these days, as of the last commit. Reads no piece that is not asked for."""
        wanted_days = days if isinstance(days, Days) else Days.of(days)
        head, pieces = self._read(list(self.form.pieces_of(wanted_days)))
        return Snapshot(self._without_other_columns(head), self.form, pieces, wanted_days)

    def read_head(self) -> Head:
        """What holds for the whole table, as of the last commit."""
        head, _ = self._read(())
        return head

    def read_all(self) -> Snapshot:
        """What is known of all days, as of the last commit. Reads every piece."""
        head, pieces = self._read(None)
        return Snapshot(self._without_other_columns(head), self.form, pieces)

    def keeps(self, name: PartitionName, entry: Entry) -> bool:
        """Whether the version of that entry is kept."""
        file = versions_folder(self.warehouse, self.table) / str(name) / entry.file_name
        mirror = self.log.mirror
        return file.is_file() or (mirror is not None and mirror.store.has(mirror.key_of(file)))

    def behind(self) -> list[Commit]:
        """The commits that the files lack, oldest first. Only under the table's lock.

        Of a pinned state it raises ``TrimmedError`` where they are not there any more.
        """
        if self.place is not None:
            return list(self._commits_behind(self._read_head()))
        while True:
            pinned = self.pinned()
            try:
                return pinned.behind()
            except TrimmedError as error:
                pinned.restore(error)

    def checkpoint(self) -> None:
        """Write the state to the store before commits are trimmed there. Only under the table's lock."""
        if mirror := self.log.mirror:
            head, pieces = self.read_pieces(None)
            texts = {name: (piece.text or b"").decode() for name, piece in pieces.items()}
            write_checkpoint(mirror, self.log.folder, head.point.number, Checkpoint(_dump_head(head), texts))

    def restore(self, error: TrimmedError) -> None:
        """Take the state of a mirror from the last checkpoint, or note that the log has ended."""
        mirror = self.log.mirror
        end = error.end if isinstance(error, EndedError) else self.log.find_end()
        if end and self.place is not None:
            note_end(self.warehouse, self.table, self.place, end)
        elif mirror is not None:
            checkpoint = read_checkpoint(mirror, self.log.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_all_atomically({self._file_of(name): text for name, text in checkpoint.pieces.items()})
            write_atomically(self.folder / _HEAD, json.dumps(checkpoint.head) + "\n")

    def apply(self, commit: Commit) -> None:
        """Write down what the commit that follows the head changes; a second time it changes nothing more."""
        head = self._read_head()
        pieces = {piece: self._read_piece(piece) for piece in {self.form.piece_of(name.day) for name in commit.after}}
        self._apply(commit, pieces)
        self._write_pieces(pieces)
        # The head last: until then the commit counts as not applied, and is applied again.
        self.write_head(head.after(commit))

    def forget(self, names: Collection[PartitionName], *, changed: int) -> None:
        """Drop the entries of these partitions that have no rows since that commit. Only under the table's lock."""
        pieces = {piece: self._read_piece(piece) for piece in {self.form.piece_of(name.day) for name in names}}
        for name in names:
            entry = pieces[self.form.piece_of(name.day)].get(name)
            if entry and not entry.version and entry.changed == changed:
                del pieces[self.form.piece_of(name.day)][name]
        self._write_pieces(pieces)

    def write_again(self, entries: Mapping[PartitionName, Entry]) -> None:
        """Replace these entries by what the log says of them. Only under the table's lock."""
        pieces = {piece: self._read_piece(piece) for piece in {self.form.piece_of(name.day) for name in entries}}
        for name, entry in entries.items():
            pieces[self.form.piece_of(name.day)][name] = entry
        self._write_pieces(pieces)

    def _write_pieces(self, pieces: Pieces) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        texts: dict[Path, str] = {}
        for piece, entries in pieces.items():
            texts[self._file_of(piece)] = dump_piece(entries)
        write_all_atomically(texts)

    def write_head(self, head: Head) -> None:
        """Replace the head. Only who holds the table's lock may."""
        write_atomically(self.folder / _HEAD, json.dumps(_dump_head(head)) + "\n")

    def _read(self, wanted: Collection[str] | None) -> tuple[Head, dict[str, Piece]]:
        """As ``read_pieces``, of the log that is the last one of the table's name."""
        state = self
        while True:
            state = state.pinned()
            try:
                return state.read_pieces(wanted)
            except TrimmedError as error:
                with nullcontext() if self.is_locked else file_lock(lock_file(self.warehouse, self.table)):
                    state.restore(error)
            state = replace(state, place=None)

    def read_pieces(self, wanted: Collection[str] | None) -> tuple[Head, dict[str, Piece]]:
        """The head and these pieces, or all of them, with the commits behind the head applied in memory.

        Raises ``TrimmedError`` where those are not there any more.
        """
        head = self._read_head()
        names = self._piece_names() if wanted is None else wanted
        folder = str(self.folder)
        pieces = {name: Piece(_read_bytes(f"{folder}/{name}.json")) for name in names}
        # After the pieces were read: whatever a piece holds is in the log by then.
        changed: Pieces = {}
        first = head.point.number
        for commit in self._commits_behind(head):
            for name in {self.form.piece_of(each.day) for each in commit.after}:
                if name not in changed and (wanted is None or name in pieces):
                    changed[name] = pieces[name].entries() if name in pieces else {}
            self._apply(commit, changed)
            head = head.after(commit)
        for name, entries in changed.items():
            pieces[name] = Piece.of(entries)
        if self.log.mirror and head.point.number - first > MOST_BEHIND:
            self._catch_up()
        return head, pieces

    def _catch_up(self) -> None:
        """Write down the commits that the files of a mirror lack, unless somebody is at it."""
        try:
            handle = take_lock(lock_file(self.warehouse, self.table), os.O_CREAT)
        except BlockingIOError:
            return
        try:
            for commit in self.pinned().behind():
                self.apply(commit)
        except TrimmedError:
            return
        finally:
            os.close(handle)

    def _commits_behind(self, head: Head) -> Iterator[Commit]:
        return self.log.unread_after(head.point.number or head.trimmed)

    def _read_head(self) -> Head:
        fields = _read_json(self.folder / _HEAD)
        try:
            return Head(
                point=Point.parse(fields["point"]),
                day_column=fields["day_column"],
                keys=tuple(fields["keys"]),
                columns=fields["columns"],
                key_types=fields["key_types"],
                published_ns=fields["published_ns"],
                expired=fields["expired"],
                trimmed=fields["trimmed"],
            )
        except FAULTS:
            # A new table, or a state that was lost: the oldest commits may have been removed, and a log that was begun
            # anew begins behind the numbers of the files that the one before left.
            # In a store the first number tells by itself.
            first = 1 if self.log.mirror else min(self.log.numbers(), default=1)
            return Head(Point(), expired=first - 1, trimmed=first - 1)

    def _read_piece(self, piece: str) -> Entries:
        return Piece(_read_bytes(self._file_of(piece))).entries()

    def _file_of(self, piece: str) -> Path:
        return self.folder / f"{piece}.json"

    def _piece_names(self) -> list[str]:
        # Those of an earlier layout stay: they are as long as a month where ours are as long as a day, or vice versa.
        length = len(self.form.piece_of(date.min))
        return [path.stem for path in self.folder.glob("*.json") if path.name != _HEAD and len(path.stem) == length]

    def _without_other_columns(self, head: Head) -> Head:
        """The head; without columns where those are of a time when other columns named the partitions."""
        if (head.day_column, head.keys) == (self.day_column, self.keys):
            return head
        return replace(head, columns={}, key_types={})

    def _apply(self, commit: Commit, pieces: Mapping[str, Entries]) -> None:
        """Change the entries of those pieces that are there."""
        for name, entry in commit.after.items():
            piece = pieces.get(self.form.piece_of(name.day))
            if piece is not None:
                piece[name] = entry


def write_empty_checkpoint(mirror: Mirror, folder: Path, *, log: str) -> None:
    """Write the checkpoint of an empty log in that folder, whose first object has no content; its name is ``log``."""
    head = Head(Point(log, 1), expired=1, trimmed=1)
    write_checkpoint(mirror, folder, 1, Checkpoint(_dump_head(head), {}))


def _dump_head(head: Head) -> dict[str, Any]:
    return {
        "point": str(head.point),
        "day_column": head.day_column,
        "keys": list(head.keys),
        "columns": dict(head.columns),
        "key_types": dict(head.key_types),
        "published_ns": head.published_ns,
        "expired": head.expired,
        "trimmed": head.trimmed,
    }


def _read_json(path: Path) -> Any:
    """The content of a file; None where it is missing or damaged. Raises ``OperatorError`` if it cannot be opened."""
    try:
        return json.loads(_read_bytes(path) or b"")
    except ValueError:
        return None


def _read_bytes(path: Path | str) -> bytes | None:
    """The content of a file; None where it is missing. Raises ``OperatorError`` if it cannot be opened."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - of thousands of pieces, a Path takes twice as long
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}); grant access to it") from error
