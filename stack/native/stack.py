"""The processes here as a value: where they are, how to reach their servers, and the environment they run with."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from reloads.errors import OperatorError
from reloads.settings import Settings
from stack.api import Api
from stack.credentials import USER, Credentials
from stack.errors import StackError
from stack.native.environment import api_url, database_url, environment
from stack.native.folders import Folders
from stack.native.ports import Ports
from stack.native.postgres import programs
from stack.native.supervisor import Supervisor
from stack.running import RunningStack


@dataclass(frozen=True)
class NativeStack:
    """The processes of one home folder, whether they run or not."""

    folders: Folders
    ports: Ports
    credentials: Credentials

    @classmethod
    def at(cls, folders: Folders) -> NativeStack:
        """The stack of these folders, with the ports of its last start."""
        ports = Ports.kept_in(folders.local / "ports.json")
        return cls(folders, ports, Credentials.kept_in(folders.local / "secrets.json"))

    @property
    def user(self) -> str:
        """Who logs in to the user interface, with ``credentials.admin``."""
        return USER

    @property
    def login(self) -> str:
        """How to log in, for a person to read."""
        return f"user {USER}   password {self.credentials.admin}"

    @property
    def url(self) -> str:
        """Where the user interface is."""
        return api_url(self.ports)

    @property
    def database_url(self) -> str:
        """Where Airflow's database is."""
        return database_url(self.ports, self.credentials)

    @property
    def api(self) -> Api:
        """Airflow, logged in to."""
        log = f"read {self.log('api-server')}"
        return Api(self.url, user=USER, password=self.credentials.admin, log=log)

    @property
    def supervisor(self) -> Supervisor:
        """Who keeps the processes running."""
        return Supervisor(self.ports.supervisor, self.credentials.supervisor)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes run with, and what a command needs that has to do with them."""
        search = [str(Path(sys.executable).parent), str(programs()), os.environ.get("PATH", os.defpath)]
        inherited = {**os.environ, "PATH": os.pathsep.join(search)}
        return environment(self.folders, self.ports, self.credentials, inherited=inherited, cores=os.cpu_count() or 1)

    @property
    def settings(self) -> Settings:
        """The settings that the pipeline's code sees in those processes; raises ``StackError`` for a bad one."""
        try:
            return Settings.from_environment(self.environment)
        except OperatorError as error:
            raise StackError(str(error)) from error

    def log(self, name: str) -> Path:
        """The log of a program."""
        return self.folders.logs / f"{name}.log"

    def running(self) -> RunningStack:
        """The stack as the demo sees it."""
        reloads = Path(sys.executable).with_name("reloads")
        if reloads.is_relative_to(self.folders.clone):
            reloads = reloads.relative_to(self.folders.clone)
        settings = self.settings
        return RunningStack(
            api=self.api,
            clone=self.folders.clone,
            landing=settings.landing,
            warehouse=settings.warehouse,
            source=settings.source,
            reloads=(str(reloads),),
            environment=self.environment,
            login=self.login,
            start_command="make up",
            stop_command="make down",
        )
