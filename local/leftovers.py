"""Processes of a stack whose supervisor is gone, and the tasks it never knew of: found by their environment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

import psutil

from local.folders import Folders


def find_leftovers(folders: Folders) -> list[psutil.Process]:
    """Every process that was started for this home folder, whoever its parent is; never the caller or its parents."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid not in ours and _belongs_to(process, folders):
            found[process.pid] = process
    return list(found.values())


def _belongs_to(process: psutil.Process, folders: Folders) -> bool:
    try:
        if not is_alive(process):
            return False
        if process.environ().get("AIRFLOW_HOME") == str(folders.airflow):
            return True
        # PostgreSQL's sessions overwrite their environment with a title, but live in the data folder.
        return process.cwd() == str(folders.postgres)
    except (psutil.Error, OSError):
        return False


def is_alive(process: psutil.Process) -> bool:
    """Whether it still does something; the entry of an ended one stays where nobody asks for its exit code."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_leftovers(folders: Folders, *, seconds: float = 3) -> int:
    """End them all, the database last; how many there were."""
    found = find_leftovers(folders)
    database = [process for process in found if _is_database(process, folders)]
    rest = [process for process in found if process not in database]
    # supervisor first: it would start again what ends before it.
    rest.sort(key=_is_supervisor, reverse=True)
    _end(rest, signal.SIGTERM, seconds=seconds)
    parents = [process for process in database if _parent(process) not in {p.pid for p in database}]
    _end(parents, signal.SIGINT, seconds=2 * seconds)
    _end(find_leftovers(folders), signal.SIGKILL, seconds=seconds)
    return len(found)


def _end(processes: Iterable[psutil.Process], number: signal.Signals, *, seconds: float) -> None:
    """Send the signal, wait, and kill what is left of them."""
