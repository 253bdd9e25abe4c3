"""Ours beside the peers: the command and the dropped file, for the same days of the same rows."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

from benchmarks.child import run_command
from benchmarks.peers.readings import FOLDER, SHIFT, Span, file_totals
from benchmarks.peers.rounds import Peer
from benchmarks.readings import CLONE
from tests.support.pipeline import Pipeline

HOME = FOLDER / "reloads"
TABLE = "readings"
COMMAND, FILE = "`reloads run`", "a dropped file, both DAGs"
COMMAND_NOTE = "`reloads run` checks, compares and keeps the version before, as it always does."
FILE_NOTE = "A dropped file is timed until its record is in `done/`, by a look every 0.1 s."


def lay_out(home: Path) -> None:
    """The table and nothing else, with nothing published."""
    for name in ("tables", "landing", "warehouse"):
        shutil.rmtree(home / name, ignore_errors=True)
    tables = CLONE / "benchmarks" / "tables"
    (home / "tables").mkdir(parents=True)
    shutil.copy(tables / "sources.sql", home / "tables")
    shutil.copytree(tables / TABLE, home / "tables" / TABLE)


def command_peer(span: Span) -> Peer:
    """`reloads run` of the days."""

    def load() -> None:
        lay_out(HOME)
        reload()

    def reload() -> None:
        variables = {"RELOADS_SOURCE": str(SHIFT.parent)}
        run_command(HOME, "run", TABLE, str(span.first), str(span.last), variables=variables)

    return Peer(COMMAND, COMMAND_NOTE, load, reload, lambda: file_totals(HOME / "warehouse" / TABLE))


def dropped_file_peer(pipeline: Pipeline, span: Span) -> Peer:
    """A request file for the days, in the Airflow in which the others run."""
    numbers = count()

    def reload() -> None:
        file = f"peers-{next(numbers)}.json"
        pipeline.drop(file, table=TABLE, start_date=str(span.first), end_date=str(span.last))
        pipeline.wait_for_done(file)

    def wait() -> None:
        pipeline.wait_for_end_of_work(TABLE)

    written = pipeline.warehouse / TABLE
    return Peer(FILE, FILE_NOTE, reload, reload, lambda: file_totals(written), wait)
