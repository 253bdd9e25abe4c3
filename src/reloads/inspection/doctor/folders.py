"""Can the folders be read, written, locked and renamed in, and is there room?"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from reloads.errors import OperatorError
from reloads.files import make_folder
from reloads.inspection.doctor.finding import Finding, good, warning, wrong
from reloads.inspection.doctor.probe import probe_file
from reloads.locks import take_lock
from reloads.settings import PREFIX, Settings
from reloads.stores.address import store_url
from reloads.stores.object_store import ObjectStore
from reloads.stores.probe import probe

SPARE_BYTES = 100_000_000
SPARE_FILES = 1000


def examine_folders(settings: Settings) -> Iterator[Finding]:
    """What is wrong with the folders themselves; nothing is left in them."""
    if settings.sees_landing:
        yield from _examine_written("landing", settings.landing)
    if url := store_url(settings.warehouse):
        yield from _examine_store(url)
        make_folder(settings.warehouse)
    yield from _examine_written("warehouse", settings.warehouse)
    yield from _examine_source(settings)


def examine_room(settings: Settings) -> Iterator[Finding]:
    """Whether the warehouse has room for a reload of all of its largest table, which is staged beside it."""
    try:
        room = os.statvfs(settings.warehouse)
    except OSError:
        return  # what is wrong with the folder is said elsewhere
    free = room.f_bavail * room.f_frsize
    table, size = _find_largest(settings.warehouse)
    needed = size + SPARE_BYTES
    if free < needed:
        what = f"a reload of all of {table}" if size else "the pipeline"
        sentence = f"{settings.warehouse} has {_megabytes(free)} free, and {what} needs {_megabytes(needed)} beside it"
        yield wrong("disk space", f"{sentence}; make room, or keep less history (history_days)")
    elif room.f_files and room.f_favail < SPARE_FILES:
        sentence = (
            f"{settings.warehouse} has room for {room.f_favail} more files, and a reload needs one for each partition"
        )
        yield wrong("disk space", f"{sentence}; make room")
    else:
        yield good("disk space", f"{_megabytes(free)} are free in {settings.warehouse}")


def _examine_store(url: str) -> Iterator[Finding]:
    about = "object store"
    try:
        probe(ObjectStore(url))
    except OperatorError as error:
        yield wrong(about, str(error))
    else:
        yield good(about, f"{url} can be written, and of two that create one object it refuses the second")


def _examine_written(name: str, folder: Path) -> Iterator[Finding]:
    about, variable = f"{name} folder", PREFIX + name.upper()
    if not folder.exists():
        if name == "warehouse" and _can_be_made(folder):
            yield warning(about, f"{folder} does not exist yet; the first run makes it, or {variable} names another")
        else:
            yield wrong(about, f"{folder} does not exist; make it, or set {variable}")
        return
    if not folder.is_dir():
        yield wrong(about, f"{folder} is not a folder; make it one, or set {variable}")
        return
    if fault := _try_to_write(folder, folder):
        yield wrong(about, f"{fault}, or set {variable}")
        return
    faults = [fault for place in _subfolders(folder) if (fault := _try_to_write(place, folder))]
    for sentence in faults:
        yield wrong(about, sentence)
    if not faults:
        yield good(about, f"{folder} can be written, locked and renamed in")


def _try_to_write(place: Path, root: Path) -> str | None:
    """What keeps us from writing a file there, locking it and renaming it into ``root``; None if nothing does."""
    try:
        with probe_file(place) as path:
            os.close(take_lock(path))
            moved = root / f"{path.name}-moved"
            try:
                path.rename(moved)
            finally:
                with suppress(OSError):
                    moved.unlink()
    except OSError as error:
        if error.errno == errno.EXDEV:
            return f"{place} is not on the file system of {root}, so no rename leads there; move it onto that"
        return f"{place} cannot be written ({error.strerror}); grant access to user {os.getuid()}"
    return None


def _subfolders(folder: Path) -> list[Path]:
    """The folders that this software made there; a file is renamed from one to another of them."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "examples")


def _can_be_made(folder: Path) -> bool:
    parent = next(path for path in folder.parents if path.exists())
    return parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)


def _examine_source(settings: Settings) -> Iterator[Finding]:
    """The folder of raw files, where a table may read some."""
    if not any((settings.tables / name).exists() for name in ("sources.sql", "sources.toml")):
        return
    if url := store_url(settings.source):
        yield _examine_source_store(url)
    elif not settings.source.is_dir():
        sentence = f"{settings.source} does not exist, and {settings.tables} has sources that lie there"
        yield wrong("source folder", f"{sentence}; make it, or set {PREFIX}SOURCE")
    elif not os.access(settings.source, os.R_OK | os.X_OK):
        yield wrong("source folder", f"{settings.source} cannot be read; grant access to user {os.getuid()}")
    else:
        yield good("source folder", f"{settings.source} can be read")


def _examine_source_store(url: str) -> Finding:
    try:
        is_empty = next(ObjectStore(url).look(""), None) is None
    except OperatorError as error:
        return wrong("source store", str(error))
    if is_empty:
        return wrong("source store", f"nothing lies below {url}; see that {PREFIX}SOURCE is the place of the raw files")
    return good("source store", f"{url} can be listed")


def _find_largest(warehouse: Path) -> tuple[str, int]:
    """The table that takes most room, and how many bytes that is; no name and 0 where none takes any."""
    sizes: dict[str, int] = {"": 0}
    for table in warehouse.iterdir():
        if table.is_dir() and not table.name.startswith("."):
            for file in table.rglob("*.parquet"):
                with suppress(OSError):
                    sizes[table.name] = sizes.get(table.name, 0) + file.stat().st_size
    largest = max(sizes, key=lambda name: sizes[name])
    return largest, sizes[largest]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
