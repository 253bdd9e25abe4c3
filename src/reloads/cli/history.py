"""Commands that look at the files of the warehouse: history, verify."""

from __future__ import annotations

from contextlib import suppress
from functools import cache, partial
from typing import Annotated, Any

import typer

from reloads.cli.answer import Answer, Column, Grid, Lines, Row, megabytes
from reloads.cli.console import current_settings
from reloads.cli.exit_codes import Exit
from reloads.cli.options import TABLE
from reloads.days import parse_day
from reloads.errors import OperatorError
from reloads.inspection.verify import verify as find_disagreements
from reloads.inspection.versions import disk_use, versions
from reloads.requests.queue import Queue
from reloads.warehouse.upgrade import open_catalog

COLUMNS = (
    Column("partition"),
    Column("version", is_number=True),
    Column("rows", is_number=True),
    Column("published"),
    Column("replaced"),
)


def history(
    table: TABLE,
    day: Annotated[str | None, typer.Argument(metavar="DAY", help="one day, YYYY-MM-DD; default: all")] = None,
) -> Answer:
    """List the kept versions of partitions, newest last.

    Says which requests wrote each, who asked for them, and the disk space that they use. ``diff`` compares two.
    """
    settings = current_settings()
    definition = open_catalog(settings)[table]
    one_day = parse_day(day) if day else None
    kept = versions(settings, definition, day=one_day)
    used = disk_use(settings, definition, day=one_day)
    describe = cache(partial(_describe_request, Queue(settings.landing)))
    rows: list[Row] = []
    values: list[dict[str, Any]] = []
    for version in kept:
        by = f"by {', '.join(map(describe, version.requests))}" if version.requests else "nobody is known who wrote it"
        note = by if version.rows is not None else "nothing was there"
        until = version.replaced_at or "it is current"
        rows.append(Row((version.partition, version.number, version.rows, version.written_at, until), (note,)))
        values.append(vars(version))
    lines = [
        f"{day or 'all'} of {table}: {megabytes(used.history)} of history besides {megabytes(used.published)} published"
    ]
    if not kept:
        lines.insert(0, f"nothing of {table}{f' on {day}' if day else ''} is published, and nothing is kept")
    value = {"table": table, "versions": values, "bytes": {"published": used.published, "history": used.history}}
    return Answer(value, [Grid(COLUMNS, rows), Lines(lines)])


def _describe_request(queue: Queue, name: str) -> str:
    """The request with who asked for it, if a record still says so."""
    with suppress(OperatorError):
        record = queue.get(name)
        if record and record.requested_by:
            return f"{name} ({record.requested_by})"
    return name


def verify(
    table: Annotated[str | None, typer.Argument(metavar="TABLE", help="a table's name; default: all")] = None,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="mend what can be mended without losing anything")] = False,
) -> Answer:
    """Check that log, files and folders agree.

    Exit code 1 if something is left to mend.
    """
    settings = current_settings()
    lines: list[str] = []
    values: list[dict[str, Any]] = []
    for finding in find_disagreements(settings, table, is_repairing=repair):
        lines.append(f"{'mended' if finding.is_mended else 'wrong'}: {finding.table}: {finding.sentence}")
        values.append(vars(finding))
    is_bad = any(not value["is_mended"] for value in values)
    if not is_bad:
        lines.append(f"{table or 'the warehouse'} agrees with its log")
    return Answer({"agrees": not is_bad, "findings": values}, [Lines(lines)], Exit.FAILED if is_bad else Exit.DONE)


COMMANDS = {
    history: [("history flights 2013-01-01", "of one day"), ("history flights", "of all days")],
    verify: [("verify", "the whole warehouse"), ("verify flights --repair", "one table, and mend what can be")],
}
