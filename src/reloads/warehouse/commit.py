"""A commit: one publication of a table, and what is known of each of its partitions before and after it.

Commits are numbered per table and never change. Everything else in the warehouse follows from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from reloads.days import Days
from reloads.raw_file import RawFile
from reloads.warehouse.partition_name import PartitionName

Act = Literal["load", "undo", "adopt"]
"""A rewrite, an undo, or the taking over of files that lay there without a commit."""


@dataclass(frozen=True)
class Point:
    """A place in the log of one table: a commit, or 0 for before the first one.

    A log that was lost and begun anew has another ``log``, so that no number of the old one is compared with its own.
    """

    log: str = ""
    number: int = 0

    def __str__(self) -> str:
        return f"{self.number}@{self.log}"

    @classmethod
    def parse(cls, text: str) -> Point:
        """The inverse of ``str(point)``; raises ``ValueError`` for any other text."""
        number, at, log = text.partition("@")
        if not at:
            raise ValueError(f"{text!r} is not a place in a log")
        return cls(log, int(number))

    def includes(self, other: Point) -> bool:
        """Whether who read up to this point has read the ``other``."""
        return self.has_read(other.log, other.number)

    def has_read(self, log: str, number: int) -> bool:
        """Whether who read up to this point has read the commit of that number in that log; 0 is for none."""
        return not number or (number <= self.number and self.log == log)


@dataclass(frozen=True)
class Making:
    """What content was made from."""

    definition: str
    """The version of the table's definition."""
    inputs: Mapping[str, Point]
    """How far the log of each input had come when it was read."""
    parameters: Mapping[str, Any]
    run: str
    made_at: datetime
    files: Mapping[str, RawFile] = field(default_factory=dict)
    """The raw files that were read, by their path below the source folder."""


@dataclass(frozen=True)
class Entry:
    """What is known of one partition or, in a table with keys, of a day as a whole.

    A partition whose rows are gone keeps an entry without a version for as long as an undo may put it back. The entry
    of a day as a whole never has a version.
    """

    version: int
    """The commit that brought the file; 0 where there is none."""
    changed: int
    """The last commit that changed the content: of the partition, or of anything in the day."""
    touched: int
    """The last commit that rewrote it or confirmed that it comes out the same; of a day: all of it."""
    making: Making | None
    """None where it is not known: of a file that somebody put there, or of a day that was never rewritten whole."""
    origin: int = 0
    """The commit that rewrote the partition to this content; another than ``version`` where an undo put it back."""
    rows: int = 0
    bytes: int = 0
    content: str = ""
    """The fingerprint of the rows; empty where it is not known."""
    columns: Mapping[str, str] = field(default_factory=dict)
    modified_ns: int = 0
    """The time that the file was given; 0 where that is not known, as of one that an earlier release published."""
    file: str = ""
    """The name of the file in an object store, which no other file ever has; empty in a folder, see ``file_name``."""

    @property
    def file_name(self) -> str:
        """What the file of the version is called."""
        return f"{self.file or self.version}.parquet"


@dataclass(frozen=True)
class Commit:
    """One publication."""

    point: Point
    table: str
    act: Act
    run: str
    published_ns: int
    """The time that its files have, in nanoseconds; those that an undo put back have their earlier one."""
    day_column: str
    keys: tuple[str, ...]
    after: Mapping[PartitionName, Entry]
    """Of each partition and day that it touched."""
    before: Mapping[PartitionName, Entry] = field(default_factory=dict)
    """The entries that these had."""
    requests: Mapping[str, Days] = field(default_factory=dict)
    """The requests that it served, each with its days."""
    no_cascade_days: Days = field(default_factory=Days)
    """The days that downstream tables do not follow, because nobody who asked for them wants that."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The columns of the table from now on, without those that only folders' names hold."""
    key_types: Mapping[str, str] = field(default_factory=dict)
    batch: int | None = None
    """The number of the batch in its run."""
    undoes: str = ""
    """Of an undo: the request whose changes it takes back."""

    @property
    def number(self) -> int:
        """Its number in the log of its table."""
        return self.point.number

    @property
    def published_at(self) -> datetime:
        """When it was published."""
        return datetime.fromtimestamp(self.published_ns / 10**9, UTC)

    def serves(self, request: str, name: PartitionName) -> bool:
        """Whether it published the partition for that request."""
        return request in self.requests and name.day in self.requests[request]

    def changed_names(self) -> Iterator[PartitionName]:
        """The partitions whose content it changed, those that it removed among them."""
        for name, entry in self.after.items():
            if entry.changed == self.number and name.keys == self.keys:
                yield name

    def changed_days(self) -> Days:
        """The days whose content it changed."""
        return Days.of(name.day for name in self.changed_names())


class _Pool:
    """Values that many entries share, each written once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        text = json.dumps(value, sort_keys=True)
        if text not in self._places:
            self._places[text] = len(self.values)
            self.values.append(value)
        return self._places[text]


def dump_entries(**groups: Mapping[PartitionName, Entry]) -> dict[str, Any]:
    """Groups of entries as a value for JSON; they share what many of them have in common."""
    makings, columns = _Pool(), _Pool()
    places: dict[int, int] = {}
    fields: dict[str, Any] = {}
    for group, entries in groups.items():
        fields[group] = {}
        for name, entry in entries.items():
            # By identity first: thousands of entries of one batch have the same one.
            if id(entry.making) not in places:
                places[id(entry.making)] = makings.place(_dump_making(entry.making))
            fields[group][str(name)] = {
                "version": entry.version,
                "changed": entry.changed,
                "touched": entry.touched,
                "origin": entry.origin,
                "making": places[id(entry.making)],
                "rows": entry.rows,
                "bytes": entry.bytes,
                "content": entry.content,
                "columns": columns.place(dict(entry.columns)),
                "modified_ns": entry.modified_ns,
            }
            if entry.file:
                fields[group][str(name)]["file"] = entry.file
    return {"makings": makings.values, "column_sets": columns.values, **fields}


def parse_entries(fields: Mapping[str, Any], group: str) -> dict[PartitionName, Entry]:
    """The entries of one group; raises ``LookupError``, ``TypeError`` or ``ValueError`` for anything else."""
    makings = [parse_making(making) for making in fields["makings"]]
    entries: dict[PartitionName, Entry] = {}
    for text, values in fields[group].items():
        making, columns = makings[values["making"]], fields["column_sets"][values["columns"]]
        entries[PartitionName.parse(text)] = Entry(**{**values, "making": making, "columns": columns})
    return entries


def _dump_making(making: Making | None) -> dict[str, Any] | None:
    if making is None:
        return None
    return {
        "definition": making.definition,
        "inputs": {table: str(point) for table, point in making.inputs.items()},
        "parameters": dict(making.parameters),
        "run": making.run,
        "made_at": making.made_at.isoformat(),
        "files": {path: file.to_json() for path, file in making.files.items()},
    }


def parse_making(fields: Mapping[str, Any] | None) -> Making | None:
    """What an entry was made from; raises as ``parse_entries`` does."""
    if fields is None:
        return None
    return Making(
        definition=fields["definition"],
        inputs={table: Point.parse(text) for table, text in fields["inputs"].items()},
        parameters=fields["parameters"],
        run=fields["run"],
        made_at=datetime.fromisoformat(fields["made_at"]),
        # A commit of a release that knew of no files has none.
        files={path: RawFile.from_json(values) for path, values in fields.get("files", {}).items()},
    )


def dump_commit(commit: Commit) -> str:
    """The content of the commit's file."""
    fields = {
        "point": str(commit.point),
        "table": commit.table,
        "act": commit.act,
        "run": commit.run,
        "batch": commit.batch,
        "undoes": commit.undoes,
        "published_ns": commit.published_ns,
        "day_column": commit.day_column,
        "keys": list(commit.keys),
        "requests": {request: days.texts() for request, days in commit.requests.items()},
        "no_cascade_days": commit.no_cascade_days.texts(),
        "columns": dict(commit.columns),
        "key_types": dict(commit.key_types),
        **dump_entries(after=commit.after, before=commit.before),
    }
    return json.dumps(fields, separators=(",", ":")) + "\n"


def parse_commit(text: str | bytes) -> Commit:
    """The inverse; raises ``LookupError``, ``TypeError`` or ``ValueError`` for anything else."""
    fields = json.loads(text)
    return Commit(
        point=Point.parse(fields["point"]),
        table=fields["table"],
        act=fields["act"],
        run=fields["run"],
        batch=fields["batch"],
        undoes=fields["undoes"],
        published_ns=fields["published_ns"],
        day_column=fields["day_column"],
        keys=tuple(fields["keys"]),
        after=parse_entries(fields, "after"),
        before=parse_entries(fields, "before"),
        requests={request: Days.parse(texts) for request, texts in fields["requests"].items()},
        no_cascade_days=Days.parse(fields["no_cascade_days"]),
        columns=fields["columns"],
        key_types=fields["key_types"],
    )
