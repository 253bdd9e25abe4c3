"""`python -m containers env | up | down`, run in the clone."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from containers.compose import Compose
from containers.errors import StackError
from containers.folders import prepare
from containers.readiness import await_dags
from containers.secrets_file import complete

CLONE = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run a command; the exit code is 0 if it did what it says, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m containers", description="Run the pipeline in containers.")
    commands = {"env": env, "up": up, "down": down}
    parser.add_argument("command", choices=commands, help="write .env; build, start and wait; stop, keeping all data")
    try:
        commands[parser.parse_args().command](Compose(CLONE))
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make stack-down` stops what runs by now", file=sys.stderr)
        return 130
    return 0


def env(compose: Compose) -> None:
    """Write what is missing in .env."""
    path = compose.clone / ".env"
    was_there = path.exists()
    added = complete(path, os.environ)
    if not was_there:
        print(".env is written, with fresh passwords and keys; nobody but you can read it")
    elif added:
        print(f".env lacked {', '.join(added)}; added, and the rest is as it was")
    else:
        print(".env is complete and stays as it is")


def up(compose: Compose) -> None:
    """Build, start, wait until all of it works, and say how to get in."""
    began = time.monotonic()
    services = compose.configuration()
    prepare(services["scheduler"])
    try:
        compose.run("up", "--build", "--detach", "--wait", "--remove-orphans")
    except StackError as error:
        raise StackError(f"{error}, or in `docker compose ps --all` and `docker compose logs`") from error
    url = f"http://{compose.read('port', 'api-server', '8080').strip()}"
    password = services["api-server"]["environment"]["ADMIN_PASSWORD"]
    await_dags(url, password=password, tables=_tables(services), say=print)
    print(f"ready after {time.monotonic() - began:.0f} s")
    print(f"Airflow   {url}   user admin   password: ADMIN_PASSWORD in .env")


def down(compose: Compose) -> None:
    """Stop everything. Requests, partitions, Airflow's history and logs stay."""
    compose.run("down", "--remove-orphans")


def _tables(services: dict[str, dict[str, list[dict[str, str]]]]) -> Path:
    mounts = services["scheduler"]["volumes"]
    return next(Path(mount["source"]) for mount in mounts if mount["target"].endswith("/tables"))


if __name__ == "__main__":
    sys.exit(main())
