"""Starting a stack: returns when all of it answers; repeats nothing that is done, mends what a crash left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import duckdb

from examples.make_source import make_source
from stack import sample
from stack.errors import StackError
from stack.files import exclusive_lock, last_lines, write_private
from stack.loopback import is_port_free
from stack.native import postgres
from stack.native.environment import REWRITE_POOL
from stack.native.folders import Folders
from stack.native.health import await_database, await_health, log_advice
from stack.native.leftovers import end_leftovers
from stack.native.ports import choose_ports
from stack.native.programs import AIRFLOW, DATABASE, configuration, current_umask, start_supervisord
from stack.native.stack import NativeStack
from stack.readiness import LONG_AGO, await_dags, require_login

TRIES = 5


def start(folders: Folders, *, say: Callable[[str], None]) -> NativeStack:
    """Bring the stack up; ``say`` hears what is going on.

    Raises ``StackError`` with the log to read where something does not come up; what runs by then goes on running.
    """
    folders.make()
    with exclusive_lock(folders.local / "lock"):
        stack = NativeStack.at(folders)
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
        _lay_out_sample(stack, say)
        await_health(stack, since=since)
        require_login(stack.api, advice=f"read why in {stack.log('api-server')}, then run down and up")
        stack.api.make_pool(REWRITE_POOL, slots=stack.settings.tasks_at_once)
        say("waiting for the DAGs")
        advice = partial(log_advice, stack, "dag-processor")
        await_dags(stack.api, tables=stack.settings.tables, since=since, advice=advice, say=say)
        return stack


def _start_database(stack: NativeStack, say: Callable[[str], None]) -> NativeStack:
    if not stack.supervisor.is_answering():
        if count := end_leftovers(stack.folders):
            say(f"ended {count} processes that an earlier stack left behind")
        stack = _start_supervisor(stack)
    say("starting the database")
    stack.supervisor.start(DATABASE)
    await_database(stack)
    return stack


def _start_supervisor(stack: NativeStack) -> NativeStack:
    folders, credentials = stack.folders, stack.credentials
    write_private(folders.airflow / "passwords.json", json.dumps({stack.user: credentials.admin}) + "\n")
    postgres.make_database(folders, password=credentials.database)
    # Another stack that starts right now may have looked for ports at the same moment.
    for _ in range(TRIES):
        stack = replace(stack, ports=choose_ports(stack.ports, is_free=is_port_free))
        stack.ports.keep_in(folders.local / "ports.json")
        configured = configuration(
            postgres.server_command(folders, port=stack.ports.database),
            port=stack.ports.supervisor,
            password=credentials.supervisor,
            umask=current_umask(),
            is_root=os.geteuid() == 0,
        )
        if start_supervisord(folders, stack.environment, configured):
            return stack
    raise StackError(f"port {stack.ports.supervisor} is taken again and again; run up once more")


def _lay_out_sample(stack: NativeStack, say: Callable[[str], None]) -> None:
    """Write the files of the sample that are missing, where they belong to this stack."""
    source, tables = stack.settings.source, stack.settings.tables
    if not sample.belongs_to(stack.folders.clone, source=source, tables=tables):
        return
    try:
        count = make_source(source)
    except duckdb.Error as error:
        raise StackError(f"the sample cannot be laid out ({error}); put examples/ back as it was") from error
    if count:
        say(f"laid out the sample, {count} raw files in {source}")


def _make_schema(stack: NativeStack, say: Callable[[str], None]) -> None:
    """Make or update Airflow's tables, unless this version of Airflow did so before."""
    needed_version = f"apache-airflow-core {version('apache-airflow-core')}"
    if postgres.schema_version(stack.database_url) == needed_version:
        return
    say("making Airflow's tables")
    log = stack.log("migrate")
    command = [sys.executable, "-P", "-m", "airflow", "db", "migrate"]
    with log.open("w") as file:
        completed = subprocess.run(
            command, cwd=stack.folders.home, env=stack.environment, stdout=file, stderr=file, check=False
        )
    if completed.returncode:
        raise StackError(f"Airflow's tables could not be made; mend what {log} says last:\n{last_lines(log)}")
    postgres.keep_schema_version(stack.database_url, needed_version)
