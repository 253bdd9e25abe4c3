"""The log of a table's commits, only ever appended to. ``warehouse/.log/<table>/<number>.json``.

Whoever creates the file of a commit has published; nobody can create it a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reloads.errors import OperatorError, RequestError, one_line
from reloads.files import create_atomically
from reloads.warehouse.commit import Commit, dump_commit, parse_commit
from reloads.warehouse.layout import log_folder


@dataclass(frozen=True)
class CommitLog:
    """The commits of one table. The oldest may have been removed; there is no gap behind the first."""

    warehouse: Path
    table: str

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return log_folder(self.warehouse, self.table)

    def create(self, commit: Commit) -> None:
        """Append the commit, which outlasts a power cut once this returns.

        Raises ``OperatorError`` where the disk refuses it, or where somebody else has published that number.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(commit.number)
        try:
            create_atomically(path, dump_commit(commit), time_ns=commit.published_ns)
        except FileExistsError as error:
            raise OperatorError(f"{path} is there already, somebody else published it; try again") from error

    def read(self, number: int) -> Commit | None:
        """The commit of that number; None where there is none. Raises ``OperatorError`` if it cannot be understood."""
        path = self._path(number)
        try:
            return parse_commit(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OperatorError(f"{path} cannot be read ({error.strerror}); grant access to it") from error
        except (LookupError, TypeError, ValueError, AttributeError, RequestError) as error:
            raise OperatorError(f"{path} is not a commit ({one_line(error)}); restore that file") from error

    def is_older(self, number: int, limit: datetime) -> bool:
        """Whether the commit of that number may have been published by then; its file's time says so, unread.

        A copy of the file may have a later time, and then counts as younger than it is.
        """
        try:
            # A second more, as not every file system keeps fractions.
            return self._path(number).stat().st_mtime <= limit.timestamp() + 1
        except FileNotFoundError:
            return False

    def __contains__(self, number: int) -> bool:
        """Whether the commit of that number is kept."""
        return self._path(number).is_file()

    def after(self, number: int) -> Iterator[Commit]:
        """The commits behind that number, oldest first. Looks for one after the other, and lists no folder."""
        while commit := self.read(number + 1):
            yield commit
            number += 1

    def numbers(self) -> list[int]:
        """The numbers of all commits that are kept, ascending."""
        return sorted(int(path.stem) for path in self.folder.glob("*.json") if path.stem.isdecimal())

    def remove(self, number: int) -> None:
        """Forget a commit, the oldest one, of which nothing is needed any more."""
        self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.json"
