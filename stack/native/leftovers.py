"""Processes of a stack whose supervisor is gone, and tasks it never knew of; they are known by their environment."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import psutil

from stack.native.folders import Folders
from stack.waiting import wait_until


def find_leftovers(folders: Folders) -> list[psutil.Process]:
    """Every process started for this home folder, whoever its parent is; never the caller or the caller's parents."""
    callers = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    leftovers: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid in callers or not _belongs(process, folders):
            continue
        leftovers[process.pid] = process
        # Airflow hides what tasks hold in memory, and with it their environment, from everybody but root.
        for child in _children(process):
            if child.pid not in callers and is_alive(child):
                leftovers[child.pid] = child
    return list(leftovers.values())


def end_leftovers(folders: Folders) -> int:
    """End them all, the database last; how many there were."""
    leftovers = find_leftovers(folders)
    database = [process for process in leftovers if _lives_in(process, folders.postgres)]
    rest = [process for process in leftovers if process not in database]
    # supervisor first: it would start again what ends before it.
    rest.sort(key=_is_supervisor, reverse=True)
    _end(rest, signal.SIGTERM, seconds=3)
    # The server's fast shutdown ends its sessions too.
    _end([process for process in database if _parent(process) not in database], signal.SIGINT, seconds=6)
    while late := find_leftovers(folders):
        _end(late, signal.SIGKILL, seconds=1)
    return len(leftovers)


def is_alive(process: psutil.Process) -> bool:
    """Whether it still does something: in a container an ended process can stay listed until the container ends."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _end(processes: list[psutil.Process], number: signal.Signals, *, seconds: float) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    if not wait_until(lambda: not any(map(is_alive, processes)), seconds=seconds, every=0.05):
        for process in filter(is_alive, processes):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _belongs(process: psutil.Process, folders: Folders) -> bool:
    # The sessions of PostgreSQL put their title where their environment was; they are known by where they live.
    try:
        is_marked = process.environ().get("AIRFLOW_HOME") == str(folders.airflow)
    except (psutil.Error, OSError):
        is_marked = False
    return (is_marked or _lives_in(process, folders.postgres)) and is_alive(process)


def _lives_in(process: psutil.Process, folder: os.PathLike[str]) -> bool:
    try:
        return bool(process.cwd() == os.path.realpath(folder))
    except (psutil.Error, OSError):
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _parent(process: psutil.Process) -> psutil.Process | None:
    try:
        return process.parent()
    except psutil.Error:
        return None


def _is_supervisor(process: psutil.Process) -> bool:
    try:
        return "supervisor.supervisord" in process.cmdline()
    except psutil.Error:
        return False
