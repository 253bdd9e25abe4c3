"""Whether the warehouse agrees with itself: logs, what follows from them, and footers of files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reloads.settings import Settings
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Entry
from reloads.warehouse.current_view import version_file
from reloads.warehouse.delta_table import verify_snapshot
from reloads.warehouse.parquet import footers, row_counts
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.upgrade import open_catalog
from reloads.warehouse.verification import verify_table


@dataclass(frozen=True)
class Finding:
    """Something that does not agree."""

    table: str
    sentence: str
    """What does not agree and, unless it was mended, the cure."""
    is_mended: bool
    """Whether it was mended just now."""


def verify(settings: Settings, table: str | None = None, *, is_repairing: bool = False) -> Iterator[Finding]:
    """What does not agree in a table, or in all that are not broken; what loses nothing is mended if asked for.

    Each table is locked while it is looked at, so nothing is published meanwhile; footers are read without the lock.
    Raises ``ReloadsError`` if there is no such table, and ``OperatorError`` where the disk refuses something.
    """
    catalog = open_catalog(settings)
    names = [table] if table else sorted(catalog.tables)
    for name in names:
        folder = folder_of(settings.warehouse, catalog[name])
        for fault in verify_table(folder, is_repairing=is_repairing):
            is_mended = is_repairing and fault.mend is not None
            yield Finding(name, fault.what if is_mended else fault.sentence, is_mended)
        for sentence in _check_footers(folder):
            yield Finding(name, sentence, is_mended=False)
        if catalog[name].has_snapshots(settings.snapshots):
            for sentence in verify_snapshot(folder):
                yield Finding(name, sentence, is_mended=False)


def _check_footers(folder: TableFolder) -> Iterator[str]:
    """Where the footer of a current version says something else than the log."""
    import duckdb

    entries: dict[Path, tuple[PartitionName, Entry]] = {}
    for name, entry in state_of(folder).read_all().entries.items():
        file = version_file(folder, name, entry)
        # A file of another size was named already. One that was replaced just now may be gone.
        if entry.version and file.is_file() and file.stat().st_size == entry.bytes:
            entries[file] = (name, entry)
    with duckdb.connect(":memory:") as db:
        counts = row_counts(db, list(entries))
        runs = footers(db, list(entries), "reloads.run")
    for file, (name, entry) in entries.items():
        if file not in counts and file.is_file():
            yield f"{file} cannot be read as Parquet; reload {name}"
        elif file in counts and _is_known(entry) and counts[file] != entry.rows:
            yield f"{file} has {counts[file]} rows and was published with {entry.rows}; reload {name}"
        elif file in counts and _is_made_as_the_log_says(entry) and runs.get(file) != _run_of(entry):
            run = runs.get(file, "nobody")
            yield f"{file} was made by {run}, by its footer, and by {_run_of(entry)}, by the log; reload {name}"


def _is_known(entry: Entry) -> bool:
    """Whether the log knows what is in the file: of a file that somebody put there it may not."""
    return bool(entry.content)


def _is_made_as_the_log_says(entry: Entry) -> bool:
    """Whether the file is of the run that the log names: another may have confirmed it, or an undo put it back."""
    return entry.making is not None and entry.version == entry.touched == entry.origin


def _run_of(entry: Entry) -> str:
    return entry.making.run if entry.making else ""
