"""`python -m local up | down | demo | status`, run in the clone."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from local.demo import show
from local.errors import LocalError
from local.folders import Folders
from local.shutdown import stop
from local.stack import Stack
from local.startup import start
from reloads.errors import ReloadsError

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run a command; the exit code is 0 if it did what it says, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Run the pipeline here, without containers.")
    commands = {"up": up, "down": down, "demo": demo, "status": status}
    parser.add_argument("command", choices=commands, help="start it; end it; start it and show it at work; what runs")
    command = commands[parser.parse_args().command]
    clone = Path(__file__).resolve().parent.parent
    try:
        return command(Folders(home=clone, clone=clone))
    except (LocalError, ReloadsError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 1
    except OSError as error:
        console.print(f"error: {error}; make room, grant access or put back what is missing", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("\ninterrupted; `make down` ends what runs by now")
        return 130


def up(folders: Folders) -> int:
    """Start all of it and show how to get in."""
    _print_access(_start(folders))
    return 0


def demo(folders: Folders) -> int:
    """Start all of it, drop two requests, and show what comes of them."""
    show(_start(folders), console)
    return 0


def down(folders: Folders) -> int:
    """End all of it."""
    began = time.monotonic()
    with console.status("ending"):
        was_running = stop(folders)
    console.print(f"ended after {time.monotonic() - began:.0f} s" if was_running else "nothing is running")
    return 0


def status(folders: Folders) -> int:
    """Say what runs; the exit code is 1 if not all of it does."""
    if not (folders.local / "secrets.json").exists() or not (stack := Stack.at(folders)).supervisor.is_answering():
        console.print("nothing is running; `make up` starts it")
        return 1
    programs = stack.supervisor.programs()
    for program in programs:
        console.print(f"{program.name:14} {program.state.lower():9} {program.description}", markup=False)
    _print_access(stack)
    return 0 if all(program.is_running for program in programs) else 1


def _start(folders: Folders) -> Stack:
    began = time.monotonic()
    with console.status("starting"):
        stack = start(folders, say=lambda text: console.print(f"· {text}", markup=False))
    console.print(f"· ready after {time.monotonic() - began:.0f} s")
    return stack


def _print_access(stack: Stack) -> None:
    console.print(f"Airflow   {stack.url}   user {stack.user}   password {stack.passwords.admin}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
