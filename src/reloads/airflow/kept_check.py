"""The check of all tables for Airflow's page of import errors, kept for as long as nothing changed that it was made of.

Airflow reads the DAG file that calls it again and again. To bind the queries of 200 tables takes 3.6 s of processor
time, to see that they are what they were 0.05 s. Only a good answer is kept, as an empty file whose name says for what:
a file that is missing, or cannot be written, costs another check and nothing else.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import reloads
from reloads.settings import PREFIX, Settings
from reloads.tables.folder_digest import digest_tables

KEPT_SECONDS = 600
"""So late a fault shows that came from outside the tables: from raw files, or from the columns of what is published."""


def require_good_tables(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise ``TableError`` with a line for each broken table."""
    folder = Path(tempfile.gettempdir()) / f"reloads-{os.getuid()}"
    kept = folder / f"good-tables-{_fingerprint(settings, environment)}"
    if _is_fresh(kept):
        return
    from reloads.inspection.check_tables import check_tables

    check_tables(settings)
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        for old in folder.glob("good-tables-*"):
            if not _is_fresh(old):
                old.unlink(missing_ok=True)
        kept.touch()


def _is_fresh(kept: Path) -> bool:
    """Whether we wrote it, and not long ago; anybody may write into a folder for temporary files."""
    try:
        status = kept.lstat()
    except OSError:
        return False
    is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
    return is_ours and 0 <= time.time() - status.st_mtime < KEPT_SECONDS


def _fingerprint(settings: Settings, environment: Mapping[str, str]) -> str:
    """A hash of the tables, the settings and the code: of all that the answer follows from, but what lies outside."""
    digest = sha256()
    for package in ("reloads", "duckdb"):
        digest.update(f"{package} {version(package)}\0".encode())
    for name in sorted(environment):
        if name.startswith(PREFIX):
            digest.update(f"{name}={environment[name]}\0".encode())
    modules = Path(reloads.__file__).parent
    for path in sorted(modules.rglob("*.py")):
        digest.update(f"{path} {path.stat().st_mtime_ns}\0".encode())
    digest.update(f"{settings.tables} {digest_tables(settings.tables)}".encode())
    return digest.hexdigest()
