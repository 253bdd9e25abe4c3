"""An object store: whole objects under keys, of which a reader sees all, and one of two that create it wins.

A request that fails is tried again for up to three minutes, with longer and longer pauses.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reloads.stores.client import as_operator_error, connect

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore as Client

REQUESTS_AT_ONCE = 16
"""A request is a wait for the other side: 200 small objects take 0.1 s, and one by one 0.4 s (a server beside it)."""

ONE_REQUEST_BYTES = 64 * 2**20
"""Up to this size a file is one request, so that a killed process leaves nothing that only the server can see."""


@dataclass(frozen=True)
class Found:
    """An object as a list of them shows it."""

    key: str
    size: int
    modified_at: datetime
    tag: str = ""
    """Another one once the object is replaced; empty where the store gives none."""


@dataclass(frozen=True)
class Content:
    """What an object held when it was read."""

    data: bytes
    tag: str
    """Another one once the object is replaced."""


@dataclass(frozen=True)
class ObjectStore:
    """The objects below one URL, as ``s3://bucket/prefix``.

    All methods raise ``OperatorError`` where the store does not answer, or refuses it.
    """

    url: str

    def read(self, key: str) -> Content | None:
        """The object; None where there is none."""
        import obstore

        try:
            with as_operator_error(self.url):
                found = obstore.get(self._client, key)
                return Content(bytes(found.bytes()), str(found.meta["e_tag"]))
        except FileNotFoundError:
            return None

    def has(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            self.describe(key)
        except FileNotFoundError:
            return False
        return True

    def describe(self, key: str) -> Found:
        """How large the object is, and when it was written; raises ``FileNotFoundError`` where there is none."""
        import obstore

        with as_operator_error(self.url):
            found = obstore.head(self._client, key)
        return _found(key, found)

    def read_part(self, key: str, begin: int, count: int) -> bytes:
        """So many bytes of the object from there on; raises ``FileNotFoundError`` where there is none."""
        import obstore

        with as_operator_error(self.url):
            return bytes(obstore.get_range(self._client, key, start=begin, length=count))

    def digest(self, key: str) -> str:
        """The SHA-256 of the object's bytes; raises ``FileNotFoundError`` where there is none."""
        import obstore

        sha256 = hashlib.sha256()
        with as_operator_error(self.url):
            for chunk in obstore.get(self._client, key).stream():
                sha256.update(chunk)
        return sha256.hexdigest()

    def create(self, key: str, data: bytes) -> None:
        """Write an object that must not be there; of several that do so, all but one raise ``FileExistsError``."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            with as_operator_error(self.url):
                obstore.put(self._client, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            # It is our own where the answer to the first try was lost and the request was sent again.
            content = self.read(key)
            if content is None or content.data != data:
                raise FileExistsError(f"{self.url}/{key}") from error

    def write(self, key: str, data: bytes) -> None:
        """Write the object, whatever is there."""
        import obstore

        with as_operator_error(self.url):
            obstore.put(self._client, key, data, use_multipart=False)

    def replace(self, key: str, data: bytes, *, tag: str) -> None:
        """Replace the object that was read with that tag; raises ``FileExistsError`` if somebody else has meanwhile."""
        import obstore
        from obstore.exceptions import PreconditionError

        try:
            with as_operator_error(self.url):
                obstore.put(self._client, key, data, mode={"e_tag": tag}, use_multipart=False)
        except (PreconditionError, FileNotFoundError) as error:
            content = self.read(key)
            if content is None or content.data != data:
                raise FileExistsError(f"{self.url}/{key}") from error

    def upload(self, files: Mapping[str, Path]) -> None:
        """Write these files under their keys, side by side."""
        self._all(self._upload, files.items())

    def fetch(self, files: Mapping[str, Path]) -> list[str]:
        """Write these objects to their paths, each whole or not at all; returns the keys that are not there."""
        found: list[bool] = self._all(self._fetch, files.items())
        return [key for key, is_there in zip(files, found, strict=True) if not is_there]

    def copy(self, keys: Mapping[str, str]) -> list[str]:
        """Copy objects to other keys, by the key of the copy, within the store; returns those whose source is gone."""
        copied: list[bool] = self._all(self._copy, keys.items())
        return [key for key, is_there in zip(keys, copied, strict=True) if not is_there]

    def copy_new(self, keys: Mapping[str, str]) -> None:
        """Copy small objects to other keys, by the key of the copy; what is there already stays as it is."""
        self._all(self._copy_new, keys.items())

    def write_all(self, keys: Collection[str], data: bytes) -> None:
        """Write these objects, all with that content, whatever is there."""
        self._all(lambda key: self.write(key, data), keys)

    def remove(self, keys: Collection[str]) -> None:
        """Remove these objects, as far as they are there."""
        import obstore

        if keys:
            with as_operator_error(self.url):
                obstore.delete(self._client, list(keys))

    def look(self, prefix: str) -> Iterator[Found]:
        """The objects whose keys begin with the folder ``prefix``."""
        import obstore

        with as_operator_error(self.url):
            for page in obstore.list(self._client, prefix, chunk_size=1000):
                for each in page:
                    yield _found(each["path"], each)

    def _upload(self, item: tuple[str, Path]) -> None:
        import obstore

        key, path = item
        with as_operator_error(self.url):
            is_large = path.stat().st_size > ONE_REQUEST_BYTES
            obstore.put(self._client, key, path, use_multipart=is_large)

    def _fetch(self, item: tuple[str, Path]) -> bool:
        import obstore

        key, path = item
        beside = path.with_name(f".{uuid4().hex}.tmp")
        try:
            with as_operator_error(self.url), beside.open("xb") as file:
                for chunk in obstore.get(self._client, key).stream():
                    file.write(chunk)
            beside.replace(path)
        except FileNotFoundError:
            return False
        finally:
            beside.unlink(missing_ok=True)
        return True

    def _copy(self, item: tuple[str, str]) -> bool:
        import obstore

        target, source = item
        try:
            with as_operator_error(self.url):
                obstore.copy(self._client, source, target)
        except FileNotFoundError:
            return False
        return True

    def _copy_new(self, item: tuple[str, str]) -> None:
        target, source = item
        content = self.read(source)
        if content is not None:
            with suppress(FileExistsError):
                self.create(target, content.data)

    def _all(self, act: Callable[[Any], Any], items: Collection[Any]) -> list[Any]:
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
            # As a list, which raises the first error.
            return list(threads.map(act, items))

    @property
    def _client(self) -> Client:
        # By process, as what a fork leaves of a client's threads hangs.
        return connect(self.url, os.getpid())


def _found(key: str, described: ObjectMeta) -> Found:
    return Found(key, described["size"], described["last_modified"], described["e_tag"] or "")
