"""Starting a stack: returns when all of it answers; repeats nothing that is done, mends what a crash left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

from local import postgres
from local.errors import LocalError
from local.files import last_lines, only_one, write_private
from local.folders import Folders
from local.leftovers import end_leftovers
from local.ports import choose_ports, is_port_free
from local.processes import AIRFLOW, DATABASE, configuration, current_umask, start_supervisord
from local.readiness import await_dags, await_database, await_health
from local.stack import Stack

TRIES = 5
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def start(folders: Folders, *, say: Callable[[str], None]) -> Stack:
    """Bring the stack up; ``say`` hears what is going on.

    Raises ``LocalError`` with the log to read where something does not come up; what runs by then goes on running.
    """
    folders.make()
    with only_one(folders.local / "lock"):
        stack = Stack.at(folders)
        if stack.supervisor.is_answering() and all(p.is_running for p in stack.supervisor.programs()):
            say("it is running already")
            since = LONG_AGO
        else:
            since = datetime.now(UTC)
            stack = _start_database(stack, say)
            _make_schema(stack, say)
            say("starting Airflow")
            for name in AIRFLOW:
                stack.supervisor.start(name)
        await_health(stack, since=since)
        say("waiting for the DAGs")
        await_dags(stack, since=since, say=say)
        return stack


def _start_database(stack: Stack, say: Callable[[str], None]) -> Stack:
    if not stack.supervisor.is_answering():
        if left := end_leftovers(stack.folders):
            say(f"ended {left} processes that an earlier stack left behind")
        stack = _start_supervisor(stack)
    say("starting the database")
    stack.supervisor.start(DATABASE)
    await_database(stack)
    return stack


def _start_supervisor(stack: Stack) -> Stack:
    folders, passwords = stack.folders, stack.passwords
    write_private(folders.airflow / "passwords.json", json.dumps({stack.user: passwords.admin}) + "\n")
    postgres.make_database(folders, password=passwords.database)
    # Another stack that starts right now may have looked for ports at the same moment.
    for _ in range(TRIES):
        stack = replace(stack, ports=choose_ports(stack.ports, is_free=is_port_free))
        stack.ports.keep_in(folders.local / "ports.json")
        configured = configuration(
            postgres.server_command(folders, port=stack.ports.database),
            port=stack.ports.supervisor,
            password=passwords.supervisor,
            umask=current_umask(),
            is_root=os.geteuid() == 0,
        )
        if start_supervisord(folders, stack.environment, configured):
            return stack
    raise LocalError(f"port {stack.ports.supervisor} is taken again and again; run up once more")


def _make_schema(stack: Stack, say: Callable[[str], None]) -> None:
    """Make or update Airflow's tables, unless this version of Airflow did so before."""
    wanted = f"apache-airflow-core {version('apache-airflow-core')}"
    if postgres.schema_version(stack.database_url) == wanted:
        return
    say("making Airflow's tables")
    log = stack.log("migrate")
    command = [sys.executable, "-P", "-m", "airflow", "db", "migrate"]
    with log.open("w") as file:
        done = subprocess.run(
            command, cwd=stack.folders.home, env=stack.environment, stdout=file, stderr=file, check=False
        )
    if done.returncode:
        raise LocalError(f"Airflow's tables could not be made; mend what {log} says last:\n{last_lines(log)}")
    postgres.keep_schema_version(stack.database_url, wanted)
