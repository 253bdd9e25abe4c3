"""``airflow standalone`` of somebody who has an Airflow already, in a virtual environment of theirs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from stack.files import last_lines
from stack.loopback import HOST
from stack.native.folders import Folders
from stack.native.leftovers import end_leftovers, find_leftovers
from stack.waiting import wait_until
from tests.support.command import run_command
from tests.support.janitor import cleaned_up
from tests.support.outsider import ask_status
from tests.support.rest import Rest

START_SECONDS = 120
END = """
from pathlib import Path
from stack.native.folders import Folders
from stack.native.leftovers import end_leftovers
end_leftovers(Folders(home=Path(sys.argv[1]), clone=Path(sys.argv[1])))
"""


class Standalone:
    """An Airflow with its home, its DAGs and its plugins in one folder; ``venv`` has the programs."""

    def __init__(self, folder: Path, *, venv: Path, settings: Mapping[str, str]) -> None:
        self.folder, self.venv = folder, venv
        # The layout by which the processes of a stack are found again.
        self._folders = Folders(home=folder, clone=folder)
        self._folders.airflow.mkdir(parents=True)
        servers = [socket.create_server((HOST, 0)) for _ in range(3)]
        port, *log_ports = (int(server.getsockname()[1]) for server in servers)
        for server in servers:
            server.close()
        self.url = f"http://{HOST}:{port}"
        self.environment = {
            "PATH": f"{venv / 'bin'}{os.pathsep}{os.defpath}",
            "HOME": str(folder),
            "AIRFLOW_HOME": str(self._folders.airflow),
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # It is SQLite, which takes little at once.
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_ports[0]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(log_ports[1]),
            # A process that gives itself a title keeps the environment by which it is found again.
            "SPT_NOENV": "1",
            **settings,
        }

    def run(self, *command: str) -> str:
        """What a command prints that somebody runs in the folder, with the settings of this Airflow."""
        program = str(self.venv / "bin" / command[0])
        return run_command(program, *command[1:], folder=self.folder, environment=self.environment)

    def logs(self) -> str:
        """The last lines that its processes said."""
        return last_lines(self._log, 60) if self._log.exists() else ""

    @contextmanager
    def running(self) -> Iterator[Rest]:
        """Start it, and end it and all that it started; its REST API as the administrator meets it."""
        with cleaned_up(END, str(self.folder)), self._log.open("wb") as log:
            command = [str(self.venv / "bin" / "airflow"), "standalone"]
            with subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ) as process:
                try:
                    yield self._log_in(process)
                finally:
                    end_leftovers(self._folders)
        assert not find_leftovers(self._folders)

    @property
    def password(self) -> str:
        """That of the administrator, as Airflow made it up."""
        file = self._folders.airflow / "simple_auth_manager_passwords.json.generated"
        return str(json.loads(file.read_text())["admin"])

    @property
    def _log(self) -> Path:
        return self.folder / "standalone.log"

    def _log_in(self, process: subprocess.Popen[bytes]) -> Rest:
        def is_over() -> bool:
            return process.poll() is not None or _answers(self.url)

        if not wait_until(is_over, seconds=START_SECONDS) or process.poll() is not None:
            raise RuntimeError(f"airflow standalone does not answer within {START_SECONDS} s: {self.logs()}")
        return Rest(self.url, user="admin", password=self.password)


def _answers(url: str) -> bool:
    try:
        return ask_status(f"{url}/api/v2/monitor/health") == HTTPStatus.OK
    except OSError:
        return False
