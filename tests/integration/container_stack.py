"""The stack in containers: started from a copy of the clone, with a project name, folders and passwords of its own."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from stack.waiting import wait_until
from tests.integration.docker import docker
from tests.integration.tables import TABLES
from tests.support.clone import copy_clone, make
from tests.support.janitor import cleaned_up
from tests.support.tables import write_table

# The same for every run of one clone, so that it can remove what an earlier one left that was killed.
PROJECT = f"reloads-it-{sha256(os.fsencode(Path(__file__).resolve())).hexdigest()[:6]}"
IMAGE = f"{PROJECT}-airflow"
CLOCK_IMAGE = f"{IMAGE}-clock"
SERVICES = ("postgres", "api-server", "scheduler", "dag-processor", "triggerer", "retention")
WITHOUT_PYTHON = ("postgres", "redis")
RESTART_SECONDS = 60
# Variables of the shell count for more than those of `.env`.
SETTING_NAMES = re.compile(r"RELOADS_|COMPOSE_|AIRFLOW_|SCHEDULER_MEMORY$|ADMIN_PASSWORD$")
# What docker-init started. It ends with its child, and so does the container: a crash, which a restart policy answers.
KILL_SERVICE = """
import os, pathlib, signal
for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
    if status.read_text().rpartition(")")[2].split()[1] == "1":
        os.kill(int(status.parent.name), signal.SIGKILL)
"""


class ContainerStack:
    """The containers of a copy of the clone, which is also the home: they mount its own folders."""

    user = "admin"
    patience_seconds = 600.0

    def __init__(self, clone: Path, *, project: str = PROJECT, make_values: tuple[str, ...] = ()) -> None:
        self.clone = self.home = clone
        self.project = project
        self._make_values = make_values
        self.secrets: dict[str, str] = dict(re.findall(r"^(\w+)=(.*)$", (clone / ".env").read_text(), re.MULTILINE))

    @property
    def url(self) -> str:
        return f"http://{self.compose('port', 'api-server', '8080').strip()}"

    @property
    def password(self) -> str:
        return self.secrets["ADMIN_PASSWORD"]

    def compose(self, *arguments: str, override: Path | None = None) -> str:
        """``docker compose`` with these arguments; ``override`` is a file that changes the configuration."""
        files = ("-f", "docker-compose.yaml", "-f", str(override)) if override else ()
        return docker("compose", *files, *arguments, folder=self.clone)

    def start(self) -> None:
        """Build what is not built, start and wait, as a person does."""
        make("stack", *self._make_values, clone=self.clone)

    def stop(self) -> None:
        """Stop all of it, as a person does; all data stays."""
        make("stack-down", clone=self.clone)

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker knows of the container."""
        container: dict[str, Any] = json.loads(docker("inspect", self.container(service)))[0]
        return container

    def execute(self, service: str, *command: str) -> str:
        """What a command prints in the container."""
        return docker("exec", self.container(service), *command)

    def unhealthy(self) -> list[str]:
        """The services that do not run, or whose health check does not pass."""
        states = docker(
            "ps", *_of_project(self.project), "--format", '{{.Label "com.docker.compose.service"}} {{.Status}}'
        )
        healthy = {line.split()[0] for line in states.splitlines() if "(healthy)" in line}
        return [service for service in SERVICES if service not in healthy]

    def is_running(self, service: str) -> bool:
        state = self.inspect(service)["State"]
        return bool(state["Running"] and not state["Restarting"])

    def crash(self, service: str) -> None:
        """End the service's process as the kernel does when memory is short, and see Docker start it again."""
        before = self.inspect(service)["State"]["StartedAt"]
        self._kill(service)

        def is_started_again() -> bool:
            state = self.inspect(service)["State"]
            return bool(state["Running"] and state["StartedAt"] != before)

        if not wait_until(is_started_again, seconds=RESTART_SECONDS):
            raise RuntimeError(f"Docker does not start {service} again after a crash")

    def _kill(self, service: str) -> None:
        if service not in WITHOUT_PYTHON:
            # The process that kills dies with the container, before Docker has its answer.
            try:
                self.execute(service, "python", "-c", KILL_SERVICE)
            except RuntimeError as error:
                if "ended with 137" not in str(error):
                    raise
            return
        pid = int(self.inspect(service)["State"]["Pid"])
        command = Path("/proc", str(pid), "cmdline")
        if os.geteuid() == 0 and command.exists() and service.encode() in command.read_bytes():
            os.kill(pid, signal.SIGKILL)
        else:
            # Nobody else may kill it, and Docker takes this for a wish: the restart policy does not answer it.
            docker("kill", self.container(service))
            docker("start", self.container(service))

    def logs(self, *services: str, lines: int = 40) -> str:
        """The last lines of the services, of all unless some are named."""
        return self.compose("logs", "--no-color", "--tail", str(lines), *(services or SERVICES))


@contextmanager
def running_stack(
    folder: Path,
    *,
    settings: Mapping[str, str],
    project: str = PROJECT,
    make_values: tuple[str, ...] = (),
    files: Mapping[str, str] | None = None,
) -> Iterator[ContainerStack]:
    """Build and start it below ``folder`` from a fresh clone, and remove every trace of it from Docker in the end.

    The clone has the tables of the tests beside its own; the sample source is for the start to lay out.
    ``make_values`` are what `make stack` is told, as ``WORKERS=2``; ``files`` are written into the clone.
    """
    clone = folder / "clone"
    copy_clone(clone)
    for name, text in (files or {}).items():
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text(text)
    for name, table in TABLES.items():
        write_table(clone / "tables", name, table)
    variables = {"COMPOSE_PROJECT_NAME": project, **settings}
    (clone / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    make("env", clone=clone)

    _remove(project)
    stack = ContainerStack(clone, project=project, make_values=make_values)
    with cleaned_up(f"from tests.integration.container_stack import remove_all; remove_all({project!r})"):
        try:
            stack.start()
        except RuntimeError as error:
            error.add_note(stack.logs())
            raise
        yield stack


def remove_all(project: str = PROJECT) -> None:
    """Remove every trace of the project from Docker."""
    _remove(project)
    docker("image", "rm", "--force", f"{project}-airflow-clock", f"{project}-airflow")


def _of_project(project: str) -> tuple[str, str]:
    return ("--filter", f"label=com.docker.compose.project={project}")


def _remove(project: str) -> None:
    """Remove the containers, networks and volumes of the project, whatever state they are in."""
    of_project = _of_project(project)
    if paused := docker("ps", "--quiet", *of_project, "--filter", "status=paused").split():
        docker("unpause", *paused)
    # By its name, from a folder without a file of Compose: it goes even where the copy of the clone is gone. With their
    # volumes, those that have no name and belong to a container too.
    docker("compose", "--project-name", project, "down", "--volumes", "--remove-orphans", folder=Path("/"))
    if volumes := docker("volume", "ls", "--quiet", *of_project).split():
        docker("volume", "rm", *volumes)
