"""Commands that ask: check, plan, request, run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from reloads.cli.console import (
    EXCLUDE,
    FIRST,
    KEYS,
    LAST,
    MAYBE_FIRST,
    NO_CASCADE,
    ONLY,
    PARAMETER,
    REASON,
    TABLE,
    WHAT,
    complain,
    current_settings,
    current_time,
    make_request,
    print_outcome,
    read_request_file,
    request_fields,
    say,
)
from reloads.cli.wait import await_request
from reloads.errors import RequestError
from reloads.inspection.check_tables import check_tables
from reloads.inspection.preview import PlanLine, preview
from reloads.requests.dropping import drop_request
from reloads.requests.queue import Queue
from reloads.requests.request import ReloadRequest
from reloads.requests.request_file import json_schema
from reloads.runs.local_run import run_locally
from reloads.settings import Settings


def check(
    file: Annotated[Path | None, typer.Argument(help="a request file; without one, all tables are checked")] = None,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON schema of request files")] = False,
) -> None:
    """Say whether a request file would be accepted."""
    if schema:
        for line in json.dumps(json_schema(), indent=2).split("\n"):
            say(line)
        return
    settings = current_settings()
    if file is None:
        say(f"all tables are good: {', '.join(check_tables(settings))}")
        return
    for request in read_request_file(settings, file):
        say(f"good: {', '.join(request.tables)}, {request.days} ({len(request.days)} days)")


def plan(
    what: WHAT,
    first: MAYBE_FIRST = None,
    last: LAST = None,
    *,
    exclude: EXCLUDE = None,
    only: ONLY = "all",
    keys: KEYS = None,
    parameter: PARAMETER = None,
    no_cascade: NO_CASCADE = False,
) -> None:
    """Show what a request would do: every partition with its reason. Reads no data and writes nothing."""
    settings = current_settings()
    fields = {"exclude": exclude, "only": only, "keys": keys, "parameter": parameter, "no_cascade": no_cascade}
    for request in _requests(settings, what, first, last, fields | {"reason": None}):
        lines = preview(settings, request, now=current_time())
        for line in lines:
            say(_format_line(line))
        planned = [line for line in lines if line.is_planned]
        rows, size = sum(line.rows or 0 for line in planned), sum(line.bytes or 0 for line in planned)
        tables = len({line.table for line in planned})
        say(f"{len(planned)} partitions of {tables} tables, which replace {rows:,} rows, {size / 1e6:,.1f} MB")


def request(
    table: TABLE,
    first: FIRST,
    last: LAST = None,
    *,
    exclude: EXCLUDE = None,
    only: ONLY = "all",
    keys: KEYS = None,
    parameter: PARAMETER = None,
    no_cascade: NO_CASCADE = False,
    reason: REASON = None,
    wait: Annotated[bool, typer.Option("--wait", help="show progress until it is done or failed")] = False,
) -> None:
    """Ask for a reload by putting a request file into the drop folder."""
    settings = current_settings()
    fields = {"exclude": exclude, "only": only, "keys": keys, "parameter": parameter, "no_cascade": no_cascade}
    [dropped] = _requests(settings, table, first, last, fields | {"reason": reason})
    queue = Queue(settings.landing)
    name = drop_request(queue.landing, dropped, label=f"{table}-{first}")
    say(f"dropped {name}: {table}, {dropped.days} ({len(dropped.days)} days)")
    if wait:
        print_outcome([await_request(settings, name, days=len(dropped.days))])


def run(
    what: WHAT,
    first: MAYBE_FIRST = None,
    last: LAST = None,
    *,
    exclude: EXCLUDE = None,
    only: ONLY = "all",
    keys: KEYS = None,
    parameter: PARAMETER = None,
    no_cascade: NO_CASCADE = False,
    reason: REASON = None,
) -> None:
    """Rewrite here and now, without Airflow, the tables that follow included."""
    settings = current_settings()
    fields = {"exclude": exclude, "only": only, "keys": keys, "parameter": parameter, "no_cascade": no_cascade}
    requests = _requests(settings, what, first, last, fields | {"reason": reason})
    print_outcome(list(chain.from_iterable(run_locally(settings, request, say=complain) for request in requests)))


COMMANDS = (check, plan, request, run)


def _requests(
    settings: Settings, what: str, first: str | None, last: str | None, fields: Mapping[str, object]
) -> list[ReloadRequest]:
    """The requests of a file, or the one that a table, days and options make."""
    if first is None:
        options = [name for name in ("exclude", "keys", "parameter", "no_cascade") if fields[name]]
        if options:
            raise RequestError(f"--{options[0].replace('_', '-')} goes with a table and days; write it into the file")
        return read_request_file(settings, Path(what))
    return [make_request(settings, request_fields(what, first, last, **fields))]  # type: ignore[arg-type]


def _format_line(line: PlanLine) -> str:
    replaced = "nothing there" if line.bytes is None else f"{line.bytes:,} bytes"
    rows = f"{line.rows:,} rows, " if line.rows is not None else ""
    return f"{'rewrite' if line.is_planned else 'skip':8}{line.table}  {line.partition}  {line.why}  ({rows}{replaced})"
