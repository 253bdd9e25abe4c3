"""The only files that an SQL query of a person can open: those below a few folders, and only to read them.

DuckDB opens files through this file system alone, so there is nothing else that a query could reach, however it is
written. DuckDB's own switches do not hold (2.0.0): into a folder of ``allowed_directories`` a query may also write,
``link/../file`` reads beside that folder where ``link`` is a symbolic link to another, and ``glob('*/*')`` lists it.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from reloads.files import printable_name
from reloads.threaded_file import ThreadedFile
from reloads.warehouse.mirror import fetch_files, mirror_of

# Each folder on the way is opened from the one above it, so that no link is followed, not even one made meanwhile.
# Without waiting, because a pipe would wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
SMALL_BYTES = 2**20
"""A file up to this size is read whole, as each call from DuckDB into Python takes its time."""


class Refusal(Exception):  # noqa: N818 - it is what the query gets to hear, and nothing went wrong
    """The query may not do that; ``str(refusal)`` says what."""


class _File(ThreadedFile):
    """A file that closes itself without a warning: DuckDB lets go of its files and closes none."""

    def __init__(self, handle: int, size: int) -> None:
        super().__init__(size)
        self._handle = handle

    def read_at(self, place: int, count: int) -> bytes:
        return os.pread(self._handle, count, place)

    def close(self) -> None:
        if not self.closed:
            os.close(self._handle)
        super().close()


class ReadOnlyFiles(AbstractFileSystem):  # type: ignore[misc] # it comes without types
    """The files below some folders, as ``<name>://<path below that folder>``; DuckDB calls the methods.

    ``*``, ``?``, ``[…]`` and ``**`` in a path match regular files without a leading dot; symbolic links are not
    followed. Raises ``Refusal`` for whatever would write or leave the folder, ``FileNotFoundError`` for a file that
    is gone. ``moves`` names folders that a file may move on to, each below the same one as its own: a file that is gone
    since it was listed is read where it is now.
    """

    cachable = False  # of two with the same folders one may be closed

    def __init__(self, folders: Mapping[str, Path], *, moves: Sequence[str] = ()) -> None:
        super().__init__()
        self.protocol = tuple(folders)
        self._folders = folders
        self._moves = moves
        self._sizes: dict[str, int] = {}
        self._stray_names: dict[str, str] = {}
        """Names that are not UTF-8, as SQL has to have it, by what stands for them there."""

    def open(self, path: str, mode: str = "rb", **_options: Any) -> io.IOBase:
        """The file, to read it."""
        if mode != "rb":
            raise Refusal(f"it would write {path}")
        handle = self._open(path)
        self._sizes[path] = size = os.fstat(handle).st_size
        if size > SMALL_BYTES:
            return _File(handle, size)
        with os.fdopen(handle, "rb") as file:
            return io.BytesIO(file.read(size))

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        """The size of the file that was opened there, though another may have taken its place since."""
        size = self._sizes.get(path)
        return {"name": path, "type": "file", "size": self._status(path).st_size if size is None else size}

    def modified(self, path: str) -> datetime:
        """When the file was last written."""
        return datetime.fromtimestamp(self._status(path).st_mtime, UTC)

    def glob(self, path: str, **_options: Any) -> list[str]:
        """The files that match the pattern, sorted. Of a mirror's a name is not looked for before it is opened."""
        scheme, names = self._split(path)
        if mirror_of(self._folders[scheme]) and not any(set(name) & set("*?") for name in names):
            # As `parquet.pattern` writes a name that holds a bracket.
            return [f"{scheme}://{'/'.join(names)}"]
        try:
            with _opened(self._folders[scheme], _FLAGS & ~os.O_NOFOLLOW) as folder:
                return sorted(f"{scheme}://{self._as_sql_has_it(name)}" for name in _matching(folder, names))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _open(self, path: str) -> int:
        scheme, names = self._split(path)
        try:
            return self._open_names(path, scheme, names)
        except FileNotFoundError:
            for folder in self._moves:
                # To look at it all again would not do: while many move on, others would be gone then.
                if len(names) > 1 and names[-2] != folder:
                    with suppress(FileNotFoundError):
                        return self._open_names(path, scheme, [*names[:-2], folder, names[-1]])
            raise

    def _open_names(self, path: str, scheme: str, names: Sequence[str]) -> int:
        fetch_files(self._folders[scheme], [self._folders[scheme].joinpath(*names)])
        # The folder itself may be a link: it is a setting, and nobody who asks can change it.
        handle = os.open(self._folders[scheme], _FLAGS & ~os.O_NOFOLLOW)
        for name in names:
            folder = handle
            try:
                handle = _open_below(folder, name)
            finally:
                os.close(folder)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise Refusal(f"{path} is not a file")
        return handle

    def _status(self, path: str) -> os.stat_result:
        handle = self._open(path)
        try:
            return os.fstat(handle)
        finally:
            os.close(handle)

    def _split(self, path: str) -> tuple[str, list[str]]:
        scheme, _, below = path.partition("://")
        names = [name for name in below.split("/") if name not in ("", ".")]
        if ".." in names or "\0" in below:
            raise Refusal(f"it leaves the folder {scheme}://")
        return scheme, [self._stray_names.get(name, name) for name in names]

    def _as_sql_has_it(self, path: str) -> str:
        names = path.split("/")
        for place, name in enumerate(names):
            if os.fsencode(name) != name.encode("utf-8", "replace"):
                names[place] = printable_name(name)
                self._stray_names[names[place]] = name
        return "/".join(names)


def _matching(folder: int, names: Sequence[str]) -> Iterator[str]:
    """The paths of the regular files below the folder that match these names, each a name or a pattern."""
    name, *rest = names or ["*"]
    deeper = names if name == "**" else rest
    if name == "**" and rest:
        yield from _matching(folder, rest)
    for entry in _entries(folder, name):
        with suppress(OSError):  # gone meanwhile, or nobody may look into it
            mode = os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode) and entry == name:
                raise Refusal(f"{name} is a symbolic link")
            if stat.S_ISREG(mode) and rest in ([], ["**"]):
                yield entry
            elif stat.S_ISDIR(mode) and deeper:
                with _opened(entry, _FLAGS, folder) as below:
                    for path in _matching(below, deeper):
                        yield f"{entry}/{path}"


def _entries(folder: int, name: str) -> list[str]:
    """The names in the folder that the name may match; a pattern matches no leading dot unless it has one."""
    if not set(name) & set("*?["):
        return [name]
    pattern = "*" if name == "**" else name
    return [
        entry for entry in os.listdir(folder) if fnmatchcase(entry, pattern) and (entry[0] != "." or pattern[0] == ".")
    ]


def _open_below(folder: int, name: str) -> int:
    try:
        return os.open(name, _FLAGS, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refusal(f"{name} is a symbolic link") from None
        if error.errno in (errno.ENOTDIR, errno.ENXIO, errno.ENAMETOOLONG):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
        raise


@contextmanager
def _opened(path: Path | str, flags: int, folder: int | None = None) -> Iterator[int]:
    """The descriptor of a folder, for a while."""
    handle = os.open(path, flags, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)
