"""Ending a stack: nothing of it is left running, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from stack.errors import StackError
from stack.files import exclusive_lock
from stack.native.folders import Folders
from stack.native.leftovers import end_leftovers, is_alive
from stack.native.programs import AIRFLOW
from stack.native.stack import NativeStack
from stack.native.supervisor import Supervisor
from stack.waiting import wait_until

BEFORE_API_SERVER = ("scheduler", "triggerer", "dag-processor")
PATIENCE_SECONDS = 3


def stop(folders: Folders) -> bool:
    """End every process of the stack; whether there was any.

    Tasks that finish within seconds do so; the others are ended, and run again after the next start.
    """
    if not folders.local.exists():
        # Somebody may have deleted it while the stack was running.
        return bool(end_leftovers(folders))
    with exclusive_lock(folders.local / "lock"):
        supervisor = _running_supervisor(folders)
        if supervisor:
            _stop_in_order(supervisor)
        return bool(end_leftovers(folders)) or bool(supervisor)


def _running_supervisor(folders: Folders) -> Supervisor | None:
    if not (folders.local / "secrets.json").exists():
        return None
    try:
        supervisor = NativeStack.at(folders).supervisor
    except StackError:
        return None
    return supervisor if supervisor.is_answering() else None


def _stop_in_order(supervisor: Supervisor) -> None:
    """The API server outlives the tasks, which report to it; the database outlives all."""
    process = psutil.Process(supervisor.pid())

    def running(names: Iterable[str]) -> list[str]:
        return [program.name for program in supervisor.programs() if program.name in names and not program.is_stopped]

    for name in BEFORE_API_SERVER:
        supervisor.stop(name)
    if not wait_until(lambda: not running(BEFORE_API_SERVER), seconds=PATIENCE_SECONDS, every=0.1):
        # Asked twice, they give up on tasks and triggers and sign off in the database; then supervisor may kill them.
        # Killed before, they would count as alive there, and hold their work, until somebody misses their heartbeat.
        for name in running(BEFORE_API_SERVER):
            supervisor.insist(name)
        # The triggerer then needs 5 seconds to notice that its child is gone (Airflow 3.3.2); the rest goes on.
        wait_until(lambda: not running(["scheduler"]), seconds=15, every=0.1)
    # Not left to supervisor's priorities: by those the API server, which takes 5 seconds too, would wait for the
    # triggerer.
    supervisor.stop("api-server")
    wait_until(lambda: not running(AIRFLOW), seconds=15, every=0.1)
    supervisor.shut_down()
    wait_until(lambda: not is_alive(process), seconds=30, every=0.05)
