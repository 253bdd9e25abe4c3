"""A publication: what one act of publishing brings, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from reloads.days import Days
from reloads.warehouse.commit import Act, Commit, Making, Point
from reloads.warehouse.partition_name import PartitionName

Select = Callable[[Collection[PartitionName]], Collection[PartitionName]]


@dataclass(frozen=True)
class NewFile:
    """A finished file with the content of one partition, which nobody sees yet."""

    path: Path
    rows: int
    bytes: int
    content: str
    """The fingerprint of its rows, as ``Entry`` has it."""
    columns: Mapping[str, str]
    origin: int = 0
    """The commit that rewrote the partition to it, of content that an undo puts back."""
    modified_ns: int = 0
    """The time that the file has, of content that an undo puts back; 0 where it is not known."""


@dataclass(frozen=True)
class Publication:
    """What one act of publishing brings, finished and checked beforehand."""

    act: Act
    run: str
    now: datetime
    day_column: str
    keys: tuple[str, ...]
    base: Point
    """How far the table's log had come when the reading of the inputs began."""
    files: Mapping[PartitionName, NewFile]
    vanished: Collection[PartitionName] = ()
    """Partitions that have no row any more, if they are there."""
    select: Select | None = None
    """Tells which partitions of a day were rewritten, of those given: the ones without a file among them vanished."""
    same: Mapping[PartitionName, int] = field(default_factory=dict)
    """Partitions that came out as the version of that number, whose fingerprint the log does not have."""
    damaged: Collection[PartitionName] = ()
    """Partitions whose published file cannot be read, so that it is replaced whatever it was."""
    whole_days: Days = field(default_factory=Days)
    """In a table with keys: the days that were rewritten whole."""
    makings: Mapping[PartitionName, Making | None] = field(default_factory=dict)
    """What each of these partitions, and each whole day, was made from."""
    origins: Mapping[PartitionName, int] = field(default_factory=dict)
    """Of partitions without a row that an undo puts back: the commit that removed them."""
    requests: Mapping[str, Days] = field(default_factory=dict)
    no_cascade_days: Days = field(default_factory=Days)
    columns: Mapping[str, str] = field(default_factory=dict)
    """The columns of the table once some of the files are published; empty where they stay as they are."""
    key_types: Mapping[str, str] = field(default_factory=dict)
    batch: int | None = None
    undoes: str = ""


@dataclass(frozen=True)
class Published:
    """What became of it."""

    commit: Commit | None
    """None where nothing was left to publish or to confirm."""
    kept: Mapping[PartitionName, str]
    """Why a partition kept its file: somebody published it since ``base``, or the disk refused."""
    superseded: Mapping[PartitionName, int] = field(default_factory=dict)
    """Those of them that somebody published, each with the commit."""
