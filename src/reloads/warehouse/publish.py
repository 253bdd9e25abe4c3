"""Publishing: finished files take the place of old ones, one rename each, and the ledger and the history know it.

A notice and the history's act are written first, the ledger last. So what a crash leaves half done is known to be, and
the next try completes it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.files import cannot_write, sync_all
from reloads.warehouse.change_notices import write_notice
from reloads.warehouse.fingerprint import identity_or_none
from reloads.warehouse.history import Act, History
from reloads.warehouse.ledger import Entry, Ledger, read_ledger, table_lock, write_ledger
from reloads.warehouse.partition_name import LedgerName, PartitionName
from reloads.warehouse.partitions import TableFolder


@dataclass(frozen=True)
class Publication:
    """What one act of publishing does, all of it finished and checked beforehand."""

    staged: Mapping[PartitionName, Path | None]
    """By partition, the file that takes the old one's place; None for one that has no rows any more."""
    entries: Mapping[LedgerName, Entry]
    """The new entries of the ledger, of unchanged partitions too."""
    act: Act
    cascade_days: Days = field(default_factory=Days)
    """The days that downstream tables follow if they change."""
    columns: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    schema_backfill: str = ""
    """The version whose columns all partitions are to get."""
    dropped_entries: Collection[LedgerName] = ()
    """The entries that the ledger loses."""
    expected: Mapping[PartitionName, str | None] = field(default_factory=dict)
    """Identities that partitions must have still; one that has another keeps it."""
    is_history_kept: bool = True
    is_restoring: bool = False
    """Whether the files come back from the history and keep their times."""


@dataclass(frozen=True)
class Replacement:
    """How far the replacing came: what the disk refused, and the folders to flush."""

    refused: Mapping[PartitionName, OSError]
    changed_folders: Collection[Path]


def publish(folder: TableFolder, publication: Publication) -> dict[PartitionName, str]:
    """Put each staged file in the place of the partition's old one; the partitions that kept theirs, and why.

    Readers see the old file or the new one, never anything between, and a power cut afterwards keeps the new one.
    Raises ``QueryError`` before anything is touched if a day holds files of somebody else, ``OperatorError``
    if the disk does not take the files.
    """
    try:
        for day in {name.day for name in (*publication.staged, *publication.entries)}:
            folder.refuse_strangers(day)
        sync_all(path for path in publication.staged.values() if path)
        with table_lock(folder.warehouse, folder.table):
            return _publish_locked(folder, publication)
    except OSError as error:
        raise _refusal(error, folder.warehouse) from error


def _publish_locked(folder: TableFolder, publication: Publication) -> dict[PartitionName, str]:
    ledger = read_ledger(folder.warehouse, folder.table)
    history = History(folder.warehouse, folder.table)
    overtaken = _overtaken_partitions(folder, publication)
    publication = _without(publication, overtaken)
    stamp = history.next_stamp()
    _write_notice_and_act(folder, publication, stamp, ledger)
    replacement = _replace_files(folder, publication, stamp)
    sync_all([*replacement.changed_folders, *([history.folder] if history.folder.is_dir() else [])])
    updated = _updated_ledger(folder, publication, ledger, replacement.refused.keys(), stamp)
    write_ledger(folder.warehouse, folder.table, updated)
    sentences = {
        name: f"{folder.partition_folder(name)} was rewritten just now; look, and try again" for name in overtaken
    }
    # A folder that refuses every day is one thing to mend, not a hundred.
    place = folder.folder if len(replacement.refused) > 1 else None
    for name, error in replacement.refused.items():
        sentences[name] = str(_refusal(error, folder.warehouse, place))
    return sentences


def _overtaken_partitions(folder: TableFolder, publication: Publication) -> set[PartitionName]:
    """The partitions that somebody else published since this publication was compared with them."""
    expected = publication.expected.items()
    return {name for name, identity in expected if identity_or_none(folder.file(name)) != identity}


def _without(publication: Publication, names: Collection[LedgerName]) -> Publication:
    return replace(
        publication,
        staged={name: file for name, file in publication.staged.items() if name not in names},
        entries={name: entry for name, entry in publication.entries.items() if name not in names},
        dropped_entries=[name for name in publication.dropped_entries if name not in names],
    )


def _write_notice_and_act(folder: TableFolder, publication: Publication, stamp: int, ledger: Ledger) -> None:
    """Write down what is about to change, and who changes it."""
    changed_days = Days.of(name.day for name in publication.staged) & publication.cascade_days
    if changed_days:
        requests: dict[str, Days] = {}
        for request, days in publication.act.requests.items():
            if days & changed_days:
                requests[request] = days & changed_days
        write_notice(folder.warehouse, folder.table, stamp, days=changed_days, requests=requests)
    if publication.is_history_kept and publication.staged:
        names = dict.fromkeys((*publication.entries, *publication.staged))
        before = {name: asdict(ledger.entries[name]) for name in names if name in ledger.entries}
        act = replace(publication.act, before=before, entered=tuple(publication.entries))
        History(folder.warehouse, folder.table).begin(stamp, act)


def _replace_files(folder: TableFolder, publication: Publication, stamp: int) -> Replacement:
    """Replace one partition after the other."""
    refused: dict[PartitionName, OSError] = {}
    changed_folders = {folder.warehouse}
    history = History(folder.warehouse, folder.table)
    for name, file in publication.staged.items():
        try:
            if publication.is_history_kept:
                history.keep(stamp, name, folder.file(name))
            if file is None:
                changed_folders |= _remove(folder, name)
                continue
            if not publication.is_restoring:
                # The time of publication rather than of writing; with the size it is the file's identity.
                os.utime(file, ns=(stamp, stamp))
            changed_folders |= _put(folder, name, file)
        except OSError as error:
            refused[name] = error
    for entry_name in publication.entries:
        if folder.keys and entry_name.is_of_day:
            # The folder of a day says that it was published, also where the day has no rows.
            folder.partition_folder(folder.day_name(entry_name.day)).mkdir(parents=True, exist_ok=True)
    # What one partition left behind may have been removed with the next one.
    return Replacement(refused, {path for path in changed_folders if path.is_dir()})


def _put(folder: TableFolder, name: PartitionName, file: Path) -> set[Path]:
    target = folder.file(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)
    return {target.parent, *list(target.parent.parents)[: 1 + len(folder.keys)]}


def _remove(folder: TableFolder, name: PartitionName) -> set[Path]:
    target = folder.file(name)
    target.unlink(missing_ok=True)
    with suppress(OSError):  # other values lie there, or hidden files of somebody else
        for parent in list(target.parents)[: max(1, len(folder.keys))]:
            parent.rmdir()
    return {next(parent for parent in target.parents if parent.is_dir())}


def _updated_ledger(
    folder: TableFolder, publication: Publication, ledger: Ledger, refused: Collection[LedgerName], stamp: int
) -> Ledger:
    """The ledger after the publication of all but the refused partitions."""
    return Ledger(
        _updated_entries(folder, publication, ledger, refused),
        # Files that are restored may have other columns: those are looked up when they are needed.
        columns={} if publication.is_restoring else publication.columns or ledger.columns,
        keys=publication.keys or ledger.keys,
        schema_backfill=_stamped(publication.schema_backfill, stamp) or ledger.schema_backfill,
    )


def _updated_entries(
    folder: TableFolder, publication: Publication, ledger: Ledger, refused: Collection[LedgerName]
) -> dict[LedgerName, Entry]:
    removed = {name for name, file in publication.staged.items() if file is None and name not in refused}
    dropped = removed.union(publication.dropped_entries)
    entries = {name: entry for name, entry in ledger.entries.items() if name not in dropped}
    for name, entry in publication.entries.items():
        if name not in refused:
            # Entries that are restored keep the identity they had: of the files that are back, or of others.
            entries[name] = entry if publication.is_restoring else _with_identity(folder, name, entry)
    return entries


def _with_identity(folder: TableFolder, name: LedgerName, entry: Entry) -> Entry:
    """The entry with the identity of the partition's file; a slice has none."""
    file = folder.file(name) if isinstance(name, PartitionName) else None
    return replace(entry, file=identity_or_none(file) or "")


def _stamped(version: str, stamp: int) -> str:
    """The version with the stamp of its publication, because a table can come back to an earlier version."""
    return f"{version}/{stamp}" if version else ""


def _refusal(error: OSError, warehouse: Path, place: Path | None = None) -> OperatorError:
    return cannot_write(place or Path(error.filename2 or error.filename or warehouse), error)
