"""A listing of a store: what lies below the folders of one tree, with few requests, and as of when it is known.

Nothing here relies on the order of keys: a server that keeps folders lists them before what a store would list first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from reloads.stores.object_store import Found, ObjectStore

WHOLE_OBJECTS = 8_000
"""A tree of fewer objects is listed whole, as a request lists a thousand; of a larger one only what is asked for."""

FOLDERS_ONE_BY_ONE = 100
"""A larger tree is listed whole, too, once so many of its folders were asked for."""


@dataclass(frozen=True)
class Sight:
    """What was seen below a folder."""

    found: Sequence[Found]
    begun: int
    ended: int
    """Ticks: what lay there when the tick ``begun`` was counted is seen, and nothing that came after ``ended``."""


class Listing:
    """Lists the tree below ``root``, which is empty for the store; asks for each thing once.

    ``ticks`` counts what is asked, so that the sights of several listings can be told apart by time. All methods raise
    ``OperatorError`` where the store does not answer.
    """

    def __init__(self, store: ObjectStore, root: str, ticks: Iterator[int]) -> None:
        self._store, self._root, self._ticks = store, root, ticks
        self._whole: _Tree | None = None
        self._first: _Tree | None = None
        self._folders: dict[str, Sight] = {}

    def below(self, folder: str, *, after: int = 0) -> Sight:
        """The objects below a folder of the tree, as they lay there at some time after that tick."""
        whole = self._list_whole()
        if whole and whole.begun > after:
            return whole.below(folder)
        sight = self._folders.get(folder)
        if sight is None or sight.begun <= after:
            sight = self._list(folder, None).below(folder)
            self._folders[folder] = sight
        return sight

    def is_empty(self) -> bool:
        """Whether nothing at all lies in the tree."""
        whole = self._list_whole()
        return not whole.keys if whole else False

    def _list_whole(self) -> _Tree | None:
        """The tree, if it is small or much of it was asked for."""
        if self._whole is None and self._first is None:
            self._first = self._list(self._root, WHOLE_OBJECTS)
            if len(self._first.keys) < WHOLE_OBJECTS:
                self._whole = self._first
        if self._whole is None and len(self._folders) >= FOLDERS_ONE_BY_ONE:
            self._whole = self._list(self._root, None)
        return self._whole

    def _list(self, folder: str, most: int | None) -> _Tree:
        begun = next(self._ticks)
        found = sorted(islice(self._store.look(folder), most), key=lambda each: each.key)
        return _Tree(found, [each.key for each in found], begun, next(self._ticks))


@dataclass(frozen=True)
class _Tree:
    """What lies in it, by its keys in order."""

    found: Sequence[Found]
    keys: Sequence[str]
    begun: int
    ended: int

    def below(self, folder: str) -> Sight:
        prefix = f"{folder}/" if folder else ""
        first = bisect_left(self.keys, prefix)
        last = first
        while last < len(self.keys) and self.keys[last].startswith(prefix):
            last += 1
        return Sight(self.found[first:last], self.begun, self.ended)
