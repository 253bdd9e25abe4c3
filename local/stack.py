"""A stack as a value: where it is, how to reach its servers, and the environment its processes run with."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from local.api import Api
from local.environment import USER, api_url, database_url, environment
from local.folders import Folders
from local.passwords import Passwords
from local.ports import Ports
from local.postgres import programs
from local.supervisor_client import Supervisor
from reloads.settings import Settings


@dataclass(frozen=True)
class Stack:
    """The processes of one home folder, whether they run or not."""

    folders: Folders
    ports: Ports
    passwords: Passwords

    @classmethod
    def at(cls, folders: Folders) -> Stack:
        """The stack of these folders, with the ports of its last start."""
        ports = Ports.kept_in(folders.local / "ports.json")
        return cls(folders, ports, Passwords.kept_in(folders.local / "secrets.json"))

    @property
    def user(self) -> str:
        """Who logs in to the user interface, with ``passwords.admin``."""
        return USER

    @property
    def url(self) -> str:
        """Where the user interface is."""
        return api_url(self.ports)

    @property
    def database_url(self) -> str:
        """Where Airflow's database is."""
        return database_url(self.ports, self.passwords)

    @property
    def api(self) -> Api:
        """Airflow, logged in to."""
        return Api(self.url, user=USER, password=self.passwords.admin)

    @property
    def supervisor(self) -> Supervisor:
        """Who keeps the processes running."""
        return Supervisor(self.ports.supervisor, self.passwords.supervisor)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes run with, and what a command needs that has to do with them."""
        search = [str(Path(sys.executable).parent), str(programs()), os.environ.get("PATH", os.defpath)]
        inherited = {**os.environ, "PATH": os.pathsep.join(search)}
        return environment(self.folders, self.ports, self.passwords, inherited=inherited, cores=os.cpu_count() or 1)

    @property
    def settings(self) -> Settings:
        """The settings that the pipeline's code sees in those processes."""
        return Settings.from_environment(self.environment)

    def log(self, name: str) -> Path:
        """The log of a program."""
        return self.folders.logs / f"{name}.log"
