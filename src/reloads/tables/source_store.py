"""Raw files in an object store."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import count

from reloads.errors import OperatorError
from reloads.files import printable_name
from reloads.raw_file import RawFile
from reloads.stores.listing import Listing
from reloads.stores.object_store import Found, ObjectStore
from reloads.tables.file_template import WILD, name_pattern
from reloads.tables.source_tree import UnusableError


class SourceStore:
    """The objects below a URL as a tree of files; what lies below a folder is asked for once.

    A file is known by its size and its tag, as another one in its place has another tag.
    """

    is_store = True

    def __init__(self, url: str) -> None:
        self.root = url
        self._store = ObjectStore(url)
        self._ticks = count(1)
        self._listings: dict[str, Listing] = {}
        self._seen_at: dict[str, int] = {}
        self._found: dict[str, Found] = {}

    def find_fault(self, within: str) -> str:
        """Why nothing can be said of the files of a source; so where there is not one, as the URL may be wrong."""
        place = f"{self.root}/{within}".rstrip("/")
        try:
            is_empty = self._listing(within).is_empty()
        except OperatorError as error:
            return str(error)
        if is_empty:
            return f"nothing lies below {printable_name(place)}; see that this is the place, or put its files there"
        return ""

    def has(self, path: str, *, within: str) -> bool:
        """Whether there is such an object."""
        try:
            sight = self._listing(within).find(path)
        except OperatorError as error:
            raise UnusableError(str(error)) from error
        self._seen_at[path] = sight.ended
        return any(found.key == path for found in sight.found)

    def find(self, pattern: str, *, within: str, marker: str = "") -> list[str]:
        """The paths that a pattern names and that are there."""
        wild = WILD.search(pattern)
        beginning = pattern[: wild.start()] if wild else pattern
        try:
            # What a sender wrote before its marker is in each sight that was begun after the one of the marker.
            sight = self._listing(within).find(beginning, after=self._seen_at.get(marker, 0))
        except OperatorError as error:
            raise UnusableError(str(error)) from error
        expressions = [name_pattern(part) for part in pattern.split("/")]
        paths: list[str] = []
        for found in sight.found:
            names = found.key.split("/")
            is_named = len(names) == len(expressions) and all(map(_matches, expressions, names))
            if is_named and (found.key != marker or not wild):
                self._found[found.key] = found
                paths.append(found.key)
        return paths

    def read(self, path: str, *, by_content: bool) -> RawFile | None:
        """What the object is, as it was found."""
        found = self._found.get(path)
        if found is None:
            return None
        written_ns = int(found.modified_at.timestamp() * 1e9)
        try:
            content = _digest(self.root, path, found.tag) if by_content else found.tag
        except FileNotFoundError:
            return None
        except OperatorError as error:
            raise UnusableError(str(error)) from error
        return RawFile(found.size, written_ns, written_ns, content)

    def _listing(self, within: str) -> Listing:
        if within not in self._listings:
            self._listings[within] = Listing(self._store, within, self._ticks)
        return self._listings[within]


def _matches(expression: re.Pattern[str], name: str) -> bool:
    return expression.match(name) is not None


@lru_cache(maxsize=100_000)
def _digest(url: str, key: str, tag: str) -> str:
    """The hash of the object with that tag, which is read once."""
    del tag
    return ObjectStore(url).digest(key)
