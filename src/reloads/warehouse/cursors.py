"""Cursors: how far a follower has followed the log of a table. ``warehouse/.cursors/<table>/<follower>.json``.

A follower first writes down up to where it is about to ask, then asks, and then moves on. So what it asks for after a
crash is the same as before it, and whoever takes requests can tell that it was asked for twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reloads.errors import OperatorError, one_line
from reloads.files import make_folder, read_json, write_atomically
from reloads.locks import file_lock
from reloads.warehouse.commit import Point
from reloads.warehouse.layout import cursors_folder
from reloads.warehouse.mirror import mirror_of

AIRFLOW = "=airflow"
"""Airflow as a follower; no table can have that name."""


@dataclass(frozen=True)
class Position:
    """How far a follower has come."""

    followed: Point
    asking: Point | None = None
    """Up to where it was about to ask when it was last seen."""


@dataclass(frozen=True)
class Cursor:
    """The cursor of one follower in the log of one table.

    Those who follow take and write requests, so they are where ``landing`` is, and hold a cursor by a lock there also
    where the warehouse is in an object store. Two that ask at once ask for the same, and nothing twice.
    """

    warehouse: Path
    table: str
    follower: str

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it for oneself: one process at a time asks for what follows."""
        with file_lock(self._path.with_suffix(".lock")):
            yield

    def read(self) -> Position | None:
        """The position; None where the follower has none yet. Raises ``OperatorError`` for a damaged file."""
        mirror = mirror_of(self.warehouse)
        if mirror:
            content = mirror.store.read(mirror.key_of(self._path))
            if content is None:
                return None
            make_folder(self._path.parent)
            write_atomically(self._path, content.data.decode(errors="replace"))
        if not self._path.exists():
            return None
        fields = read_json(self._path)
        try:
            asking = fields["asking"]
            return Position(Point.parse(fields["followed"]), Point.parse(asking) if asking else None)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            reason = one_line(error)
            raise OperatorError(f"{self._path} is not a cursor ({reason}); restore the file, or remove it") from error

    def write(self, position: Position) -> None:
        """Replace the position."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        asking = str(position.asking) if position.asking else None
        text = json.dumps({"followed": str(position.followed), "asking": asking}) + "\n"
        if mirror := mirror_of(self.warehouse):
            mirror.store.write(mirror.key_of(self._path), text.encode())
        write_atomically(self._path, text)

    @property
    def _path(self) -> Path:
        return cursors_folder(self.warehouse, self.table) / f"{self.follower}.json"


def followers(warehouse: Path, table: str) -> list[str]:
    """Those that have a cursor in the log of that table, sorted."""
    folder = cursors_folder(warehouse, table)
    if mirror := mirror_of(warehouse):
        names = [Path(found.key) for found in mirror.store.look(mirror.key_of(folder))]
    else:
        names = list(folder.glob("*.json"))
    return sorted(path.stem for path in names)
