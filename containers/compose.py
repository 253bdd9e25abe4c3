"""Docker Compose as a command, and its configuration with every variable filled in."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from containers.errors import StackError


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
        done = self._start(arguments, capture=True)
        if done.returncode != 0:
            raise StackError(done.stderr.strip() or f"`docker compose {' '.join(arguments)}` failed")
        return str(done.stdout)

    def configuration(self) -> dict[str, Any]:
        """The services as Docker sees them."""
        services: dict[str, Any] = json.loads(self.read("config", "--format", "json"))["services"]
        return services

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
