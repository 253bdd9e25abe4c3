"""The processes of a stack as supervisor is told of them, and the start of supervisor itself."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.errors import StackError
from stack.files import write_private
from stack.loopback import HOST
from stack.native.folders import Folders

DATABASE = "postgres"
# -P keeps the working directory, which has folders named like modules, out of Python's search path.
PYTHON = [Path(sys.executable).name, "-P", "-m"]
AIRFLOW = {
    "api-server": [*PYTHON, "airflow", "api-server"],
    # The log servers would listen on all interfaces; the API server reads the same files itself.
    "scheduler": [*PYTHON, "airflow", "scheduler", "--skip-serve-logs"],
    "dag-processor": [*PYTHON, "airflow", "dag-processor"],
    "triggerer": [*PYTHON, "airflow", "triggerer", "--skip-serve-logs"],
}

PORT_TAKEN = "already listening on a port"
SUPERVISORD = """\
[supervisord]
logfile = .local/logs/supervisord.log
logfile_maxbytes = 1MB
logfile_backups = 1
pidfile = .local/supervisord.pid
childlogdir = .local/logs
umask = {umask:03o}
{user}
[inet_http_server]
port = {host}:{port}
username = local
password = {password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

PROGRAM = """
[program:{name}]
command = {command}
autostart = {autostart}
autorestart = true
startsecs = 2
startretries = 30
stopsignal = {stopsignal}
stopwaitsecs = {stopwaitsecs}
stopasgroup = {stopasgroup}
killasgroup = true
redirect_stderr = true
stdout_logfile = .local/logs/{name}.log
stdout_logfile_maxbytes = 5MB
stdout_logfile_backups = 2
"""

REAPER = """
[eventlistener:reaper]
command = {command}
events = PROCESS_STATE_EXITED
stderr_logfile = .local/logs/reaper.log
stderr_logfile_maxbytes = 1MB
stderr_logfile_backups = 0
"""


def configuration(database: list[str], *, port: int, password: str, umask: int, is_root: bool) -> str:
    """The configuration file; its paths start at the home folder, so that no character in that one can break it."""
    user = "user = root\n" if is_root else ""
    head = SUPERVISORD.format(umask=umask, user=user, host=HOST, port=port, password=password)
    # SIGINT to the server alone is its fast shutdown; its sessions would take it for a cancelled query.
    ending = {"stopsignal": "INT", "stopwaitsecs": 20, "stopasgroup": False}
    programs = [_program(DATABASE, database, autostart=True, **ending)]
    for name, command in AIRFLOW.items():
        # These two are told alone: their children are tasks, which may finish, and triggers, which they end.
        stopasgroup = name not in ("scheduler", "triggerer")
        stopwaitsecs = 6 if name == "scheduler" else 10
        ending = {"stopsignal": "TERM", "stopwaitsecs": stopwaitsecs, "stopasgroup": stopasgroup}
        programs.append(_program(name, command, autostart=False, **ending))
    reaper = [PYTHON[0], "-P", str(Path(__file__).with_name("reaper.py"))]
    return head + "".join(programs) + REAPER.format(command=_escaped(reaper))


def _program(name: str, command: list[str], **more: object) -> str:
    return PROGRAM.format(name=name, command=_escaped(command), **more)


def _escaped(command: list[str]) -> str:
    return shlex.join(command).replace("%", "%%")


def start_supervisord(folders: Folders, environment: Mapping[str, str], configured: str) -> bool:
    """Start supervisor in the background, and by that the database; returns when it can be talked to.

    False where somebody else has taken its port meanwhile.
    """
    file = folders.local / "supervisord.conf"
    write_private(file, configured)
    completed = subprocess.run(
        [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(file.relative_to(folders.home))],
        cwd=folders.home,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    output = " ".join((completed.stderr or completed.stdout).split())
    if completed.returncode and PORT_TAKEN not in output:
        raise StackError(f"supervisor did not start: {output}")
    return not completed.returncode


def current_umask() -> int:
    """The caller's umask: what the processes write gets the permissions of what the caller writes."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
