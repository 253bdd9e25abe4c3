"""A table as the release before the log left it: ledger, history, notices. Its files hold texts instead of Parquet."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from reloads.days import Days
from reloads.tables.definition import Table, TableSettings
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of

FIRST_DAY = date(2025, 1, 1)
BEGIN_NS = int(datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp()) * 10**9
SECOND_NS = 10**9
Fields = dict[str, Any]


def build_table(
    name: str, *, keys: Collection[str] = (), slices: int = 1, inputs: Mapping[str, int] | None = None
) -> Table:
    settings = TableSettings(day_column="day", first_day=FIRST_DAY, keys=list(keys), key_slices=slices)
    return Table(name, "select 1", settings, version=f"{name}-1", inputs=inputs or {})


@dataclass
class OldTable:
    """One table of an old warehouse, with what it read."""

    warehouse: Path
    definition: Table
    inputs: Mapping[str, OldTable] = field(default_factory=dict)
    seconds: int = 0
    """A second passes with each act."""
    entries: dict[str, Fields] = field(default_factory=dict)
    schema_backfill: str = ""

    @property
    def folder(self) -> TableFolder:
        return folder_of(self.warehouse, self.definition)

    @property
    def table(self) -> str:
        return self.definition.name

    def name(self, day: date, key: str = "") -> PartitionName:
        return PartitionName.of("day", day, {"k": key} if key else {})

    def load(
        self,
        texts: Mapping[PartitionName, str],
        request: str,
        *,
        whole: Collection[str] = (),
        version: str = "",
        run: str = "",
        keeps_history: bool = True,
        notices: bool = False,
    ) -> int:
        """Publish these contents, '' for none, and the days and slices named in ``whole``; returns the stamp."""
        stamp = self._next_stamp()
        names = [*map(str, texts), *whole]
        if keeps_history:
            self._write_act(stamp, names, {request: _days(texts)}, run or f"run of {request}")
        for name, text in texts.items():
            if keeps_history:
                self._keep(stamp, name)
            self._replace(name, text, stamp)
        gone = {str(name) for name, text in texts.items() if not text}
        for text in names:
            self.entries.pop(text, None)
            if text not in gone:
                self.entries[text] = self._entry(text, version, run or f"run of {request}", stamp)
        for day in {name[:14] for name in whole}:
            (self.folder.folder / day).mkdir(parents=True, exist_ok=True)
        if notices:
            self.notice(_days(texts), request, stamp)
        self.write_ledger()
        return stamp

    def confirm(self, names: Iterable[PartitionName]) -> None:
        """Enter that these came out as they are, from the inputs of now."""
        for name in names:
            self.entries[str(name)] = self._entry(str(name), "", self.entries[str(name)]["run"], self._next_stamp())
        self.write_ledger()

    def undo(self, stamp: int, undo: str) -> int:
        """Put back all that one act replaced."""
        act = json.loads((self._history / f"{stamp}.json").read_text())
        kept = sorted(path for path in self._history.glob(f"{stamp}.*") if path.suffix != ".json")
        names = [PartitionName.from_file_name(path.name.partition(".")[2].rpartition(".")[0]) for path in kept]
        now = self._next_stamp()
        self._write_act(now, act["before"], {undo: _days(names)}, f"undo/{undo}", staged=map(str, names))
        for name, path in zip(names, kept, strict=True):
            self._keep(now, name)
            self.folder.file(name).unlink(missing_ok=True)
            if path.suffix == ".parquet":
                self.folder.file(name).parent.mkdir(parents=True, exist_ok=True)
                os.link(path, self.folder.file(name))
        self.entries = _without(self.entries, *act["entered"]) | act["before"]
        self.write_ledger()
        return now

    def put(self, name: PartitionName, text: str) -> None:
        """Let somebody else write a file there."""
        self._replace(name, text, self._next_stamp() + 1000)

    def notice(self, days: Days, request: str, stamp: int) -> None:
        folder = self.warehouse / ".changes" / self.table
        folder.mkdir(parents=True, exist_ok=True)
        fields = {"days": days.texts(), "requests": {request: days.texts()}}
        (folder / f"{stamp}.json").write_text(json.dumps(fields) + "\n")

    def write_ledger(self) -> None:
        path = self.warehouse / ".ledger" / f"{self.table}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".lock").touch()
        fields = {
            "entries": self.entries,
            "columns": {"v": "INTEGER"},
            "keys": dict.fromkeys(self.folder.keys, "VARCHAR"),
            "schema_backfill": self.schema_backfill,
        }
        path.write_text(json.dumps(fields, separators=(",", ":")) + "\n")

    @property
    def _history(self) -> Path:
        return self.warehouse / ".history" / self.table

    def _next_stamp(self) -> int:
        self.seconds += 1
        return BEGIN_NS + self.seconds * SECOND_NS

    def _write_act(
        self, stamp: int, entered: Iterable[str], requests: Mapping[str, Days], run: str, staged: Iterable[str] = ()
    ) -> None:
        self._history.mkdir(parents=True, exist_ok=True)
        names = list(entered)
        fields = {
            "requests": {request: days.texts() for request, days in requests.items()},
            "run": run,
            "before": {name: self.entries[name] for name in dict.fromkeys([*names, *staged]) if name in self.entries},
            "entered": names,
        }
        (self._history / f"{stamp}.json").write_text(json.dumps(fields) + "\n")

    def _keep(self, stamp: int, name: PartitionName) -> None:
        kept = self._history / f"{stamp}.{name.to_file_name()}"
        if self.folder.file(name).exists():
            os.link(self.folder.file(name), f"{kept}.parquet")
        else:
            Path(f"{kept}.absent").touch()

    def _replace(self, name: PartitionName, text: str, stamp: int) -> None:
        file = self.folder.file(name)
        file.unlink(missing_ok=True)
        if text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            os.utime(file, ns=(stamp, stamp))

    def _entry(self, name: str, version: str, run: str, stamp: int) -> Fields:
        day = PartitionName.parse(name.partition("#")[0] if "#" in name.partition("/")[0] else name).day
        file = self.folder.folder / name / "data.parquet"
        return {
            "version": version or self.definition.version,
            "inputs": {each: self._digest(each, day) for each in self.inputs},
            "checked_at": datetime.fromtimestamp(stamp / 10**9, UTC).isoformat(timespec="seconds"),
            "rows": len(file.read_text()) if file.exists() else 0,
            "parameters": {"limit": 10},
            "run": run,
            "file": _identity(file) if file.exists() else "",
            "content": f"1:{file.read_text()}" if file.exists() else "",
        }

    def _digest(self, name: str, day: date) -> str:
        source, window = self.inputs[name].folder, self.definition.inputs[name]
        days = [day - timedelta(days=number) for number in range(window)]
        published = source.published().items()
        files = sorted(f"{each}:{_identity(file)}" for each, file in published if each.day in days)
        return sha256("\n".join(files).encode()).hexdigest()[:16]


def _identity(file: Path) -> str:
    return f"{file.stat().st_mtime_ns}-{file.stat().st_size}"


def _days(names: Iterable[PartitionName]) -> Days:
    return Days.of(name.day for name in names)


def _without(entries: Mapping[str, Fields], *names: str) -> dict[str, Fields]:
    return {name: entry for name, entry in entries.items() if name not in names}
