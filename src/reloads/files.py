"""Files that are whole or not there: written beside, flushed, renamed over."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from reloads.errors import OperatorError, one_line, printable

log = logging.getLogger(__name__)

MAX_NAME_BYTES = 255
FLUSHES_AT_ONCE = 8
"""A file system ends many flushes with one write of its journal."""

MANY_FLUSHES = 1_000
"""From so many on the file system is written out first, and then they are flushed.

7,300 new files take 0.5 s instead of 1.0, and their folders 0.2 s instead of 0.3 (ext4). For fewer, what others are
writing to the file system is not worth waiting for.
"""

NUMBERED_NAMES = 9


def cannot_write(path: Path, error: OSError) -> OperatorError:
    """The one error for whatever the disk or a permission does not let us write; raise it from ``error``."""
    return OperatorError(f"{path} cannot be written ({error.strerror}); make room or grant access")


def make_folder(folder: Path) -> None:
    """Make the folder, and those above it, unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def make_own_folder(folder: Path) -> None:
    """Make a folder of ours where others write too; a file of that name is moved aside, with a line in the log."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        move_aside(folder)
        make_folder(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def move_aside(path: Path) -> None:
    """Give what stands in the way of a file or folder of ours another name.

    Another process may do the same and make its own there meanwhile. So neither call moves what that process made: the
    slash keeps a file where it is, and ``link`` a folder.
    """
    name = path.name.strip(".").replace(".", "-") + "-moved-aside"
    aside = path.with_name(free_name(path.parent, name, endings=("",)))
    try:
        if path.is_dir() and not path.is_symlink():
            os.rename(f"{path}/", aside)  # noqa: PTH104 - a Path drops the slash
        else:
            os.link(path, aside, follow_symlinks=False)
            path.unlink()
    except OSError as error:
        raise cannot_write(path, error) from error
    log.warning("%s stood in the way of a file or folder of the pipeline, and is called %s now", path, aside.name)


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` so that readers see the old content or the new one, also after a power cut."""
    _write_and_rename(path, text)
    sync_written(path.parent)


def write_all_atomically(texts: Mapping[Path, str]) -> None:
    """Write each text as ``write_atomically`` does, but flush the files side by side and each folder once.

    3,000 files take 0.5 s, and one by one 1.3 s (ext4). After a crash some are written and some are not.
    """
    with ThreadPoolExecutor(FLUSHES_AT_ONCE) as threads:
        # As a list, which raises the first error.
        list(threads.map(_write_and_rename, texts.keys(), texts.values()))
    for folder in {path.parent for path in texts}:
        sync_written(folder)


def _write_and_rename(path: Path, text: str) -> None:
    """Replace the file by a flushed one; the folder is still to be flushed."""
    beside = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with beside.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            beside.replace(path)
        except IsADirectoryError:
            move_aside(path)
            beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise cannot_write(path, error) from error


def create_atomically(path: Path, text: str, *, time_ns: int | None = None) -> None:
    """Write a file that must not be there yet, whole or not at all; it outlasts a power cut.

    Its modification time is ``time_ns``, if that is given.

    Raises ``FileExistsError`` where it is there, of two processes for one of them.
    """
    beside = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if time_ns is not None:
                os.utime(beside, ns=(time_ns, time_ns))
            os.fsync(file.fileno())
        _rename_to_new(beside, path)
        sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _rename_to_new(file: Path, path: Path) -> None:
    try:
        os.link(file, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: then only the caller's lock keeps another process from doing the same.
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        file.rename(path)


def read_json(path: Path) -> Any:
    """The content of a JSON file that this software wrote; raises ``OperatorError`` if it cannot be read any more."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}); grant access to it") from error
    except ValueError as error:
        raise OperatorError(f"{path} is not JSON ({one_line(error)}); restore the file, or remove it") from error


def sync_written(folder: Path) -> None:
    """Make what was written into ``folder`` outlast a power cut; raises ``OperatorError``."""
    try:
        sync_folder(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(paths: Iterable[Path | str]) -> None:
    """Wait until these files and folders, all of one file system, are on disk.

    Side by side, because the disk takes many flushes almost as fast as one.
    """
    listed = list(paths)
    if len(listed) >= MANY_FLUSHES:
        _write_out_file_system(listed[0])
    # A thread takes a share of them: to hand it one at a time costs as much as the flush.
    shares = [listed[first::FLUSHES_AT_ONCE] for first in range(FLUSHES_AT_ONCE)]
    with ThreadPoolExecutor(FLUSHES_AT_ONCE) as pool:
        list(pool.map(_sync_each, shares))


def _write_out_file_system(path: Path | str) -> None:
    """Write out what the file system of this path has in memory, where the system can (Linux).

    A promise it is none: of what could not be written it tells one caller only, who may be another process, and old
    kernels tell nobody. The flush of each file tells.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "syncfs"):
        handle = os.open(path, os.O_RDONLY)
        try:
            library.syncfs(handle)
        finally:
            os.close(handle)


def _sync_each(paths: Iterable[Path | str]) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def free_name(
    folder: Path, name: str, *, endings: tuple[str, ...], is_taken: Callable[[str], bool] = lambda _: False
) -> str:
    """A stem like that of ``name`` such that no file ``stem + ending`` exists in ``folder``, for any of the endings.

    ``is_taken`` says of a stem whether it is spoken for. Names are cut to what a file system takes: a name of 255
    bytes leaves no room for another ending.
    """
    stem = os.fsdecode(os.fsencode(Path(name).stem)[: MAX_NAME_BYTES - max(map(len, endings)) - 10])
    numbered = [stem, *(f"{stem}-{number}" for number in range(2, NUMBERED_NAMES + 1))]
    for candidate in numbered:
        # lexists, as a link to nowhere takes the name too.
        exists = any(os.path.lexists(folder / f"{candidate}{ending}") for ending in endings)
        if not exists and not is_taken(candidate):
            return candidate
    # Not by counting on: whoever drops a bad file of one name every minute would be waited for longer and longer.
    return f"{stem}-{uuid4().hex[:8]}"


def printable_name(name: str) -> str:
    """A file name that fits on one line of any log: unprintable characters and stray bytes are escaped."""
    return printable(os.fsencode(name).decode("utf-8", "backslashreplace"))


def link_or_copy(file: Path | str, link: Path | str) -> None:
    """A hard link; a copy where the system allows none (a file of another user, a file with too many links)."""
    try:
        os.link(file, link)
    except FileNotFoundError:
        raise
    except OSError:
        _copy(file, Path(link))


def _copy(file: Path | str, target: Path) -> None:
    """A copy that is whole or not there: half a file must never be put back."""
    beside = target.with_name(f".{uuid4().hex}.tmp")
    try:
        shutil.copy2(file, beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
