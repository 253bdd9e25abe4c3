"""The clone that the tests run in, and fresh copies of it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.support.command import run_command

CLONE = Path(__file__).resolve().parents[2]
# The listing also works for a user who does not own the clone, as root in a container does not.
LIST_TRACKED_FILES = ("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached")
LIST_FILES = (*LIST_TRACKED_FILES, "--others", "--exclude-standard")
# The settings of whoever runs the tests, and the flags of the `make test` that started them, are not for the copy.
SETTING_NAMES = ("RELOADS_", "AIRFLOW", "MAKE", "MFLAGS")


def copy_clone(target: Path) -> None:
    """Copy every file of the clone that version control knows, or would take up: what a fresh clone holds."""
    _copy_files(run_command(*LIST_FILES, folder=CLONE), target)


def copy_tables(home: Path) -> None:
    """Copy the tables that belong to the clone; not those that somebody added to try it, as the README suggests."""
    _copy_files(run_command(*LIST_TRACKED_FILES, "tables", folder=CLONE), home)


def _copy_files(listing: str, target: Path) -> None:
    for name in listing.split("\0"):
        source, copy = CLONE / name, target / name
        # The listing ends with an empty name, and holds files that were deleted and not committed.
        if source.is_symlink() or source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)


def make_command(target: str) -> list[str]:
    """A target of the Makefile as a command; it runs with the Python of the tests and installs nothing."""
    python = Path(sys.executable)
    return ["make", "--assume-old=.venv/runtime", target, f"BIN={python.parent}", f"PYTHON={python}"]


def make(target: str, *values: str, clone: Path) -> str:
    """What `make` prints in that copy of the clone; raises ``RuntimeError`` with it if the target fails."""
    return run_command(*make_command(target), *values, folder=clone, environment=environment_of_a_new_shell())


def environment_of_a_new_shell() -> dict[str, str]:
    """The variables of this process without those that would change what the copy does."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTING_NAMES)}
