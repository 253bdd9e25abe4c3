"""Publishing: finished files take the place of old ones, one rename each, and the ledger and the history know it.

A notice and the history's act are written first, the ledger last. So what a crash leaves half done is known to be, and
the next try completes it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.warehouse.change_notices import write_notice
from reloads.warehouse.fingerprint import identity_or_none
from reloads.warehouse.history import Act, History
from reloads.warehouse.ledger import Entry, Ledger, read_ledger, table_lock, write_ledger
from reloads.warehouse.partitions import TableFolder, day_part, is_of_day

SYNCS_AT_ONCE = 8


@dataclass(frozen=True)
class Publication:
    """What one act of publishing does, all of it finished and checked beforehand."""

    staged: Mapping[str, Path | None]
    """By partition, the file that takes the old one's place; None for one that has no rows any more."""
    entries: Mapping[str, Entry]
    """What the ledger shall say, of unchanged partitions too."""
    act: Act
    told: Days = field(default_factory=Days)
    """The days that other tables are to follow if they change."""
    columns: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    owed: str = ""
    """The version whose columns the other partitions are to get."""
    forgotten: Collection[str] = ()
    """Of which nothing is known any more."""
    expected: Mapping[str, str | None] = field(default_factory=dict)
    """Identities that partitions must have still; one that has another keeps it."""
    is_history_kept: bool = True
    is_restoring: bool = False
    """Whether the files come back from the history and keep their times."""


def publish(folder: TableFolder, publication: Publication) -> dict[str, str]:
    """Put each staged file in the place of the partition's old one; the partitions that kept theirs, and why.

    Readers see the old file or the new one, never anything between, and a power cut afterwards keeps the new one.
    Raises ``QueryError`` before anything is touched if a day holds files of somebody else, ``OperatorError``
    if the disk does not take the files.
    """
    try:
        for day in {folder.day_of(name) for name in {**publication.staged, **publication.entries}}:
            folder.refuse_strangers(day)
        _sync(path for path in publication.staged.values() if path)
        with table_lock(folder.warehouse, folder.table):
            return _publish(folder, publication)
    except OSError as error:
        raise OperatorError(_sentence(error, folder.warehouse)) from error


def _publish(folder: TableFolder, publication: Publication) -> dict[str, str]:
    ledger = read_ledger(folder.warehouse, folder.table)
    history = History(folder.warehouse, folder.table)
    late = {name for name, was in publication.expected.items() if identity_or_none(folder.file(name)) != was}
    publication = _without(publication, late)
    stamp = history.next_stamp()
    _prepare(folder, publication, stamp, ledger)
    refused, changed = _replace(folder, publication, stamp)
    _sync([*changed, *([history.folder] if history.folder.is_dir() else [])])
    write_ledger(folder.warehouse, folder.table, _after(folder, publication, ledger, refused.keys(), stamp))
    # A folder that refuses every day is one thing to mend, not a hundred.
    place = str(folder.folder) if len(refused) > 1 else ""
    sentences = {name: f"{folder.folder / name} was rewritten just now; look, and try again" for name in late}
    return sentences | {name: _sentence(error, folder.warehouse, place) for name, error in refused.items()}


def _without(publication: Publication, names: Collection[str]) -> Publication:
    staged = {name: file for name, file in publication.staged.items() if name not in names}
    entries = {name: entry for name, entry in publication.entries.items() if name not in names}
    forgotten = [name for name in publication.forgotten if name not in names]
    return replace(publication, staged=staged, entries=entries, forgotten=forgotten)


def _prepare(folder: TableFolder, publication: Publication, stamp: int, ledger: Ledger) -> None:
    """Write down what is about to change, and who changes it."""
    names = publication.staged.keys()
    if changed := Days.of(map(folder.day_of, names)) & publication.told:
        requests = {name: both for name, days in publication.act.requests.items() if (both := days & changed)}
        write_notice(folder.warehouse, folder.table, stamp, days=changed, requests=requests)
    if publication.is_history_kept and names:
        known = [name for name in {**publication.entries, **publication.staged} if name in ledger.entries]
        before = {name: asdict(ledger.entries[name]) for name in known}
        act = replace(publication.act, before=before, entered=tuple(publication.entries))
        History(folder.warehouse, folder.table).begin(stamp, act)


def _replace(folder: TableFolder, publication: Publication, stamp: int) -> tuple[dict[str, OSError], set[Path]]:
    """Replace one partition after the other; those that could not be, and the folders that changed."""
    refused: dict[str, OSError] = {}
    changed = {folder.warehouse}
    history = History(folder.warehouse, folder.table)
    for name, file in publication.staged.items():
        try:
            if publication.is_history_kept:
                history.keep(stamp, name, folder.file(name))
            if file is not None and not publication.is_restoring:
                # The time of publication rather than of writing; with the size it is the file's identity.
                os.utime(file, ns=(stamp, stamp))
            changed |= _put(folder, name, file) if file is not None else _remove(folder, name)
        except OSError as error:
            refused[name] = error
    for name in publication.entries:
        if folder.keys and is_of_day(name):
            (folder.folder / day_part(name)).mkdir(parents=True, exist_ok=True)
    return refused, changed


def _put(folder: TableFolder, name: str, file: Path) -> set[Path]:
    target = folder.file(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)
    return {target.parent, *list(target.parent.parents)[: 1 + len(folder.keys)]}


def _remove(folder: TableFolder, name: str) -> set[Path]:
    target = folder.file(name)
    target.unlink(missing_ok=True)
    with suppress(OSError):  # other values lie there, or hidden files of somebody else
        for above in list(target.parents)[: max(1, len(folder.keys))]:
            above.rmdir()
    return {next(above for above in target.parents if above.is_dir())}


def _after(
    folder: TableFolder, publication: Publication, ledger: Ledger, refused: Collection[str], stamp: int
) -> Ledger:
    """What the ledger is to say now."""
    new = {name: entry for name, entry in publication.entries.items() if name not in refused}
    if not publication.is_restoring:  # else they speak of the files that are back, or of others, as they did before
        new = {name: replace(entry, file=identity_or_none(folder.file(name)) or "") for name, entry in new.items()}
    gone = {name for name, file in publication.staged.items() if file is None and name not in refused}
    gone |= set(publication.forgotten)
    kept = {name: entry for name, entry in ledger.entries.items() if name not in gone}
    return Ledger(
        kept | new,
        # Files of before may have other columns: they are looked up again when they are needed.
        columns={} if publication.is_restoring else publication.columns or ledger.columns,
        keys=publication.keys or ledger.keys,
        owed=f"{publication.owed}/{stamp}" if publication.owed else ledger.owed,
    )


def _sentence(error: OSError, warehouse: Path, place: str = "") -> str:
    named = place or error.filename2 or error.filename or warehouse
    return f"{named} cannot be written ({error.strerror}); make room or grant access"


def _sync(paths: Iterable[Path]) -> None:
    """Wait until these files and folders are on disk.

    Side by side, because the disk takes many flushes almost as fast as one; and each file by itself rather than the
    whole file system, because what others are writing there is not to be waited for.
    """
    with ThreadPoolExecutor(SYNCS_AT_ONCE) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
