"""Docker as a command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.command import run_command


def docker(*arguments: str, folder: Path | None = None) -> str:
    """What the command prints; raises ``RuntimeError`` with what it says if it fails."""
    return run_command("docker", *arguments, folder=folder)


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
