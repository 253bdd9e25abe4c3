"""The source tree: where all raw files lie, a folder or what is below a URL of an object store.

Whatever it is, the paths of its files are below it, with ``/``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from reloads.raw_file import RawFile
from reloads.stores.address import store_url


class UnusableError(Exception):
    """A file or a folder that is there and cannot be used; its text says why."""


class SourceTree(Protocol):
    """What a look at raw files asks of the tree. ``within`` is the folder of it that holds all files of a source."""

    root: str
    """The tree itself, as queries and people name it: an absolute path or a URL."""

    is_store: bool
    """Whether nobody sees a file before all of it is written, and each look costs requests."""

    def find_fault(self, within: str) -> str:
        """Why nothing can be said of what lies there, in a clause; empty where something can. So of an empty folder."""

    def has(self, path: str, *, within: str) -> bool:
        """Whether there is such a file. Raises ``UnusableError``."""

    def find(self, pattern: str, *, within: str, marker: str = "") -> list[str]:
        """The paths that a pattern names, sorted; one without ``*`` and ``?`` need not be there.

        As in a shell, ``*`` and ``?`` name no hidden files, nor do they name the ``marker``. All that lay there before
        it was last asked for the marker is found. Raises ``UnusableError``.
        """

    def read(self, path: str, *, by_content: bool) -> RawFile | None:
        """What the file is now, one that ``find`` has named; None where there is none. Raises ``UnusableError``."""


def source_tree(source: Path, *, clock: Callable[[], float]) -> SourceTree:
    """The tree in that folder, or in the store that the folder stands for."""
    from reloads.tables.source_folder import SourceFolder
    from reloads.tables.source_store import SourceStore

    url = store_url(source)
    return SourceStore(url) if url else SourceFolder(source, clock=clock)
