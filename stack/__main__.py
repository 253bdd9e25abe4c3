"""`python -m stack env | up | down | status | demo [--docker] [--workers N [--executor KIND]]`, run in the clone."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from stack.errors import StackError

CLONE = Path(__file__).resolve().parent.parent
COMMANDS = {
    "env": "write .env for the containers, or add what it lacks",
    "up": "start everything and wait until it works",
    "down": "end everything; nothing is lost",
    "status": "what runs",
    "doctor": "try folders, clock, versions, tables and Airflow, and say what to do",
    "demo": "start everything, load a month of flights and show what comes of it",
}


def main() -> int:
    """Run a command; the exit code is 0 if it did what it says, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="python -m stack",
        description="Run the pipeline here, or in containers.",
        epilog="\n".join(f"{name:8}{text}" for name, text in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--docker", action="store_true", help="in containers; all but demo works on a plain Python")
    parser.add_argument("--workers", type=int, metavar="N", help="with up --docker: so many workers from now on")
    parser.add_argument("--executor", choices=["celery", "edge"], help="of which kind they are; celery unless said")
    arguments = parser.parse_args()
    if arguments.workers is None and arguments.executor:
        parser.error("--executor says of which kind workers are; say how many, with --workers")
    if arguments.workers is not None and (arguments.workers < 0 or not arguments.docker):
        parser.error("--workers is how many there are, and goes with --docker: workers are containers")
    in_containers = arguments.docker or arguments.command == "env"
    # Imported by name, because each side needs what the other one lacks: a plain Python has no psutil and no DuckDB.
    commands = import_module("stack.docker.commands" if in_containers else "stack.native.commands")
    try:
        if arguments.workers is not None:
            workers = import_module("stack.docker.workers")
            workers.Workers(arguments.workers, arguments.executor or "celery").write(CLONE / ".env")
        return int(getattr(commands, arguments.command)(CLONE))
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; make room, grant access or put back what is missing", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; `{commands.STOP_COMMAND}` ends what runs by now", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
