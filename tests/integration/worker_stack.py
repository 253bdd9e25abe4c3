"""A stack with workers in containers of their own: which there are, what they are at, and what can happen to one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.integration.container_stack import PROJECT, ContainerStack
from tests.integration.docker import docker, pause
from tests.support.pipeline import Pipeline

COUNT = 4
SERVICES = {"celery": "worker", "edge": "edge-worker"}
# Their stacks have names of their own, as they may be there at the same time.
PROJECTS = {kind: f"{PROJECT}-{kind}" for kind in SERVICES}


class Workers:
    """The workers of one kind, each by its host name, which is the beginning of its container's id."""

    def __init__(self, stack: ContainerStack, kind: str) -> None:
        self.service = SERVICES[kind]
        self._stack = stack

    @cached_property
    def names(self) -> frozenset[str]:
        """Their host names; that of a container stays when it starts again."""
        ids = self._stack.compose("ps", "--all", "--quiet", self.service).split()
        return frozenset(container["Config"]["Hostname"] for container in _inspect(*ids))

    def inspect(self, name: str) -> dict[str, Any]:
        """What Docker knows of the container."""
        return _inspect(name)[0]

    def are_healthy(self) -> bool:
        """Whether all of them work."""
        states = [container["State"] for container in _inspect(*self.names)]
        return len(states) == COUNT and all(state.get("Health", {}).get("Status") == "healthy" for state in states)

    def at_work(self, pipeline: Pipeline, table: str) -> set[str]:
        """Those that rewrite a batch of the table now."""
        dag = f"rewrite_{table}"
        runs = [run for run in pipeline.rest.runs(dag) if run["state"] == "running"]
        tasks = [task for run in runs for task in pipeline.rest.tasks(dag, run["dag_run_id"])]
        busy = [task for task in tasks if (task["task_id"], task["state"]) == ("rewrite", "running")]
        return {task["hostname"] for task in busy} & self.names

    def kill(self, name: str) -> None:
        """End all of its processes as the kernel does when memory is short."""
        if os.geteuid() == 0:
            os.kill(self.inspect(name)["State"]["Pid"], signal.SIGKILL)
        else:
            # Docker takes this for a wish, which the restart policy does not answer.
            docker("kill", name)
            docker("start", name)

    def pause(self, name: str) -> None:
        pause(name)

    def resume(self, name: str) -> None:
        docker("unpause", name)

    def cut_off(self, name: str) -> None:
        docker("network", "disconnect", f"{self._stack.project}_inside", name)

    def connect(self, name: str) -> None:
        docker("network", "connect", f"{self._stack.project}_inside", name)


def _inspect(*names: str) -> list[dict[str, Any]]:
    containers: list[dict[str, Any]] = json.loads(docker("inspect", *names))
    return containers


@dataclass(frozen=True)
class WorkerFault:
    """What happens to a worker in the middle of a batch, until somebody else has done it; and what ends it."""

    name: str
    begin: Callable[[Workers, str], None]
    end: Callable[[Workers, str], None] | None = None


FAULTS = (
    WorkerFault("worker killed", Workers.kill),
    WorkerFault("worker off the network", Workers.cut_off, Workers.connect),
    WorkerFault("worker paused", Workers.pause, Workers.resume),
)
