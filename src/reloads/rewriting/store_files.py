"""Raw files in an object store: a source may name them by their URL, ``read_parquet('s3://bucket/raw/*.parquet')``.

DuckDB's extension httpfs reads them where the machine has it; else the files come through here, by the same client and
with the same credentials as a warehouse in a store. A column of a Parquet file is read without the others either way.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from reloads.stores.object_store import ObjectStore
from reloads.threaded_file import ThreadedFile

if TYPE_CHECKING:
    import duckdb

SCHEMES = ("s3", "gs", "az")
_URL = re.compile(rf"\b({'|'.join(SCHEMES)})://")
_WILD = re.compile(r"[*?[]")


def let_read_stores(db: duckdb.DuckDBPyConnection, text: str) -> None:
    """Let the database read what the statement names, if that is in an object store."""
    import duckdb

    if not _URL.search(text):
        return
    try:
        db.execute("load httpfs")
    except duckdb.Error:
        # A second time it is there already.
        if not set(db.list_filesystems()) & set(SCHEMES):
            db.register_filesystem(StoreFiles())


class StoreFiles(AbstractFileSystem):  # type: ignore[misc] # it comes without types
    """The objects of all stores that this machine may read, as files; DuckDB calls the methods.

    ``*``, ``?`` and ``[…]`` in a path match within one name, and ``**`` any names. Raises ``FileNotFoundError`` for an
    object that is not there, and ``OperatorError`` where the store refuses or does not answer.
    """

    protocol = SCHEMES
    cachable = False

    def open(self, path: str, mode: str = "rb", **_options: Any) -> io.IOBase:
        """The object, to read it."""
        if mode != "rb":
            raise PermissionError(f"{path} is a source, and sources are only read")
        store, key = _split(path)
        return _File(store, key, self._size(path))

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        """The size of the object."""
        return {"name": path, "type": "file", "size": self._size(path)}

    def modified(self, path: str) -> datetime:
        """When the object was last written."""
        store, key = _split(path)
        return store.describe(key).modified_at

    def exists(self, path: str, **_options: Any) -> bool:
        """Whether there is such an object."""
        store, key = _split(path)
        return store.has(key)

    def glob(self, path: str, **_options: Any) -> list[str]:
        """The objects that match the pattern, sorted."""
        store, pattern = _split(path)
        if not _WILD.search(pattern):
            return [path] if store.has(pattern) else []
        return sorted(f"{store.url}/{key}" for key in _find(store, pattern))

    def _size(self, path: str) -> int:
        store, key = _split(path)
        return store.describe(key).size


class _File(ThreadedFile):
    """An object that is read in parts."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        super().__init__(size)
        self._store, self._key = store, key

    def read_at(self, place: int, count: int) -> bytes:
        return self._store.read_part(self._key, place, count)


def _split(path: str) -> tuple[ObjectStore, str]:
    """The bucket, and the key in it."""
    scheme, _, below = path.partition("://")
    bucket, _, key = below.partition("/")
    return ObjectStore(f"{scheme}://{bucket}"), key


def _find(store: ObjectStore, pattern: str) -> Iterator[str]:
    names = pattern.split("/")
    wild = next(place for place, name in enumerate(names) if _WILD.search(name))
    # The folders before the first pattern: no more than what is below them is listed.
    for found in store.look("/".join(names[:wild])):
        if _matches(found.key.split("/"), names):
            yield found.key


def _matches(names: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_matches(names[skipped:], patterns[1:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])
