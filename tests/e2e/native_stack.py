"""The stack as processes of this machine, and what can happen to one of them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from stack.files import last_lines
from stack.loopback import HOST
from stack.native.folders import Folders
from stack.native.leftovers import find_leftovers
from stack.native.ports import Ports
from stack.native.stack import NativeStack
from stack.native.startup import start
from stack.native.supervisor import Program
from stack.waiting import wait_until
from tests.support.janitor import cleaned_up

LOGS = ("scheduler", "triggerer", "dag-processor")
LOG_LINES = 15
STOP_SECONDS = 120
STOP = """
from pathlib import Path
from stack.native.folders import Folders
from stack.native.shutdown import stop
stop(Folders(home=Path(sys.argv[1]), clone=Path(sys.argv[2])))
"""


class NativeStackUnderTest:
    """The running stack of one home folder; supervisor starts its programs again when they end."""

    patience_seconds = 120.0

    def __init__(self, stack: NativeStack) -> None:
        self._stack = stack

    @property
    def home(self) -> Path:
        return self._stack.folders.home

    @property
    def url(self) -> str:
        return self._stack.url

    @property
    def user(self) -> str:
        return self._stack.user

    @property
    def password(self) -> str:
        return self._stack.credentials.admin

    def password_of(self, user: str) -> str:
        """That of another user than the administrator, as Airflow made it up."""
        return str(json.loads((self._stack.folders.airflow / "passwords.json").read_text())[user])

    @property
    def database_url(self) -> str:
        """Where Airflow's database is."""
        return self._stack.database_url

    def make_pool(self, name: str, *, slots: int) -> None:
        """Do what every start does."""
        self._stack.api.make_pool(name, slots=slots)

    def logs(self) -> str:
        """The last lines of the programs that run DAGs."""
        return "\n\n".join(f"--- {name}\n{last_lines(self._stack.log(name), LOG_LINES)}" for name in LOGS)

    def log(self, program: str) -> Path:
        return self._stack.log(program)

    def processes(self, program: str) -> set[int]:
        """The processes of a program: others after it, or a child of it, was started again."""
        process = psutil.Process(self._program(program).pid)
        return {process.pid, *(child.pid for child in process.children(recursive=True))}

    def kill_children(self, program: str) -> None:
        """Kill what a program runs in processes of its own, and not the program itself."""
        for child in psutil.Process(self._program(program).pid).children(recursive=True):
            child.kill()

    def kill(self, program: str, *, children: bool = False) -> None:
        """Kill a program, as the kernel does when memory is short; supervisor starts it again."""
        assert self._program(program).is_running
        process = psutil.Process(self._program(program).pid)
        victims = [process, *process.children(recursive=True)] if children else [process]
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()

    def stop(self, program: str) -> None:
        """Stop a program and keep it down."""
        self._stack.supervisor.stop(program)
        if not wait_until(lambda: self._program(program).is_stopped, seconds=STOP_SECONDS):
            raise RuntimeError(f"the {program} does not end within {STOP_SECONDS} s")

    def start(self, program: str) -> None:
        self._stack.supervisor.start(program)

    def kill_rewriter(self, table: str) -> None:
        """Kill the task's process that is rewriting the table: it holds the lock of a staging folder."""
        [lock] = (self.home / "warehouse" / ".staging").glob(f"{table}-*.lock")
        [holder] = _holders(lock)
        psutil.Process(holder).kill()

    def _program(self, name: str) -> Program:
        return next(program for program in self._stack.supervisor.programs() if program.name == name)


def _holders(lock: Path) -> set[int]:
    """Who holds the lock, from the kernel's list: what files a task has open is shown to root alone."""
    inode = str(lock.stat().st_ino)
    holders: set[int] = set()
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
            holders.add(int(fields[4]))
    return holders


def choose_own_ports(folders: Folders) -> None:
    """Prefer free ports to the default ones, which somebody who starts a stack right now looks for too."""
    servers = [socket.create_server((HOST, 0)) for _ in range(3)]
    ports = [int(server.getsockname()[1]) for server in servers]
    for server in servers:
        server.close()
    Ports(*ports).keep_in(folders.local / "ports.json")


@contextmanager
def running_stack(folders: Folders, settings: Mapping[str, str]) -> Iterator[NativeStack]:
    """Start the stack of these folders with these settings and no others; it is stopped however the tests end."""
    folders.make()
    choose_own_ports(folders)
    with stopped_at_the_end(folders):
        with pytest.MonkeyPatch.context() as patch:
            for name in list(os.environ):
                if name.startswith("RELOADS_"):
                    patch.delenv(name)
            for name, value in settings.items():
                patch.setenv(name, value)
            running = start(folders, say=print)
        yield running


@contextmanager
def stopped_at_the_end(folders: Folders) -> Iterator[None]:
    """Have the stack of these folders stopped however the tests end; fails if a process of it is left."""
    with cleaned_up(STOP, str(folders.home), str(folders.clone)):
        yield
    leftovers = find_leftovers(folders)
    assert not leftovers, f"these processes outlived the stack: {leftovers}"
