"""Notices of change: which days a publication changes, written before it does. ``warehouse/.changes/<table>/``.

A notice is removed once the downstream tables were asked to follow. So a crash between publishing and asking loses no
wave: the next run of the table finds the notice. A notice whose publication never came about asks for nothing that is
needed, and the plan of the downstream table finds that out.
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
from reloads.warehouse.layout import notices_folder
from reloads.warehouse.ledger import table_lock


@dataclass(frozen=True)
class Notice:
    """Days of a table that changed, or may have, and the requests that changed them, each with its days."""

    path: Path
    days: Days
    requests: Mapping[str, Days]

    @property
    def id(self) -> str:
        """Unique among the notices of all tables."""
        return f"{self.path.parent.name}/{self.path.stem}"


def write_notice(warehouse: Path, table: str, stamp: int, *, days: Days, requests: Mapping[str, Days]) -> None:
    """Leave a notice that ``days`` are about to change."""
    folder = notices_folder(warehouse, table)
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"days": days.texts(), "requests": {name: days.texts() for name, days in requests.items()}}
    write_atomically(folder / f"{stamp}.json", json.dumps(fields) + "\n")


def read_notices(warehouse: Path, table: str) -> list[Notice]:
    """The notices of a table that nobody has acted upon, of publications that have ended, oldest first."""
    folder = notices_folder(warehouse, table)
    if not any(folder.glob("*.json")):
        return []
    # A notice is there before its files are: who acted upon it now would find that nothing changed.
    with table_lock(warehouse, table):
        paths = sorted(folder.glob("*.json"))
    notices: list[Notice] = []
    for path in paths:
        with suppress(FileNotFoundError):  # another run acted upon it just now
            notices.append(_read(path))
    return notices


def _read(path: Path) -> Notice:
    try:
        fields = read_json(path)
        requests = {name: Days.parse(texts) for name, texts in fields["requests"].items()}
        return Notice(path, Days.parse(fields["days"]), requests)
    except OperatorError:
        path.stat()  # raises FileNotFoundError where the notice is gone
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RequestError) as error:
        raise OperatorError(f"{path} is not a notice ({one_line(error)}); restore the file, or remove it") from error
