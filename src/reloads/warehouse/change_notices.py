"""Notices of change: which days a publication changes, written before it does. ``warehouse/.changes/<table>/``.

A notice is removed once the tables that read this one were asked to follow. So a crash between publishing and asking
loses no wave: the next run of the table finds the notice. One whose publication never came about asks for nothing that
is needed, and the plan of the other table finds that out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reloads.days import Days
from reloads.errors import OperatorError, RequestError, one_line
from reloads.files import read_json, write_atomically
from reloads.warehouse.ledger import table_lock

FOLDER = ".changes"


@dataclass(frozen=True)
class Notice:
    """Days of a table that changed, or may have, and the requests because of which, each with its days."""

    path: Path
    days: Days
    requests: Mapping[str, Days]

    @property
    def id(self) -> str:
        """What tells this notice from all others."""
        return f"{self.path.parent.name}/{self.path.stem}"


def write_notice(warehouse: Path, table: str, stamp: int, *, days: Days, requests: Mapping[str, Days]) -> None:
    """Leave a notice that ``days`` are about to change."""
    folder = warehouse / FOLDER / table
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"days": days.texts(), "requests": {name: days.texts() for name, days in requests.items()}}
    write_atomically(folder / f"{stamp}.json", json.dumps(fields) + "\n")


def read_notices(warehouse: Path, table: str) -> list[Notice]:
    """The notices of a table that nobody has acted upon, of publications that came to an end, oldest first."""
    folder = warehouse / FOLDER / table
    if not any(folder.glob("*.json")):
        return []
    # A notice is there before its files are: who acted upon it now would find that nothing changed.
    with table_lock(warehouse, table):
        paths = sorted(folder.glob("*.json"))
    found = []
    for path in paths:
        with suppress(FileNotFoundError):  # somebody else acted upon it just now
            found.append(_read(path))
    return found


def _read(path: Path) -> Notice:
    try:
        fields = read_json(path)
        requests = {name: Days.parse(texts) for name, texts in fields["requests"].items()}
        return Notice(path, Days.parse(fields["days"]), requests)
    except OperatorError:
        path.stat()
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RequestError) as error:
        raise OperatorError(f"{path} is no notice ({one_line(error)}); restore the file, or remove it") from error
