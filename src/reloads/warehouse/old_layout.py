"""What releases before the log kept of a table, read for the upgrade.

    .ledger/<table>.json                        what each partition was made from
    .history/<table>/<stamp>.json               an act: who published what, and what the ledger said before
    .history/<table>/<stamp>.<name>.parquet     the file that it replaced at a partition; .absent where there was none
    .changes/<table>/<stamp>.json               days that changed and that downstream tables have not followed yet

A file was known by its modification time and size. What is damaged is passed over, with a line in the log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from reloads.days import Days
from reloads.errors import OperatorError, RequestError, one_line
from reloads.warehouse.partition_name import PartitionName

log = logging.getLogger(__name__)

UNDO = "undo/"
"""What the name of an undo's run began with."""

_FAULTS = (LookupError, TypeError, ValueError, AttributeError, RecursionError, RequestError)


@dataclass(frozen=True)
class OldFiles:
    """Where the old files of a table lie."""

    warehouse: Path
    table: str

    @property
    def ledger(self) -> Path:
        """The ledger, a file."""
        return self.warehouse / ".ledger" / f"{self.table}.json"

    @property
    def lock(self) -> Path:
        """The file that the writers of a table locked."""
        return self.warehouse / ".ledger" / f"{self.table}.lock"

    @property
    def history(self) -> Path:
        """The folder of the acts and of what they replaced."""
        return self.warehouse / ".history" / self.table

    @property
    def notices(self) -> Path:
        """The folder of the notices of change."""
        return self.warehouse / ".changes" / self.table

    def exist(self) -> bool:
        """Whether there is any of them besides the lock. Looks at three names, however large the table is."""
        return any(path.exists() for path in (self.ledger, self.history, self.notices))


@dataclass(frozen=True)
class OldName:
    """What an entry of the ledger spoke of: a partition, a day as a whole, or a slice of one."""

    partition: PartitionName
    slice: str = ""
    """Like ``0/2``: the first of two slices of the day."""

    @classmethod
    def parse(cls, text: str) -> OldName:
        """Raises ``ValueError`` for what is not such a name."""
        # Only before the first slash: the value of a key may hold a "#".
        if "#" not in text.partition("/")[0]:
            return cls(PartitionName.parse(text))
        day_text, _, slice_text = text.partition("#")
        return cls(PartitionName.parse(day_text), slice_text)


@dataclass(frozen=True)
class OldEntry:
    """What a partition, day or slice was made from."""

    version: str
    inputs: Mapping[str, str]
    """Of each input, a digest of the files that were read."""
    checked_at: str
    rows: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    file: str = ""
    """The identity of the partition's file."""
    content: str = ""


OldEntries = Mapping[OldName, OldEntry]


@dataclass(frozen=True)
class OldLedger:
    """The entries of a table, and its columns and keys by name, with their types."""

    entries: OldEntries = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    schema_backfill: str = ""
    """Set where all partitions were still to be asked for, because the columns had changed."""


@dataclass(frozen=True)
class OldAct:
    """One publication: the requests it served, each with its days, and the ledger's entries before it."""

    requests: Mapping[str, Days] = field(default_factory=dict)
    run: str = ""
    before: OldEntries = field(default_factory=dict)
    entered: frozenset[OldName] = frozenset()
    """The names that it entered into the ledger."""

    @property
    def is_undo(self) -> bool:
        """Whether it put back what was there before."""
        return self.run.startswith(UNDO)

    def mentions(self, name: OldName) -> bool:
        """Whether ``before`` is what the ledger said of the name, nothing included."""
        return name in self.entered or name in self.before


@dataclass(frozen=True)
class Kept:
    """What lay at a partition when an act replaced it; ``file`` is None where nothing did."""

    stamp: int
    file: Path | None


@dataclass(frozen=True)
class OldHistory:
    """The acts by stamp, oldest first, without the damaged ones; and what was replaced, by partition, oldest first."""

    acts: Mapping[int, OldAct]
    kept: Mapping[PartitionName, list[Kept]]


def identity(file: Path | None) -> str:
    """How the old release told a file from the one before it; empty where there is none."""
    try:
        status = file.stat() if file else None
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return f"{status.st_mtime_ns}-{status.st_size}" if status else ""


def digest(identities: Iterable[str]) -> str:
    """How the old release wrote down which files of an input were read, each as ``name:identity``."""
    return sha256("\n".join(sorted(identities)).encode()).hexdigest()[:16]


def read_ledger(files: OldFiles) -> OldLedger:
    """The ledger; an empty one where it is missing or damaged."""
    try:
        fields = _read(files.ledger)
        entries = _parse_entries(fields["entries"])
        return OldLedger(entries, dict(fields["columns"]), dict(fields["keys"]), fields.get("schema_backfill", ""))
    except FileNotFoundError:
        return OldLedger()
    except _FAULTS as error:
        log.warning("%s is damaged (%s), so all of %s is stale now", files.ledger, one_line(error), files.table)
        return OldLedger()


def read_history(files: OldFiles) -> OldHistory:
    """The acts and what they replaced."""
    acts: dict[int, OldAct] = {}
    kept: dict[PartitionName, list[Kept]] = {}
    for stamp, path in _by_stamp(files.history):
        if path.suffix == ".json":
            if act := _read_act(path):
                acts[stamp] = act
            continue
        name = _kept_name(path)
        if name:
            kept.setdefault(name, []).append(Kept(stamp, path if path.suffix == ".parquet" else None))
    return OldHistory(acts, kept)


def read_notices(files: OldFiles) -> dict[int, Days | None]:
    """By stamp, the days that downstream tables are still to follow; None for all days, where a notice is damaged."""
    notices: dict[int, Days | None] = {}
    for stamp, path in _by_stamp(files.notices):
        try:
            notices[stamp] = Days.parse(_read(path)["days"])
        except _FAULTS as error:
            log.warning("%s is damaged (%s), so all days of %s are followed", path, one_line(error), files.table)
            notices[stamp] = None
    return notices


def _read_act(path: Path) -> OldAct | None:
    try:
        fields = _read(path)
        return OldAct(
            requests={request: Days.parse(texts) for request, texts in fields["requests"].items()},
            run=fields["run"],
            before=_parse_entries(fields["before"]),
            entered=frozenset(map(OldName.parse, fields["entered"])),
        )
    except _FAULTS as error:
        log.warning("%s is damaged (%s); what it replaced is not put back by an undo", path, one_line(error))
        return None


def _parse_entries(fields: Mapping[str, Mapping[str, Any]]) -> dict[OldName, OldEntry]:
    entries: dict[OldName, OldEntry] = {}
    for text, values in fields.items():
        entry = OldEntry(**values)
        if not (isinstance(entry.inputs, dict) and isinstance(entry.parameters, dict)):
            raise TypeError(f"the entry of {text} is not one")
        datetime.fromisoformat(entry.checked_at)
        entries[OldName.parse(text)] = entry
    return entries


def _by_stamp(folder: Path) -> list[tuple[int, Path]]:
    """The files of a folder whose names begin with a stamp, oldest first."""
    found: list[tuple[int, Path]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        stamp = path.name.partition(".")[0]
        if stamp.isdecimal() and path.suffix in (".json", ".parquet", ".absent"):
            found.append((int(stamp), path))
    return sorted(found)


def _kept_name(path: Path) -> PartitionName | None:
    """The partition of a kept file; None for a file that somebody else put there."""
    try:
        return PartitionName.from_file_name(path.name.partition(".")[2].rpartition(".")[0])
    except ValueError:
        return None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}); grant access to it") from error


def find_broken_days(ledger: OldLedger, published: Mapping[PartitionName, Path]) -> set[date]:
    """The days of which the ledger names a partition that is not there any more."""
    partitions = (name.partition for name in ledger.entries)
    return {name.day for name in partitions if not name.is_of_day and name not in published}
