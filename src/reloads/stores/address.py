"""The address of an object store, as the settings hold it: a folder whose name is the URL."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote


@lru_cache(maxsize=256)
def store_url(folder: Path) -> str | None:
    """The URL of the object store that the folder stands for, which is its name; None for any other folder."""
    url = unquote(folder.name)
    return url if "://" in url else None


def public_name(root: Path, below: str) -> str:
    """How everybody names what has this path below a folder, which may stand for a store: its path, or its URL."""
    return f"{store_url(root) or root}/{below}" if below else store_url(root) or str(root)
