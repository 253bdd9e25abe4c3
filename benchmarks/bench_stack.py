"""A pipeline of its own for a benchmark: Airflow and its database, up and idle, on the tables of the benchmarks."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.readings import CLONE
from stack.native.folders import Folders
from stack.native.shutdown import stop
from stack.native.stack import NativeStack
from stack.native.startup import start
from tests.support.pipeline import Pipeline

PATIENCE_SECONDS = 600.0
SETTINGS = {"RELOADS_DAILY_SCHEDULE": "0 0 29 2 *"}
"""The clock asks for nothing while something else is timed."""


class BenchStack:
    """What ``Pipeline`` asks a stack for."""

    patience_seconds = PATIENCE_SECONDS

    def __init__(self, stack: NativeStack) -> None:
        self.native = stack
        self.home = stack.folders.home
        self.url = stack.url
        self.user = stack.user
        self.password = stack.credentials.admin

    def logs(self) -> str:
        """Where to look."""
        return f"read {self.native.folders.local / 'logs'}"


@contextmanager
def running_pipeline(
    home: Path, settings: dict[str, str] | None = None, *, more_dags: Path | None = None
) -> Iterator[Pipeline]:
    """The same as ``running_stack``, as those meet it who ask it for something."""
    with running_stack(home, settings, more_dags=more_dags) as stack:
        yield Pipeline(BenchStack(stack))


@contextmanager
def running_stack(
    home: Path, settings: dict[str, str] | None = None, *, more_dags: Path | None = None
) -> Iterator[NativeStack]:
    """Start everything in this home, and stop it at the end; ``more_dags`` is a folder of other DAG files.

    Airflow's database is a new one each time: it gets slower with the runs that it remembers.
    """
    wanted = SETTINGS | {"RELOADS_SOURCE": str(home / ".local" / "source")} | (settings or {})
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    folders = Folders(home=home, clone=_lay_out_clone(home, more_dags) if more_dags else CLONE)
    stop(folders)
    for folder in (folders.airflow, folders.local / "postgres"):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        yield start(folders, say=lambda _: None)
    finally:
        stop(folders)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _lay_out_clone(home: Path, more_dags: Path) -> Path:
    """What stands for the clone: a folder of DAG files of its own, and links to what is imported."""
    clone = home / ".local" / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    shutil.copytree(CLONE / "dags", clone / "dags")
    shutil.copytree(more_dags, clone / "dags", dirs_exist_ok=True)
    for name in ("sensors", "stack"):
        (clone / name).symlink_to(CLONE / name)
    return clone


def wait_for_idle(pipeline: Pipeline) -> None:
    """Until no run of any DAG is queued or running."""

    def is_idle() -> bool:
        counts = [pipeline.rest.get("/dags/~/dagRuns", state=state, limit=1) for state in ("queued", "running")]
        return not any(count["total_entries"] for count in counts)

    pipeline.wait_for("the end of all runs", is_idle)


def changed_at(path: Path) -> float:
    """When a file got its place, in seconds of the clock: the rename changes its inode, and nothing else does after."""
    return path.stat().st_ctime


def wait_for_change(path: Path, *, since: float) -> float:
    """The first time after ``since`` at which the file got its place."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            if (at := changed_at(path)) > since:
                return at
        time.sleep(0.02)
    raise SystemExit(f"{path} was not published within {PATIENCE_SECONDS:.0f} s; read the logs beside it")
