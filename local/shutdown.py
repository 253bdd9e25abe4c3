"""Ending a stack: nothing of it is left running, and nothing is lost."""

from __future__ import annotations

import psutil

from local.files import only_one
from local.folders import Folders
from local.leftovers import end_leftovers, is_alive
from local.processes import AIRFLOW
from local.stack import Stack
from local.supervisor_client import Supervisor
from local.waiting import wait_until


def stop(folders: Folders) -> bool:
    """End every process of the stack; whether there was any.

    Tasks that finish within seconds do so; the others are ended, and run again after the next start.
    """
    if not (folders.local / "secrets.json").exists():
        return False
    with only_one(folders.local / "lock"):
        supervisor = Stack.at(folders).supervisor
        was_running = supervisor.is_answering()
        if was_running:
            _stop_in_order(supervisor)
        return bool(end_leftovers(folders)) or was_running


def _stop_in_order(supervisor: Supervisor) -> None:
    """The API server outlives the tasks, which report to it; the database outlives all."""
    process = psutil.Process(supervisor.pid())
    _stop_programs(supervisor, [name for name in AIRFLOW if name != "api-server"])
    _stop_programs(supervisor, ["api-server"])
    supervisor.shut_down()
    wait_until(lambda: not is_alive(process), seconds=30, every=0.05)


def _stop_programs(supervisor: Supervisor, names: list[str]) -> None:
    for name in names:
        supervisor.stop(name)
    wait_until(lambda: all(p.is_stopped for p in supervisor.programs() if p.name in names), seconds=15, every=0.1)
