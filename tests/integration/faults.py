"""What can happen to a stack, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.integration.container_stack import PROJECT, ContainerStack
from tests.integration.docker import docker, pause

NETWORK = f"{PROJECT}_inside"


@dataclass(frozen=True)
class Fault:
    """Begins, lasts for a while, and ends; one that does not last is over with its beginning."""

    name: str
    service: str
    begin: Callable[[ContainerStack], None]
    end: Callable[[ContainerStack], None] | None = None
    seconds: float = 0


def _crash(service: str, stack: ContainerStack) -> None:
    stack.crash(service)


def _pause(stack: ContainerStack) -> None:
    pause(stack.container("postgres"))


def _unpause(stack: ContainerStack) -> None:
    docker("unpause", stack.container("postgres"))


def _cut_off(stack: ContainerStack) -> None:
    docker("network", "disconnect", NETWORK, stack.container("postgres"))


def _connect(stack: ContainerStack) -> None:
    docker("network", "connect", "--alias", "postgres", NETWORK, stack.container("postgres"))


def _restart(stack: ContainerStack) -> None:
    stack.compose("restart")


def _down(stack: ContainerStack) -> None:
    stack.stop()


def _up(stack: ContainerStack) -> None:
    stack.start()


OF_ONE_SERVICE = (
    Fault("scheduler killed", "scheduler", partial(_crash, "scheduler")),
    Fault("triggerer killed", "triggerer", partial(_crash, "triggerer")),
    Fault("dag-processor killed", "dag-processor", partial(_crash, "dag-processor")),
    Fault("api-server killed", "api-server", partial(_crash, "api-server")),
    Fault("postgres killed", "postgres", partial(_crash, "postgres")),
    Fault("postgres paused for 15 s", "postgres", _pause, _unpause, 15),
    Fault("postgres off the network for 20 s", "postgres", _cut_off, _connect, 20),
)
OF_ALL = (
    Fault("docker compose restart", "postgres", _restart),
    Fault("stopped whole, and started again", "postgres", _down, _up),
)
