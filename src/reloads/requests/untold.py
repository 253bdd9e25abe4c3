"""Tables of which Airflow is still to be told what was published outside of its runs: ``landing/.untold/<table>``.

The doorbell finds them and wakes the table's DAG, whose last task tells. The modification time says when somebody last
took care of it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from reloads.files import cannot_write, make_own_folder, write_atomically
from reloads.requests.neglect import KNOCK, LONGEST_WAIT


def leave_untold(landing: Path, table: str) -> None:
    """Have the doorbell wake the table's DAG now."""
    path = _folder(landing) / table
    make_own_folder(path.parent)
    write_atomically(path, "")
    _set_time(path, (0, 0))
    write_atomically(landing / KNOCK, "")


def find_untold(landing: Path, *, now: datetime, after: timedelta = LONGEST_WAIT) -> list[str]:
    """The tables that nobody took care of for that long, sorted."""
    tables: list[str] = []
    for path in _folder(landing).glob("[!.]*"):
        with suppress(FileNotFoundError):  # it was told just now
            if abs(now.timestamp() - path.stat().st_mtime) >= after.total_seconds():
                tables.append(path.name)
    return sorted(tables)


def attend_untold(landing: Path, table: str) -> None:
    """Note that somebody takes care of it now."""
    with suppress(FileNotFoundError):
        _set_time(_folder(landing) / table, None)


def forget_untold(landing: Path, table: str) -> None:
    """Note that Airflow is told."""
    path = _folder(landing) / table
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def _folder(landing: Path) -> Path:
    return landing / ".untold"


def _set_time(path: Path, times: tuple[int, int] | None) -> None:
    try:
        os.utime(path, times)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
