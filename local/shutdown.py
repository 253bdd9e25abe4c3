"""Ending a stack: nothing of it is left running, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from local.errors import LocalError
from local.files import only_one
from local.folders import Folders
from local.leftovers import end_leftovers, is_alive
from local.processes import AIRFLOW
from local.stack import Stack
from local.supervisor_client import Supervisor
from local.waiting import wait_until

BEFORE_API_SERVER = ("scheduler", "triggerer", "dag-processor")
PATIENCE_SECONDS = 3


def stop(folders: Folders) -> bool:
    """End every process of the stack; whether there was any.

    Tasks that finish within seconds do so; the others are ended, and run again after the next start.
    """
    if not folders.local.exists():
        # Somebody may have deleted it while the stack was running.
        return bool(end_leftovers(folders))
    with only_one(folders.local / "lock"):
        supervisor = _running_supervisor(folders)
        if supervisor:
            _stop_in_order(supervisor)
        return bool(end_leftovers(folders)) or bool(supervisor)


def _running_supervisor(folders: Folders) -> Supervisor | None:
    if not (folders.local / "secrets.json").exists():
        return None
    try:
        supervisor = Stack.at(folders).supervisor
    except LocalError:
        return None
    return supervisor if supervisor.is_answering() else None


def _stop_in_order(supervisor: Supervisor) -> None:
    """The API server outlives the tasks, which report to it; the database outlives all."""
    process = psutil.Process(supervisor.pid())

    def left(names: Iterable[str]) -> list[str]:
        return [p.name for p in supervisor.programs() if p.name in names and not p.is_stopped]

    for name in BEFORE_API_SERVER:
        supervisor.stop(name)
    if not wait_until(lambda: not left(BEFORE_API_SERVER), seconds=PATIENCE_SECONDS, every=0.1):
        # Asked twice, they give up on tasks and triggers and sign off in the database; then supervisor may kill them.
        # Killed before, they would count as alive there, and hold their work, until somebody misses their heartbeat.
        for name in left(BEFORE_API_SERVER):
            supervisor.insist(name)
        # The triggerer then needs 5 seconds to notice that its child is gone (Airflow 3.3.2); the rest goes on.
        wait_until(lambda: not left(["scheduler"]), seconds=15, every=0.1)
    supervisor.stop("api-server")
    wait_until(lambda: not left(AIRFLOW), seconds=15, every=0.1)
    supervisor.shut_down()
    wait_until(lambda: not is_alive(process), seconds=30, every=0.05)
