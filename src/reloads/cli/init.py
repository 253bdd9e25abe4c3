"""The command that makes something to start from: init."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from reloads.cli.answer import Answer, Lines
from reloads.cli.console import current_settings
from reloads.tables.template import Made, make_project, make_table

FOLDER = Annotated[Path | None, typer.Argument(metavar="FOLDER", help="where the project lies; default: here")]
NEW_TABLE = Annotated[str | None, typer.Option("--table", metavar="TABLE", help="add a table of that name instead")]


def init(folder: FOLDER = None, *, table: NEW_TABLE = None) -> Answer:
    """Make a project to start from, or a table.

    Nothing that is there is overwritten.
    """
    if table is None:
        made = make_project((folder or Path()).absolute())
        lines = _describe_project(made)
    else:
        made = make_table((folder.absolute() / "tables") if folder else current_settings().tables, table)
        lines = _describe_table(made, table)
    return Answer({"folder": made.folder, "made": made.made, "kept": made.kept}, [Lines(list(lines))])


COMMANDS = {
    init: [("init warehouse", "a project in that folder"), ("init --table orders", "a table of the project here")],
}


def _describe_project(made: Made) -> Iterator[str]:
    yield f"made {len(made.made)} files in {made.folder}"
    for path in made.kept:
        yield f"{path} is there already and stays as it is"
    place = shlex.quote(str(made.folder))
    dags = shlex.quote(str(made.folder / "dags"))
    yield "next:"
    yield f"  cd {place}"
    yield "  reloads check                               # are all tables good?"
    yield "  reloads run orders 2025-01-01 2025-01-07    # load a week here and now, without Airflow"
    yield "with Airflow, set these for each of its processes, and start them:"
    yield f"  export RELOADS_HOME={place}"
    yield f"  export AIRFLOW__CORE__DAGS_FOLDER={dags}    # or copy dags/*.py into the folder that you have"
    yield "  reloads doctor                              # what is wrong, and what to do"


def _describe_table(made: Made, table: str) -> Iterator[str]:
    yield f"made {', '.join(str(path) for path in made.made)} in {made.folder}"
    yield "next: write your query into query.sql and its day column into table.toml, then"
    yield "  reloads check"
    yield f"  reloads run {table} 2025-01-01    # tries it on a day, without Airflow"
