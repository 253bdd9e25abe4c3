"""Docker Compose as a command, and its configuration with every variable filled in."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.docker.workers import SERVICES
from stack.errors import StackError

WORKING = "running, healthy"
# Workers of a kind that is not wanted any more may still be there.
PROFILES = [word for kind in SERVICES for word in ("--profile", kind)]


@dataclass(frozen=True)
class Compose:
    """The stack of one clone."""

    clone: Path

    def run(self, *arguments: str) -> None:
        """Run a command that shows its own progress; raises ``StackError`` if it fails."""
        if self._start(arguments, capture=False).returncode != 0:
            raise StackError(f"`docker compose {' '.join(arguments)}` failed; mend what it says above")

    def read(self, *arguments: str) -> str:
        """What a command prints; raises ``StackError`` with what it says if it fails."""
        completed = self._start(arguments, capture=True)
        if completed.returncode != 0:
            raise StackError(completed.stderr.strip() or f"`docker compose {' '.join(arguments)}` failed")
        return str(completed.stdout)

    def configuration(self) -> dict[str, Any]:
        """The services as Docker sees them, with the one that `up` does not start."""
        text = self.read("--profile", "sample", "config", "--format", "json")
        services: dict[str, Any] = json.loads(text)["services"]
        return services

    def states(self) -> dict[str, str]:
        """How each service that has a container is, in Docker's words: ``running, healthy``."""
        # One JSON object a line; before Compose 2.21 one list.
        text = self.read(*PROFILES, "ps", "--all", "--format", "json").strip()
        is_list = text.startswith("[")
        containers = json.loads(text) if is_list else [json.loads(line) for line in text.splitlines()]
        states: dict[str, str] = {}
        for container in containers:
            words = [container["State"], container.get("Health", "")]
            state, service = ", ".join(word for word in words if word), container["Service"]
            # Of several containers, one that does not work says how the service is.
            if states.get(service, WORKING) == WORKING:
                states[service] = state
        return states

    def _start(self, arguments: tuple[str, ...], *, capture: bool) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["docker", "compose", *arguments],
                cwd=self.clone,
                env=os.environ | {"REVISION": self._revision()},
                capture_output=capture,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise StackError("there is no docker here; install Docker Engine with Compose v2") from error

    def _revision(self) -> str:
        """The commit that the image is labelled with; nothing outside a repository."""
        command = ["git", "-C", str(self.clone), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        except FileNotFoundError:
            return ""
