"""Commands that move a whole table: rename, drop."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reloads.cli.answer import Answer, Facts, Lines, count, megabytes
from reloads.cli.console import current_settings, current_time, current_user, session
from reloads.cli.options import TABLE
from reloads.errors import RequestError
from reloads.runs.drop_table import drop_table, remove_dropped_table, restore_table, size_of
from reloads.runs.rename_table import rename_table

NEW = Annotated[str, typer.Argument(metavar="NEW", help="its name from now on")]
YES = Annotated[bool, typer.Option("--yes", help="do not ask first")]
UNDO = Annotated[bool, typer.Option("--undo", help="bring back the table that was dropped last under that name")]
PURGE = Annotated[bool, typer.Option("--purge", help="keep nothing of it: it cannot be brought back")]


def rename(table: TABLE, new: NEW) -> Answer:
    """Give a table another name.

    Its definition, what is published, its history and its requests move with it; nothing is loaded anew.
    """
    settings = current_settings()
    rename_table(settings, table, new)
    lines = [f"{table} is {new} now", f"Airflow has the DAG {settings.names.rewrite_dag(new)} within half a minute"]
    return Answer({"table": new, "before": table}, [Lines(lines)])


def drop(table: TABLE, *, yes: YES = False, undo: UNDO = False, purge: PURGE = False) -> Answer:
    """Put a table away, or bring it back.

    Its definition and all that is published are kept for its history_days, and for a week at least.
    """
    settings, now = current_settings(), current_time()
    if undo:
        restored = restore_table(settings, table)
        return Answer({"table": table, "restored": restored.name}, [Lines([f"{table} is back as it was"])])
    size = size_of(settings, table)
    what = f"{count(size.partitions, 'partition')} and {megabytes(size.bytes)} of {table}"
    if not yes:
        _confirm(f"Put away {what}{', for good' if purge else ''}?")
    dropped = drop_table(settings, table, now=now, by=current_user())
    values = {"table": table, "partitions": size.partitions, "bytes": size.bytes}
    if purge:
        remove_dropped_table(settings, dropped)
        return Answer({**values, "keep_until": None}, [Lines([f"removed {what}"])])
    facts = Facts([("kept until", dropped.keep_until), ("brought back by", f"reloads drop {table} --undo")])
    return Answer({**values, "keep_until": dropped.keep_until}, [Lines([f"put away {what}"]), facts])


def _confirm(question: str) -> None:
    """Ask the person, if there is one."""
    if session.as_json or not sys.stdin.isatty():
        raise RequestError("drop asks first, and nobody is here to answer; add --yes")
    typer.confirm(question, abort=True)


COMMANDS = {
    rename: [("rename flights us_flights", "nothing is loaded anew")],
    drop: [("drop flights", "put it away"), ("drop flights --undo", "bring it back")],
}
