"""The command line of the stacks."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack.__main__ import COMMANDS

CLONE = Path(__file__).resolve().parents[3]
# Without what is installed, as on a machine that has Docker and Python only.
PLAIN = [sys.executable, "-S", "-m", "stack"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False)


def test_the_containers_need_no_package() -> None:
    names = "\n".join(f"stack.docker.commands.{name}" for name in COMMANDS)
    completed = run(sys.executable, "-S", "-c", f"import stack.__main__, stack.docker.commands\n{names}")

    assert (completed.returncode, completed.stderr) == (0, "")
    assert run(*PLAIN, "--help").returncode == 0


def test_both_sides_have_the_same_commands() -> None:
    names = "\n".join(f"stack.native.commands.{name}" for name in COMMANDS if name != "env")
    completed = run(sys.executable, "-c", f"import stack.native.commands\n{names}")

    assert (completed.returncode, completed.stderr) == (0, "")


def test_a_command_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    completed = run(*PLAIN, "start")

    assert completed.returncode == 2
    assert all(name in completed.stderr for name in COMMANDS)


@pytest.mark.parametrize("target", ["demo", "up", "down", "status", "doctor", "env", "stack", "stack-down"])
def test_make_calls_commands_that_there_are(target: str) -> None:
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (CLONE / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    assert re.findall(r"-m stack (\w+)", recipe[1])[0] in COMMANDS


def test_no_folder_of_the_clone_stands_before_a_package_of_that_name() -> None:
    """The clone is in the search path of Airflow, so that DAG files can import the sensors."""
    # A folder without this file stands behind every package of its name.
    packages = {path.parent.name for path in CLONE.glob("*/__init__.py")} | {path.stem for path in CLONE.glob("*.py")}
    installed = importlib.metadata.packages_distributions().keys() | sys.stdlib_module_names

    assert "sensors" in packages
    assert packages & installed == set()
