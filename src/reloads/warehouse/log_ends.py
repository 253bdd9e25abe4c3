"""Ends of logs: in an object store a name may have several logs, one after the other, as tables are moved away.

    .log/<table>/<number>.json            the first log of that name
    .log/<table>/<place>/<number>.json    each later one

A log ends with an object in the place of its next commit, which names the place of the next log of that name. One alone
can create it, as it is with a commit, and no number of a log that ended is ever free again: whoever still publishes to
it loses, reads the end, and decides anew. Each machine notes the ends that it has read.

While a move is at work, the first object of the log that it makes is a hold, which nobody reads or publishes past.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reloads.errors import OperatorError
from reloads.files import make_folder, write_atomically
from reloads.warehouse.layout import log_folder
from reloads.warehouse.mirror import mirror_of

_END, _HOLD = b'{"end":', b'{"hold":'


@dataclass(frozen=True)
class LogEnd:
    """The end of a log."""

    place: str
    """Where the next log of the same name lies."""
    command: str
    """What ended it."""

    def dump(self) -> bytes:
        """The content of its object; that of the same end is always the same."""
        return json.dumps({"end": self.place, "command": self.command}, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> LogEnd | None:
        """The inverse; None for a commit."""
        if not data.startswith(_END):
            return None
        fields = json.loads(data)
        return cls(fields["end"], fields["command"])


class HeldError(OperatorError):
    """A move of the table is at work, or was interrupted."""


def dump_hold(command: str) -> bytes:
    """The content of the first object of a log that the command has yet to fill."""
    return json.dumps({"hold": command}, separators=(",", ":")).encode()


def is_hold(data: bytes) -> bool:
    """Whether that is the content of such an object."""
    return data.startswith(_HOLD)


def refuse_held(table: str, data: bytes) -> None:
    """Raise ``HeldError`` if the object with that content is a hold."""
    if is_hold(data):
        command = json.loads(data)["hold"]
        raise HeldError(f"{table} is being moved by {command}; wait for it, or give that command again")


def find_place(warehouse: Path, table: str) -> str:
    """Where the log of that name lies below its folder, by the ends that this machine has read; "" for the first one.

    Of a warehouse that is a folder there is one log.
    """
    place = ""
    while mirror_of(warehouse):
        try:
            end = LogEnd.parse(end_file(warehouse, table, place).read_bytes())
        except FileNotFoundError:
            break
        if end is None:
            break
        place = end.place
    return place


def note_end(warehouse: Path, table: str, place: str, end: LogEnd) -> None:
    """Note here that the log at that place has ended. Only under the table's lock."""
    path = end_file(warehouse, table, place)
    make_folder(path.parent)
    write_atomically(path, end.dump().decode())


def end_file(warehouse: Path, table: str, place: str) -> Path:
    """The end of the log at that place: in the mirror once it was read, in the store before its commits are removed."""
    return log_folder(warehouse, table) / place / "end.json"
