"""The history of a table: the files that publishing replaced, kept for an undo. ``warehouse/.history/<table>/``.

    <stamp>.json                       an act: who published what, and what the ledger said of it before
    <stamp>.<partition>.parquet        the file that the act replaced: a hard link, no copy
    <stamp>.<partition>.absent         there was none

A stamp is the time of the act in nanoseconds, and later than every earlier one of the table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.files import link_or_copy, read_json, write_atomically

HISTORY = ".history"
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Act:
    """One publication: the requests it served, each with its days, and the ledger's entries before it."""

    requests: Mapping[str, Days]
    run: str
    before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    entered: tuple[str, ...] = ()
    """The names that it entered into the ledger."""


@dataclass(frozen=True)
class Kept:
    """What one act replaced at one partition; ``file`` is None where nothing was there."""

    partition: str
    stamp: int
    file: Path | None

    @property
    def replaced_at(self) -> datetime:
        """When it was replaced."""
        return datetime.fromtimestamp(self.stamp / 10**9, UTC)


@dataclass(frozen=True)
class History:
    """What is kept of one table."""

    warehouse: Path
    table: str

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.warehouse / HISTORY / self.table

    def next_stamp(self) -> int:
        """A stamp for an act of now, later than all before it whatever the clock does."""
        # Whole microseconds, because it becomes the time of files and not every file system keeps more.
        return max([time.time_ns() // 1000 * 1000, *(stamp + 1000 for stamp in self._stamps())])

    def begin(self, stamp: int, act: Act) -> None:
        """Write down an act before it replaces anything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        requests = {name: days.texts() for name, days in act.requests.items()}
        fields = {"requests": requests, "run": act.run, "before": dict(act.before), "entered": list(act.entered)}
        write_atomically(self.folder / f"{stamp}.json", json.dumps(fields, separators=(",", ":")) + "\n")

    def keep(self, stamp: int, partition: str, file: Path) -> None:
        """Keep the file that the act is about to replace at that partition; if there is none, note that."""
        name = f"{stamp}.{quote(partition, safe='=')}"
        try:
            link_or_copy(file, self.folder / f"{name}.parquet")
        except FileNotFoundError:
            (self.folder / f"{name}.absent").touch()

    def acts(self) -> dict[int, Act]:
        """The acts by stamp, oldest first."""
        stamps = sorted(int(path.stem) for path in self.folder.glob("*.json"))
        return {stamp: act for stamp in stamps if (act := self._act(stamp))}

    def kept(self) -> list[Kept]:
        """Everything that was replaced, oldest first."""
        found = []
        for path in self._entries():
            stamp, _, rest = path.name.partition(".")
            partition, _, kind = rest.rpartition(".")
            if kind in ("parquet", "absent"):
                found.append(Kept(unquote(partition), int(stamp), path if kind == "parquet" else None))
        return sorted(found, key=lambda kept: (kept.stamp, kept.partition))

    def replaced_by(self, run: str, *, of: Callable[[str], bool]) -> set[str]:
        """Those of the partitions ``of`` which acts of that run replaced, or began to."""
        kept = [one for one in self.kept() if of(one.partition)]
        ours = {stamp for stamp in {one.stamp for one in kept} if (act := self._act(stamp)) and act.run == run}
        return {one.partition for one in kept if one.stamp in ours}

    def expire(self, *, now: datetime, days: int) -> int:
        """Remove what was replaced more than so many days ago; returns the number of files."""
        oldest = int(now.timestamp() * 10**9) - days * DAY_NS
        gone = [path for path in self._entries() if int(path.name.partition(".")[0]) < oldest]
        # The acts last: an act without its files undoes nothing, files without their act would never be found.
        for path in sorted(gone, key=lambda path: path.suffix == ".json"):
            path.unlink(missing_ok=True)
        return sum(path.suffix != ".json" for path in gone)

    def bytes(self) -> int:
        """The disk space that only the history holds: files that are published as well cost nothing."""
        statuses = (path.stat() for path in self._entries())
        return sum(status.st_size for status in statuses if status.st_nlink == 1)

    def _act(self, stamp: int) -> Act | None:
        path = self.folder / f"{stamp}.json"
        try:
            fields = read_json(path)
        except OperatorError:
            if path.exists():
                raise
            return None  # expired just now
        requests = {name: Days.parse(texts) for name, texts in fields["requests"].items()}
        return Act(requests, fields["run"], fields["before"], tuple(fields["entered"]))

    def _stamps(self) -> set[int]:
        return {int(path.name.partition(".")[0]) for path in self._entries()}

    def _entries(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from (path for path in self.folder.iterdir() if path.name.partition(".")[0].isdigit())
