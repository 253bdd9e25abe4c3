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
    """What was seen, and when."""

    found: Sequence[Found]
    begun: int
    ended: int
    """Ticks: what lay there at ``begun`` is seen, and nothing that came after ``ended``."""


class Listing:
    """Lists the tree below ``root``, which is empty for the whole store; asks for nothing again without need.

    ``ticks`` counts the beginnings and ends of sights, so that those of several listings can be told apart by time.
    All methods raise ``OperatorError`` where the store does not answer.
    """

    def __init__(self, store: ObjectStore, root: str, ticks: Iterator[int]) -> None:
        self._store, self._root, self._ticks = store, root, ticks
        self._is_small: bool | None = None
        self._whole: list[_Folder] = []
        self._folders: dict[str, list[_Folder]] = {}

    def find(self, beginning: str, *, after: int = 0) -> Sight:
        """The objects of the tree whose keys begin with that text: the oldest sight that was begun after that tick."""
        if self._look_at_size() or len(self._folders) >= FOLDERS_ONE_BY_ONE:
            return self._look(self._root, self._whole, after).find(beginning)
        folder = beginning.rpartition("/")[0]
        return self._look(folder, self._folders.setdefault(folder, []), after).find(beginning)

    def is_empty(self) -> bool:
        """Whether nothing at all lies in the tree."""
        return self._look_at_size() and not self._whole[0].keys

    def _look_at_size(self) -> bool:
        """Whether the tree is small; if so, it is listed."""
        if self._is_small is None:
            listed = self._list(self._root, WHOLE_OBJECTS)
            self._is_small = len(listed.keys) < WHOLE_OBJECTS
            if self._is_small:
                self._whole.append(listed)
        return self._is_small

    def _look(self, folder: str, kept: list[_Folder], after: int) -> _Folder:
        """The oldest of those kept that was begun after that tick; a new one where there is none."""
        for each in kept:
            if each.begun > after:
                return each
        kept.append(self._list(folder, None))
        return kept[-1]

    def _list(self, folder: str, most: int | None) -> _Folder:
        begun = next(self._ticks)
        found = sorted(islice(self._store.look(folder), most), key=lambda each: each.key)
        return _Folder(found, [each.key for each in found], begun, next(self._ticks))


@dataclass(frozen=True)
class _Folder:
    """What lies below a folder, by its keys in order."""

    found: Sequence[Found]
    keys: Sequence[str]
    begun: int
    ended: int

    def find(self, beginning: str) -> Sight:
        first = last = bisect_left(self.keys, beginning)
        while last < len(self.keys) and self.keys[last].startswith(beginning):
            last += 1
        return Sight(self.found[first:last], self.begun, self.ended)
