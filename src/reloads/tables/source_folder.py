"""The folder that holds all files of a source: whether anything can be said of what lies there."""

from __future__ import annotations

import os
from pathlib import Path


def find_folder_fault(folder: Path) -> str:
    """Why the folder cannot be looked at, in a clause; of an empty one, too. Empty where it can.

    A mount point without its file system is an empty folder.
    """
    try:
        with os.scandir(folder) as entries:
            if next(entries, None) is None:
                return f"the folder {folder} is empty; mount it, or put its files there"
    except OSError as error:
        return f"the folder {folder} cannot be read ({error.strerror}); mount it or grant access"
    return ""
