"""What is asked of Docker Compose about workers, by its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from stack.docker.commands import _remove_workers
from stack.docker.compose import Compose


@dataclass(frozen=True)
class Answering(Compose):
    """Compose that has these containers; what it is told to do is kept."""

    clone: Path = field(default_factory=Path)
    containers: tuple[dict[str, str], ...] = ()
    told: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, *arguments: str) -> None:
        self.told.append(arguments)

    def read(self, *arguments: str) -> str:
        assert arguments[-4:] == ("ps", "--all", "--format", "json")
        return "\n".join(json.dumps(container) for container in self.containers)


def container(service: str, state: str = "running", health: str = "healthy") -> dict[str, str]:
    return {"Service": service, "State": state, "Health": health}


def test_a_service_of_several_containers_is_as_well_as_the_one_that_is_not() -> None:
    bad, good = container("worker", "restarting", ""), container("worker")

    for containers in ((good, bad), (bad, good)):
        assert Answering(containers=containers).states() == {"worker": "restarting"}
    assert Answering(containers=(good, good)).states() == {"worker": "running, healthy"}


def test_workers_of_another_kind_are_removed_with_what_only_they_need_and_with_their_logs() -> None:
    compose = Answering(containers=(container("worker"), container("redis"), container("scheduler")))

    _remove_workers(compose, but={"scheduler", "edge-worker"})

    [arguments] = compose.told
    assert arguments[-5:] == ("--stop", "--force", "--volumes", "worker", "redis")


def test_workers_that_are_wanted_are_left_alone() -> None:
    compose = Answering(containers=(container("worker"), container("redis"), container("scheduler")))

    _remove_workers(compose, but={"scheduler", "worker", "redis"})

    assert compose.told == []
