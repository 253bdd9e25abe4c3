"""What `python -m stack --docker` does: each command returns its exit code."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from stack import sample
from stack.api import Api
from stack.credentials import USER
from stack.docker.compose import PROFILES, WORKING, Compose
from stack.docker.env_file import complete, read_values, refuse_renamed, write_values
from stack.docker.folders import mounted_folder, prepare
from stack.docker.workers import SERVICES
from stack.errors import StackError
from stack.readiness import LONG_AGO, await_dags
from stack.running import PAGE, RunningStack

STOP_COMMAND = "make stack-down"
LOGS = "look at `docker compose logs"


def env(clone: Path) -> int:
    """Write what is missing in .env."""
    path = clone / ".env"
    was_there = path.exists()
    added = complete(path, os.environ)
    if not was_there:
        print(".env is written, with fresh passwords and keys; nobody but you can read it")
    elif added:
        print(f".env lacked {', '.join(added)}; added, and the rest is as it was")
    else:
        print(".env is complete and stays as it is")
    return 0


def up(clone: Path) -> int:
    """Build, start, wait until all of it works, and say how to get in."""
    _print_access(_start(Compose(clone)))
    return 0


def demo(clone: Path) -> int:
    """Start all of it, and tell the story."""
    # Imported here, because these are installed: whoever only starts the containers needs no package.
    from rich.console import Console  # noqa: PLC0415

    from stack.demo import tell_story  # noqa: PLC0415

    stack = _start(Compose(clone))
    tell_story(stack, Console(highlight=False, soft_wrap=True))
    return 0


def down(clone: Path) -> int:
    """Stop everything. Requests, partitions, Airflow's history and logs stay; those of workers go with them."""
    compose = Compose(clone)
    _remove_workers(compose, but=())
    compose.run("down", "--remove-orphans")
    return 0


def status(clone: Path) -> int:
    """Say what runs; the exit code is 1 if not all of it works."""
    compose = Compose(clone)
    states = compose.states()
    if not states:
        print("nothing is running; `make stack` starts it")
        return 1
    for service, state in sorted(states.items()):
        print(f"{service:14} {state}")
    services = compose.configuration()
    # Those that end by themselves once their work is done are never restarted.
    lasting = [name for name, service in services.items() if service.get("restart") != "no"]
    return 0 if all(states.get(name) == WORKING for name in lasting) else 1


def doctor(clone: Path) -> int:
    """Have `reloads doctor` look at all of it, in the container that runs the tasks."""
    Compose(clone).run("exec", "scheduler", "reloads", "doctor")
    return 0


def _start(compose: Compose) -> RunningStack:
    began = time.monotonic()
    refuse_renamed(compose.clone / ".env", os.environ)
    _open_way_to_store(compose.clone / ".env")
    services = compose.configuration()
    prepare(services["scheduler"])
    _remove_workers(compose, but=services)
    try:
        compose.run("up", "--build", "--detach", "--wait", "--remove-orphans")
    except StackError as error:
        raise StackError(f"{error}, or in `docker compose ps --all` and `docker compose logs`") from error
    _lay_out_sample(compose, services)
    stack = _running(compose, services)
    tables = mounted_folder(services["scheduler"], "tables")
    await_dags(stack.api, tables=tables, since=LONG_AGO, advice=lambda: f"{LOGS} dag-processor`", say=print)
    print(f"ready after {time.monotonic() - began:.0f} s")
    return stack


def _open_way_to_store(path: Path) -> None:
    """Let the containers reach other machines where something of theirs is in an object store, and only there."""
    values = {**read_values(path), **os.environ}
    is_stored = bool(values.get("WAREHOUSE_URL") or values.get("SOURCE_URL"))
    write_values(path, {"INSIDE_IS_CLOSED": "false" if is_stored else ""})


def _remove_workers(compose: Compose, *, but: Collection[str]) -> None:
    """Remove the workers, and what only they need, but for these services.

    `down` and `up` take a service for no orphan whose profile is another one now.
    """
    states = compose.states()
    leftovers = [name for names in SERVICES.values() for name in names if name in states and name not in but]
    if leftovers:
        compose.run(*PROFILES, "rm", "--stop", "--force", "--volumes", *leftovers)


def _lay_out_sample(compose: Compose, services: dict[str, Any]) -> None:
    """Write the files of the sample that are missing, where they belong to this stack.

    In a container, because a plain Python cannot read the packed files.
    """
    source, tables = (mounted_folder(services["scheduler"], name) for name in ("source", "tables"))
    if sample.belongs_to(compose.clone, source=source, tables=tables) and not sample.is_complete(source):
        prepare(services["sample"])
        compose.run("run", "--rm", "--no-deps", "sample")


def _running(compose: Compose, services: dict[str, Any]) -> RunningStack:
    url = f"http://{compose.read('port', 'api-server', '8080').strip()}"
    password = services["api-server"]["environment"]["ADMIN_PASSWORD"]
    scheduler = services["scheduler"]
    return RunningStack(
        api=Api(url, user=USER, password=password, log=f"{LOGS} api-server`"),
        clone=compose.clone,
        landing=mounted_folder(scheduler, "landing"),
        warehouse=mounted_folder(scheduler, "warehouse"),
        source=mounted_folder(scheduler, "source"),
        # In the container, because what it writes has to belong to the containers' user.
        reloads=("docker", "compose", "exec", "scheduler", "reloads"),
        environment=os.environ,
        login=f"user {USER}   password: ADMIN_PASSWORD in .env",
        start_command="make stack",
        stop_command=STOP_COMMAND,
    )


def _print_access(stack: RunningStack) -> None:
    print(f"Airflow   {stack.api.url}   {stack.login}")
    print(f"Warehouse {stack.api.url}{PAGE}")
