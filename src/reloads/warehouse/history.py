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
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.files import link_or_copy, read_json, write_atomically
from reloads.warehouse.layout import history_folder
from reloads.warehouse.partition_name import LedgerName, PartitionName, parse_ledger_name

DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Act:
    """One publication: the requests it served, each with its days, and the ledger's entries before it."""

    requests: Mapping[str, Days]
    run: str
    before: Mapping[LedgerName, Mapping[str, Any]] = field(default_factory=dict)
    entered: tuple[LedgerName, ...] = ()
    """The names that it entered into the ledger."""


@dataclass(frozen=True)
class Kept:
    """What one act replaced at one partition; ``file`` is None where nothing was there."""

    partition: PartitionName
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
        return history_folder(self.warehouse, self.table)

    def next_stamp(self) -> int:
        """A stamp for an act of now, later than all before it whatever the clock does."""
        # Whole microseconds, because it becomes the time of files and not every file system keeps more.
        return max([time.time_ns() // 1000 * 1000, *(stamp + 1000 for stamp in self._stamps())])

    def begin(self, stamp: int, act: Act) -> None:
        """Write down an act before it replaces anything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fields = {
            "requests": {request: days.texts() for request, days in act.requests.items()},
            "run": act.run,
            "before": {str(name): entry for name, entry in act.before.items()},
            "entered": [str(name) for name in act.entered],
        }
        write_atomically(self.folder / f"{stamp}.json", json.dumps(fields, separators=(",", ":")) + "\n")

    def keep(self, stamp: int, partition: PartitionName, file: Path) -> None:
        """Keep the file that the act is about to replace at that partition; if there is none, note that."""
        name = f"{stamp}.{partition.to_file_name()}"
        try:
            link_or_copy(file, self.folder / f"{name}.parquet")
        except FileNotFoundError:
            (self.folder / f"{name}.absent").touch()

    def acts(self) -> dict[int, Act]:
        """The acts by stamp, oldest first."""
        acts: dict[int, Act] = {}
        for stamp in sorted(int(path.stem) for path in self.folder.glob("*.json")):
            act = self._act(stamp)
            if act:
                acts[stamp] = act
        return acts

    def kept(self) -> list[Kept]:
        """Everything that was replaced, oldest first."""
        kept_files: list[Kept] = []
        for path in self._entries():
            stamp, _, rest = path.name.partition(".")
            partition, _, kind = rest.rpartition(".")
            if kind in ("parquet", "absent"):
                with suppress(ValueError):  # somebody put a file of another name there
                    name = PartitionName.from_file_name(partition)
                    kept_files.append(Kept(name, int(stamp), path if kind == "parquet" else None))
        return sorted(kept_files, key=lambda kept: (kept.stamp, str(kept.partition)))

    def replaced_by(self, run: str, *, of: Callable[[PartitionName], bool]) -> set[PartitionName]:
        """The partitions, of those that ``of`` lets in, that acts of that run replaced, or began to.

        Only the acts of these partitions are opened: an act may name tens of thousands.
        """
        kept_files = [kept for kept in self.kept() if of(kept.partition)]
        stamps: set[int] = set()
        for stamp in {kept.stamp for kept in kept_files}:
            act = self._act(stamp)
            if act and act.run == run:
                stamps.add(stamp)
        return {kept.partition for kept in kept_files if kept.stamp in stamps}

    def expire(self, *, now: datetime, days: int) -> int:
        """Remove what was replaced more than so many days ago; returns the number of files."""
        oldest = int(now.timestamp() * 10**9) - days * DAY_NS
        expired = [path for path in self._entries() if int(path.name.partition(".")[0]) < oldest]
        # The acts last: an act without its files undoes nothing, files without their act would never be found.
        for path in sorted(expired, key=lambda path: path.suffix == ".json"):
            path.unlink(missing_ok=True)
        return sum(path.suffix != ".json" for path in expired)

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
        return Act(
            requests={request: Days.parse(texts) for request, texts in fields["requests"].items()},
            run=fields["run"],
            before={parse_ledger_name(text): entry for text, entry in fields["before"].items()},
            entered=tuple(map(parse_ledger_name, fields["entered"])),
        )

    def _stamps(self) -> set[int]:
        return {int(path.name.partition(".")[0]) for path in self._entries()}

    def _entries(self) -> Iterator[Path]:
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.name.partition(".")[0].isdigit():
                yield path
