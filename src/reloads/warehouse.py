"""The warehouse: ``<table>/<day column>=YYYY-MM-DD/[<key>=<value>/]data.parquet``, replaced by rename only.

A partition is named by its folder below the table's, like ``flight_date=2013-01-01`` or, where the table has keys,
``flight_date=2013-01-01/origin=EWR``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from urllib.parse import unquote

from reloads.changes import write_notice
from reloads.days import Days
from reloads.errors import OperatorError, QueryError
from reloads.history import Act, History
from reloads.ledger import Entry, Ledger, identity, read_ledger, table_lock, write_ledger

FILE = "data.parquet"
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
    is_history_kept: bool = True
    is_restoring: bool = False
    """Whether the files come back from the history and keep their times."""


@dataclass(frozen=True)
class TableFolder:
    """The partitions of one table."""

    warehouse: Path
    table: str
    day_column: str
    keys: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the table lies."""
        return self.warehouse / self.table

    def day_name(self, day: date) -> str:
        """The name of a day: of its one partition, or of the folder that holds its partitions."""
        return f"{self.day_column}={day}"

    def day_of(self, name: str) -> date:
        """The day of a partition, or of an entry of the ledger for a whole day or a slice of it."""
        return date.fromisoformat(name.partition("/")[0].partition("#")[0].removeprefix(f"{self.day_column}="))

    def key_values(self, name: str) -> tuple[str, ...]:
        """The values of the keys in a partition's name, in the order of the keys."""
        return tuple(unquote(part.partition("=")[2]) for part in name.split("/")[1:])

    def file(self, name: str) -> Path:
        """The file of a partition, whether it exists or not."""
        return self.folder / name / FILE

    def partition(self, day: date) -> Path:
        """The file that holds the rows of ``day`` in a table without keys, whether it exists or not."""
        return self.file(self.day_name(day))

    def has_day(self, day: date) -> bool:
        """Whether the day was ever published; one without rows has no file in a table with keys, but its folder."""
        return (self.folder / self.day_name(day)).is_dir() if self.keys else self.partition(day).is_file()

    def names_of(self, day: date) -> list[str]:
        """The published partitions of a day."""
        found = self.folder.glob(self._pattern(str(day)))
        return sorted(str(path.parent.relative_to(self.folder)) for path in found)

    def published(self) -> dict[str, Path]:
        """All published partitions by name; days that are no days are not ours."""
        return dict(sorted(self._found()))

    def is_empty(self) -> bool:
        """Whether nothing is published."""
        return next(self._found(), None) is None

    def days(self) -> Days:
        """The days that were ever published."""
        prefix = f"{self.day_column}="
        names = (path.name for path in self.folder.glob(f"{prefix}????-??-??"))
        return Days.of(day for day in map(self.day_of, filter(self._is_ours, names)) if self.has_day(day))

    def _found(self) -> Iterator[tuple[str, Path]]:
        for path in self.folder.glob(self._pattern("????-??-??")):
            if self._is_ours(name := str(path.parent.relative_to(self.folder))):
                yield name, path

    def _is_ours(self, name: str) -> bool:
        try:
            return bool(self.day_of(name))
        except ValueError:
            return False

    def _pattern(self, day: str) -> str:
        return "/".join([f"{self.day_column}={day}", *(f"{key}=*" for key in self.keys), FILE])

    def publish(self, publication: Publication) -> dict[str, str]:
        """Put each staged file in the place of the partition's old one; the partitions that kept theirs, and why.

        Readers see the old file or the new one, never anything between, and a power cut afterwards keeps the new one.
        Raises ``QueryError`` before anything is touched if a day holds files of somebody else, ``OperatorError``
        if the disk does not take the files.
        """
        try:
            for day in {self.day_of(name) for name in {**publication.staged, **publication.entries}}:
                self._refuse_strangers(day)
            _sync(path for path in publication.staged.values() if path)
            with table_lock(self.warehouse, self.table):
                return self._publish(publication)
        except OSError as error:
            raise OperatorError(self._sentence(error)) from error

    def _publish(self, publication: Publication) -> dict[str, str]:
        ledger = read_ledger(self.warehouse, self.table)
        stamp = History(self.warehouse, self.table).next_stamp()
        self._prepare(publication, stamp, ledger)
        refused, folders = self._replace(publication, stamp)
        _sync(folders)
        entries = {name: entry for name, entry in publication.entries.items() if name not in refused}
        gone = {name for name, file in publication.staged.items() if file is None} - refused.keys()
        gone |= set(publication.forgotten)
        owed = f"{publication.owed}/{stamp}" if publication.owed else ledger.owed
        after = replace(self._after(ledger, entries, gone, publication), owed=owed)
        write_ledger(self.warehouse, self.table, after)
        # A folder that refuses every day is one thing to mend, not a hundred.
        place = self.folder if len(refused) > 1 else None
        return {name: self._sentence(error, place) for name, error in refused.items()}

    def _prepare(self, publication: Publication, stamp: int, ledger: Ledger) -> None:
        """Write down what is about to change, and keep what is about to be replaced."""
        names = publication.staged.keys()
        if changed := Days.of(map(self.day_of, names)) & publication.told:
            requests = {name: both for name, days in publication.act.requests.items() if (both := days & changed)}
            write_notice(self.warehouse, self.table, stamp, days=changed, requests=requests)
        if publication.is_history_kept and names:
            known = [name for name in {**publication.entries, **publication.staged} if name in ledger.entries]
            before = {name: asdict(ledger.entries[name]) for name in known}
            act = replace(publication.act, before=before, entered=tuple(publication.entries))
            History(self.warehouse, self.table).begin(stamp, act)

    def _replace(self, publication: Publication, stamp: int) -> tuple[dict[str, OSError], set[Path]]:
        """Replace one partition after the other; those that could not be, and the folders to sync."""
        refused: dict[str, OSError] = {}
        folders = {self.warehouse}
        history = History(self.warehouse, self.table)
        for name, file in publication.staged.items():
            try:
                if publication.is_history_kept:
                    history.keep(stamp, name, self.file(name))
                if file is not None and not publication.is_restoring:
                    # The time of publication rather than of writing; with the size it is the file's identity.
                    os.utime(file, ns=(stamp, stamp))
                folders |= self._put(name, file) if file is not None else self._remove(name)
            except OSError as error:
                refused[name] = error
        for name in publication.entries:
            if self.keys and "/" not in name:
                (self.folder / name.partition("#")[0]).mkdir(parents=True, exist_ok=True)
        return refused, folders

    def _put(self, name: str, file: Path) -> set[Path]:
        target = self.file(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
        return {target.parent, *list(target.parent.parents)[: 1 + len(self.keys)]}

    def _remove(self, name: str) -> set[Path]:
        target = self.file(name)
        target.unlink(missing_ok=True)
        with suppress(OSError):  # hidden files of somebody else stay
            target.parent.rmdir()
        return {next(folder for folder in target.parents if folder.is_dir())}

    def _after(
        self, ledger: Ledger, entries: Mapping[str, Entry], gone: Collection[str], publication: Publication
    ) -> Ledger:
        new = {}
        for name, entry in entries.items():
            file = self.file(name)
            new[name] = replace(entry, file=identity(file) if file.exists() else "")
        days = {name.partition("/")[0].partition("#")[0] for name in entries}

        def is_gone(name: str, entry: Entry) -> bool:
            # Or a try before this one removed the file and ended before it wrote that down.
            return name in gone or bool(entry.file and name.partition("/")[0] in days and not self.file(name).exists())

        kept = {name: entry for name, entry in ledger.entries.items() if not is_gone(name, entry)}
        # Files of before may have other columns: they are looked up again when they are needed.
        columns = {} if publication.is_restoring else publication.columns or ledger.columns
        keys = publication.keys or ledger.keys
        return Ledger(kept | new, columns, keys)

    def _sentence(self, error: OSError, place: Path | None = None) -> str:
        place = place or error.filename2 or error.filename or self.warehouse
        return f"{place} cannot be written ({error.strerror}); make room or grant access"

    def _refuse_strangers(self, day: date) -> None:
        """Raise ``QueryError`` if the day's folder holds what readers would see besides our files."""
        folders = [self.folder / self.day_name(day)]
        for key in self.keys:
            for folder in folders:
                _refuse(folder, [name for name in _listed(folder) if not name.startswith(f"{key}=")], f"{key}=…")
            folders = [folder / name for folder in folders for name in _listed(folder)]
        for folder in folders:
            _refuse(folder, [name for name in _listed(folder) if name != FILE], FILE)


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _refuse(folder: Path, strangers: list[str], ours: str) -> None:
    if strangers:
        raise QueryError(f"{folder} holds {strangers[0]} besides {ours} and readers would see both; move it away")


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
