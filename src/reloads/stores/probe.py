"""Whether an object store does what a log needs."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from reloads.errors import OperatorError
from reloads.stores.object_store import ObjectStore


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
