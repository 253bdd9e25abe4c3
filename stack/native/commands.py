"""What `python -m stack` does without `--docker`: each command returns its exit code."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from rich.console import Console

from stack.demo import tell_story
from stack.native.folders import Folders
from stack.native.shutdown import stop
from stack.native.stack import NativeStack
from stack.native.startup import start
from stack.running import PAGE

STOP_COMMAND = "make down"
console = Console(highlight=False, soft_wrap=True)


def up(clone: Path) -> int:
    """Start all of it and show how to get in."""
    _print_access(_start(clone))
    return 0


def demo(clone: Path) -> int:
    """Start all of it, and tell the story."""
    tell_story(_start(clone).running(), console)
    return 0


def down(clone: Path) -> int:
    """End all of it."""
    began = time.monotonic()
    with console.status("ending"):
        was_running = stop(Folders(home=clone, clone=clone))
    console.print(f"ended after {time.monotonic() - began:.0f} s" if was_running else "nothing is running")
    return 0


def status(clone: Path) -> int:
    """Say what runs; the exit code is 1 if not all of it does."""
    folders = Folders(home=clone, clone=clone)
    # Without the file there was no start, and looking at the stack would make it.
    stack = NativeStack.at(folders) if (folders.local / "secrets.json").exists() else None
    if stack is None or not stack.supervisor.is_answering():
        console.print("nothing is running; `make up` starts it")
        return 1
    programs = stack.supervisor.programs()
    for program in programs:
        console.print(f"{program.name:14} {program.state.lower():9} {program.description}", markup=False)
    _print_access(stack)
    return 0 if all(program.is_running for program in programs) else 1


def doctor(clone: Path) -> int:
    """Have `reloads doctor` look at all of it, with the environment of its processes; its exit code."""
    folders = Folders(home=clone, clone=clone)
    if not (folders.local / "secrets.json").exists():
        console.print("nothing was started yet; `make up` does that")
        return 1
    stack = NativeStack.at(folders).running()
    return subprocess.run([*stack.reloads, "doctor"], cwd=clone, env=dict(stack.environment), check=False).returncode


def _start(clone: Path) -> NativeStack:
    began = time.monotonic()
    folders = Folders(home=clone, clone=clone)
    with console.status("starting"):
        stack = start(folders, say=lambda text: console.print(f"· {text}", markup=False))
    console.print(f"· ready after {time.monotonic() - began:.0f} s")
    return stack


def _print_access(stack: NativeStack) -> None:
    console.print(f"Airflow   {stack.url}   {stack.login}", markup=False)
    console.print(f"Warehouse {stack.url}{PAGE}", markup=False)
