"""The log of a table's commits, only ever appended to. ``warehouse/.log/<table>/<number>.json``.

Whoever creates the file of a commit has published; nobody can create it a second time. In an object store a commit that
is removed leaves an empty object, so that its number is never free again for a machine that has long not read the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from reloads.errors import OperatorError, RequestError, one_line
from reloads.files import cannot_write, create_atomically, make_folder, write_atomically
from reloads.warehouse.commit import Commit, dump_commit, parse_commit
from reloads.warehouse.layout import log_folder
from reloads.warehouse.log_ends import LogEnd, end_file, find_place, refuse_held
from reloads.warehouse.mirror import Mirror, mirror_of


def tables_with_log(warehouse: Path) -> list[str]:
    """The names of the tables that have a log, sorted."""
    logs = log_folder(warehouse, "any").parent
    if mirror := mirror_of(warehouse):
        names = {
            mirror.path_of(found.key).relative_to(logs).parts[0] for found in mirror.store.look(mirror.key_of(logs))
        }
        return sorted(names)
    return sorted(path.name for path in logs.glob("*") if path.is_dir())


TRIMMED = b""
"""What the store holds in the place of a commit that was removed."""


_missing: ContextVar[set[Path] | None] = ContextVar("missing", default=None)
"""The commits that the store did not have, for who asks for each log once."""


@contextmanager
def ask_each_log_once() -> Iterator[None]:
    """Ask a store only once for what follows in a log, for who looks at tables that read one another.

    What another machine publishes after that is seen by the next one who looks.
    """
    token = _missing.set(set())
    try:
        yield
    finally:
        _missing.reset(token)


class ConflictError(OperatorError):
    """Somebody else has published the commit of that number."""


class TrimmedError(Exception):
    """The next commit was removed from the log in the store before this mirror read it."""


class EndedError(TrimmedError):
    """The log ends here."""

    def __init__(self, end: LogEnd) -> None:
        super().__init__(end.command)
        self.end = end


@dataclass(frozen=True)
class CommitLog:
    """The commits of one table. The oldest may have been removed; there is no gap behind the first."""

    warehouse: Path
    table: str
    is_read: bool = False
    """Whether the mirror is known to have all commits of the store, so that it is not asked for more."""
    place: str | None = None
    """Which of the logs of that name it is, as ``log_ends`` says; None for the last one that is known here."""

    @property
    def folder(self) -> Path:
        """Where it lies."""
        place = find_place(self.warehouse, self.table) if self.place is None else self.place
        return log_folder(self.warehouse, self.table) / place

    @property
    def mirror(self) -> Mirror | None:
        """The mirror that it is in, if it is in one."""
        return mirror_of(self.warehouse)

    def create(self, commit: Commit) -> None:
        """Append the commit, which outlasts a power cut once this returns.

        Raises ``OperatorError`` where the disk or the store refuses it, and ``ConflictError`` where somebody else has
        published that number.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path, text = self._path(commit.number), dump_commit(commit)
        try:
            if self.mirror:
                self.mirror.store.create(self.mirror.key_of(path), text.encode())
                self._keep(commit, text)
            else:
                create_atomically(path, text, time_ns=commit.published_ns)
        except FileExistsError as error:
            raise ConflictError(f"{path} is there already, somebody else published it; try again") from error

    def read(self, number: int) -> Commit | None:
        """The commit of that number; None where there is none. Raises ``OperatorError`` if it cannot be understood."""
        try:
            return self.try_to_read(number)
        except TrimmedError:
            return None

    def try_to_read(self, number: int) -> Commit | None:
        """The same; raises ``TrimmedError`` where the store says that it was removed, or that the log ends there."""
        path = self._path(number)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return self._pull(number) if self.mirror else None
        except OSError as error:
            raise OperatorError(f"{path} cannot be read ({error.strerror}); grant access to it") from error
        return self._parse(path, data)

    def is_older(self, number: int, limit: datetime) -> bool:
        """Whether the commit of that number may have been published by then; its file's time says so, unread.

        A copy of the file may have a later time, and then counts as younger than it is.
        """
        if self.mirror and not self._path(number).exists():
            self.read(number)
        try:
            # A second more, as not every file system keeps fractions.
            return self._path(number).stat().st_mtime <= limit.timestamp() + 1
        except FileNotFoundError:
            return False

    def __contains__(self, number: int) -> bool:
        """Whether the commit of that number is kept."""
        return self._path(number).is_file() or (self.mirror is not None and self.read(number) is not None)

    def after(self, number: int) -> Iterator[Commit]:
        """The commits behind that number, oldest first. Looks for one after the other, and lists no folder."""
        log = self._pinned()
        while commit := log.read(number + 1):
            yield commit
            number += 1

    def unread_after(self, number: int) -> Iterator[Commit]:
        """The same for who has read up to that number, and has to read all that follows.

        Raises ``TrimmedError`` where the next one was removed from the log in a store.
        """
        log = self._pinned()
        while commit := log.try_to_read(number + 1):
            yield commit
            number += 1

    def numbers(self) -> list[int]:
        """The numbers of all commits that are kept, ascending."""
        if self.mirror:
            paths = [Path(each.key) for each in self.mirror.store.look(self.mirror.key_of(self.folder)) if each.size]
            own = [path for path in paths if path.parent == Path(self.mirror.key_of(self.folder))]
        else:
            own = list(self.folder.glob("*.json"))
        return sorted(int(path.stem) for path in own if path.stem.isdecimal())

    def remove(self, number: int) -> None:
        """Forget a commit, the oldest one, of which nothing is needed any more."""
        if self.mirror:
            self.mirror.store.write(self.mirror.key_of(self._path(number)), TRIMMED)
        self._path(number).unlink(missing_ok=True)

    def find_end(self) -> LogEnd | None:
        """The end of the log in a store, noted there before its commits are removed; None where there is none."""
        if self.mirror is None:
            return None
        place = self._pinned().place or ""
        content = self.mirror.store.read(self.mirror.key_of(end_file(self.warehouse, self.table, place)))
        return LogEnd.parse(content.data) if content else None

    def refuse_lost(self, number: int) -> None:
        """Raise ``OperatorError`` if the store lost the last commit that was read from it, as if somebody cleared it.

        A commit behind it would otherwise be the only one of its log.
        """
        path = self._path(number)
        if self.mirror is None or not path.exists():
            return
        key = self.mirror.key_of(path)
        content = self.mirror.store.read(key)
        if content is None or content.data not in (TRIMMED, path.read_bytes()):
            cure = f"restore that object or, if the table was to begin anew, move {self.warehouse} away"
            raise OperatorError(f"{self.mirror.store.url}/{key} is not what {path} read there; {cure}")

    def _pinned(self) -> CommitLog:
        """The same log, also once this machine knows of a later one of that name."""
        return self if self.place is not None else replace(self, place=find_place(self.warehouse, self.table))

    def _pull(self, number: int) -> Commit | None:
        """Read a commit from the store and keep it here."""
        if self.mirror is None or number <= 0 or self.is_read:
            return None
        path, missing = self._path(number), _missing.get()
        if missing is not None and path in missing:
            return None
        content = self.mirror.store.read(self.mirror.key_of(path))
        if content is None:
            if missing is not None:
                missing.add(path)
            return None
        if content.data == TRIMMED:
            raise TrimmedError(str(path))
        if end := LogEnd.parse(content.data):
            raise EndedError(end)
        refuse_held(self.table, content.data)
        commit = self._parse(path, content.data)
        self._keep(commit, content.data.decode())
        return commit

    def _keep(self, commit: Commit, text: str) -> None:
        make_folder(self.folder)
        try:
            write_atomically(self._path(commit.number), text)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        os.utime(self._path(commit.number), ns=(commit.published_ns, commit.published_ns))

    def _parse(self, path: Path, data: bytes) -> Commit:
        try:
            return parse_commit(data)
        except (LookupError, TypeError, ValueError, AttributeError, RequestError) as error:
            raise OperatorError(f"{path} is not a commit ({one_line(error)}); restore that file") from error

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.json"
