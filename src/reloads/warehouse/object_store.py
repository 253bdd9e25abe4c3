"""An object store: whole objects under keys, of which a reader sees all, and one of two that create it wins.

A request that fails is tried again for up to three minutes, with longer and longer pauses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reloads.errors import OperatorError, one_line, shorten
from reloads.warehouse.store_credentials import find_credentials, no_credentials, was_never_asked

if TYPE_CHECKING:
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
            with self._as_operator_error():
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

        with self._as_operator_error():
            found = obstore.head(self._client, key)
        return Found(key, found["size"], found["last_modified"])

    def read_part(self, key: str, begin: int, count: int) -> bytes:
        """So many bytes of the object from there on; raises ``FileNotFoundError`` where there is none."""
        import obstore

        with self._as_operator_error():
            return bytes(obstore.get_range(self._client, key, start=begin, length=count))

    def create(self, key: str, data: bytes) -> None:
        """Write an object that must not be there; of several that do so, all but one raise ``FileExistsError``."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            with self._as_operator_error():
                obstore.put(self._client, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            # It is our own where the answer to the first try was lost and the request was sent again.
            content = self.read(key)
            if content is None or content.data != data:
                raise FileExistsError(f"{self.url}/{key}") from error

    def write(self, key: str, data: bytes) -> None:
        """Write the object, whatever is there."""
        import obstore

        with self._as_operator_error():
            obstore.put(self._client, key, data, use_multipart=False)

    def replace(self, key: str, data: bytes, *, tag: str) -> None:
        """Replace the object that was read with that tag; raises ``FileExistsError`` if somebody else has meanwhile."""
        import obstore
        from obstore.exceptions import PreconditionError

        try:
            with self._as_operator_error():
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
            with self._as_operator_error():
                obstore.delete(self._client, list(keys))

    def look(self, prefix: str) -> Iterator[Found]:
        """The objects whose keys begin with the folder ``prefix``."""
        import obstore

        with self._as_operator_error():
            for page in obstore.list(self._client, prefix, chunk_size=1000):
                for each in page:
                    yield Found(each["path"], each["size"], each["last_modified"])

    def _upload(self, item: tuple[str, Path]) -> None:
        import obstore

        key, path = item
        with self._as_operator_error():
            is_large = path.stat().st_size > ONE_REQUEST_BYTES
            obstore.put(self._client, key, path, use_multipart=is_large)

    def _fetch(self, item: tuple[str, Path]) -> bool:
        import obstore

        key, path = item
        beside = path.with_name(f".{uuid4().hex}.tmp")
        try:
            with self._as_operator_error(), beside.open("xb") as file:
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
            with self._as_operator_error():
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
    def is_plain_http(self) -> bool:
        """Whether who set the endpoint wants no TLS."""
        return _is_plain_http()

    @property
    def _client(self) -> Client:
        # By process, as what a fork leaves of a client's threads hangs.
        return _connect(self.url, os.getpid())

    @contextmanager
    def _as_operator_error(self) -> Iterator[None]:
        """Turn what the client raises into a sentence, but for an object that is not there, or there already."""
        try:
            from obstore.exceptions import (
                AlreadyExistsError,
                BaseError,
                PermissionDeniedError,
                PreconditionError,
                UnauthenticatedError,
            )
        except ImportError as error:
            raise _missing(self.url) from error
        try:
            yield
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            raise
        except (PermissionDeniedError, UnauthenticatedError) as error:
            if was_never_asked(error):
                raise no_credentials(self.url, error) from error
            cure = "give AWS tools credentials that may read, write, list and delete there"
            raise OperatorError(f"{self.url} refuses access ({_reason(error)}); {cure}") from error
        except BaseError as error:
            raise OperatorError(f"{self.url} does not answer ({_reason(error)}); see that it can be reached") from error


def _reason(error: Exception) -> str:
    """What the client says went wrong, without the request and the advice for programmers."""
    text = one_line(str(error).partition("Debug source:")[0])
    return shorten(text.rpartition(" - ")[2] or text, 160)


def _missing(url: str) -> OperatorError:
    return OperatorError(f"{url} is an object store and the package for that is missing; install reloads[store]")


@lru_cache(maxsize=16)
def _connect(url: str, process: int) -> Client:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        credentials = find_credentials(url, process)
    except ImportError as error:
        raise _missing(url) from error
    options: dict[str, Any] = {
        "client_options": {"allow_http": _is_plain_http(), "timeout": "60s"},
        "retry_config": {"max_retries": 10, "retry_timeout": timedelta(minutes=3)},
    }
    if credentials:
        options["credential_provider"] = credentials
    try:
        return from_url(url, **options)
    except BaseError as error:
        raise OperatorError(f"{url} cannot be opened ({_reason(error)}); write one like s3://bucket/prefix") from error


def _is_plain_http() -> bool:
    """Whether who set the endpoint wants no TLS."""
    endpoints = (os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
    return any(endpoint.startswith("http://") for endpoint in endpoints)


def probe(store: ObjectStore) -> None:
    """Raise ``OperatorError`` unless the store does what a log needs.

    It creates an object once, replaces what was read and nothing newer, gives back what was written, and lists it.
    """
    key, first, second = f".probe/{uuid4().hex}", uuid4().hex.encode(), uuid4().hex.encode()
    try:
        store.create(key, first)
        content = store.read(key)
        if content is None or content.data != first:
            raise _refuse(store, "does not give back what was just written")
        if not _raises(FileExistsError, lambda: store.create(key, second)):
            raise _refuse(store, "lets an object be created twice (If-None-Match)")
        store.replace(key, second, tag=content.tag)
        if not _raises(FileExistsError, lambda: store.replace(key, first, tag=content.tag)):
            raise _refuse(store, "replaces an object that somebody else has replaced (If-Match)")
        if key not in {found.key for found in store.look(".probe")}:
            raise _refuse(store, "does not list what was just written")
    finally:
        store.remove([key])


def _refuse(store: ObjectStore, what: str) -> OperatorError:
    return OperatorError(f"{store.url} {what}, so two could publish the same commit; take another store")


def _raises(kind: type[Exception], act: Callable[[], None]) -> bool:
    try:
        act()
    except kind:
        return True
    return False
