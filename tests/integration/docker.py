"""Docker as a command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest


def docker(*arguments: str, folder: Path | None = None) -> str:
    """What the command prints; fails with what it says."""
    return run("docker", *arguments, folder=folder)


def run(*command: str, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout


def require_docker() -> None:
    """Skip what needs Docker where there is none; with REQUIRE_DOCKER=1 that is a failure."""
    why = _why_there_is_none()
    if why and os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"{why}; REQUIRE_DOCKER=1 says that there must be one", pytrace=False)
    if why:
        pytest.skip(f"{why}, so nothing is tried in containers")


def _why_there_is_none() -> str:
    try:
        docker("version", "--format", "{{.Server.Version}}")
        docker("compose", "version")
    except FileNotFoundError:
        return "there is no Docker here"
    except RuntimeError as error:
        return f"there is no Docker here that works ({error})"
    return ""
