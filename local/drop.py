"""A request file dropped into the landing folder, and what has come of it so far."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.errors import LocalError
from reloads.catalog import Catalog
from reloads.days import Days
from reloads.errors import OperatorError
from reloads.queue import read_record
from reloads.record import Record
from reloads.request import parse_json, parse_request
from reloads.settings import Settings
from reloads.warehouse import TableFolder


@dataclass(frozen=True)
class Drop:
    """One file that asks for days of one table."""

    landing: Path
    name: str
    table: TableFolder
    days: Days
    at: datetime
    tick: float

    @classmethod
    def make(cls, example: Path, settings: Settings) -> Drop:
        """Copy the example into the drop folder, where it appears whole."""
        raw = example.read_bytes()
        (fields,) = parse_json(raw)
        request = parse_request(fields)
        (name,) = request.tables
        table = TableFolder(settings.warehouse, name, Catalog.load(settings.tables)[name].settings.day_column)
        beside = settings.landing / f".{example.name}"
        beside.write_bytes(raw)
        at, tick = datetime.now(UTC), time.monotonic()
        beside.rename(settings.landing / example.name)
        return cls(settings.landing, example.name, table, request.days, at, tick)

    @property
    def dag_id(self) -> str:
        """The DAG that rewrites the table."""
        return f"rewrite_{self.table.table}"

    @property
    def seconds(self) -> float:
        """The time since the drop."""
        return time.monotonic() - self.tick

    def files(self) -> list[Path]:
        """The partitions asked for that exist."""
        return [path for day in self.days if (path := self.table.partition(day)).is_file()]

    def count_published(self) -> int:
        """How many of the partitions asked for were written after the drop."""
        since = self.at.timestamp()
        return sum(_modified_at(self.table.partition(day)) >= since for day in self.days)

    def record(self) -> Record | None:
        """The request's record once it is finished; raises ``LocalError`` if it was rejected or a day of it failed."""
        label = Path(self.name).stem
        for note in (self.landing / "rejected").glob(f"{label}*.error.txt"):
            if _modified_at(note) >= self.at.timestamp():
                raise LocalError(f"the request was rejected: {note.read_text(encoding='utf-8').strip()}")
        for state in ("done", "failed"):
            for path in (self.landing / state).glob(f"{label}-*.json"):
                try:
                    record = read_record(path)
                except (FileNotFoundError, OperatorError):
                    continue
                if record.file == self.name and record.accepted_at >= self.at:
                    return _check(record, path)
        return None


def _check(record: Record, path: Path) -> Record:
    if record.failed:
        failure = record.failed[0]
        raise LocalError(f"{record.table} {failure.days}: {failure.error}; mend it, then move {path} to landing/")
    return record


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0
