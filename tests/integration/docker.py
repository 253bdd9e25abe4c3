"""Docker as a command."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.command import run_command

PAUSE_SECONDS = 60


def docker(*arguments: str, folder: Path | None = None) -> str:
    """What the command prints; raises ``RuntimeError`` with what it says if it fails."""
    return run_command("docker", *arguments, folder=folder)


def pause(container: str) -> None:
    """Freeze all processes of the container; raises ``RuntimeError`` if they do not freeze within a minute.

    One of them freezes when it gets a processor. Where others have these all the while, runc gives up after a fifth of
    a second ("unable to freeze") and lets all of them go on.
    """
    deadline = time.monotonic() + PAUSE_SECONDS
    while True:
        try:
            docker("pause", container)
        except RuntimeError as error:
            if "unable to freeze" not in str(error) or time.monotonic() > deadline:
                raise
        else:
            return


def require_docker() -> None:
    """Skip what needs Docker where there is none; with REQUIRE_DOCKER=1 that is a failure."""
    problem = _problem_with_docker()
    if problem and os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"{problem}; REQUIRE_DOCKER=1 says that there must be one", pytrace=False)
    if problem:
        pytest.skip(f"{problem}, so nothing is tried in containers")


def _problem_with_docker() -> str:
    try:
        docker("version", "--format", "{{.Server.Version}}")
        docker("compose", "version")
    except FileNotFoundError:
        return "there is no Docker here"
    except RuntimeError as error:
        return f"there is no Docker here that works ({error})"
    return ""
