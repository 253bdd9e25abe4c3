"""Commands that ask: check, plan, request, run."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from reloads.cli.answer import Answer, Lines, count
from reloads.cli.console import announce, complain, current_settings, current_time, current_user, session
from reloads.cli.exit_codes import Exit
from reloads.cli.options import (
    EXCLUDE,
    FIRST,
    KEYS,
    LAST,
    NO_CASCADE,
    ONLY,
    PARAMETER,
    REASON,
    TIMEOUT,
    WAIT,
    WHAT,
    fields_of,
    parse_timeout,
    read_asked,
    read_request_file,
)
from reloads.cli.outcome import answer_outcome
from reloads.cli.plan import answer_plan
from reloads.cli.wait import answer_wave
from reloads.errors import TableError
from reloads.inspection.check_tables import check_tables
from reloads.inspection.preview import preview
from reloads.requests.dropping import drop_copy, drop_request
from reloads.requests.request_file import json_schema
from reloads.runs.local_run import run_locally
from reloads.settings import Settings


def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="a request file; without one, all tables are checked")
    ] = None,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON schema of request files")] = False,
) -> Answer:
    """Check a request file, or all tables.

    Says whether the file would be accepted, or whether all tables are good. Writes nothing.
    """
    if schema:
        # It is a document whoever reads it: lines of a terminal would be wrapped.
        session.as_json = True
        return Answer(json_schema())
    settings = current_settings()
    if file is None:
        return _check_tables(settings)
    requests = read_request_file(settings, file)
    lines = [f"good: {', '.join(each.tables)}, {each.days} ({count(len(each.days), 'day')})" for each in requests]
    values = [{"tables": list(each.tables), "days": each.days} for each in requests]
    return Answer({"requests": values}, [Lines(lines)])


def _check_tables(settings: Settings) -> Answer:
    try:
        checked = check_tables(settings)
    except TableError as error:
        problems = str(error).split("\n")
        for problem in problems:
            complain(f"reloads: {problem}")
        value = {"error": problems[0], "exit_code": Exit.FAILED, "problems": problems}
        return Answer(value, exit=Exit.FAILED)
    lines = checked.gaps()
    rest = [name for name in checked.names if name not in checked.unchecked]
    if checked.unchecked:
        lines.append(
            f"{count(len(rest), 'table')} checked whole{': ' if rest else ''}{', '.join(rest)}; no fault was found"
        )
    else:
        lines.append(f"all tables are good: {', '.join(rest)}")
    return Answer({"tables": checked.names, "unchecked": checked.unchecked}, [Lines(lines)])


def plan(
    what: WHAT,
    first: FIRST = None,
    last: LAST = None,
    *,
    exclude: EXCLUDE = None,
    only: ONLY = "all",
    keys: KEYS = None,
    parameter: PARAMETER = None,
    no_cascade: NO_CASCADE = False,
    everything: Annotated[bool, typer.Option("--all", help="every partition on a line of its own")] = False,
) -> Answer:
    """Show what a request would rewrite, and why.

    Reads no data and writes nothing. Days stand together by table and reason; --all shows every partition.
    """
    settings = current_settings()
    fields = fields_of(exclude=exclude, only=only, keys=keys, parameter=parameter, no_cascade=no_cascade)
    requests = read_asked(settings, what, first, last, fields)
    return answer_plan([preview(settings, each, now=current_time()) for each in requests], everything=everything)


def request(
    what: WHAT,
    first: FIRST = None,
    last: LAST = None,
    *,
    exclude: EXCLUDE = None,
    only: ONLY = "all",
    keys: KEYS = None,
    parameter: PARAMETER = None,
    no_cascade: NO_CASCADE = False,
    reason: REASON = None,
    wait: WAIT = False,
    timeout: TIMEOUT = None,
) -> Answer:
    """Ask for a reload, by table and days or by a file.

    Puts a request file into the drop folder. With --wait it follows the request and all that follows from it.
    """
    settings, seconds = current_settings(), parse_timeout(timeout, is_waiting=wait)
    fields = fields_of(exclude=exclude, only=only, keys=keys, parameter=parameter, no_cascade=no_cascade, reason=reason)
    requests = read_asked(settings, what, first, last, fields)
    if first is None:
        name = drop_copy(settings.landing, Path(what), requested_by=current_user())
    else:
        name = drop_request(settings.landing, requests[0], label=f"{what}-{first}")
    lines = [
        f"dropped {name}: {', '.join(each.tables)}, {each.days} ({count(len(each.days), 'day')})" for each in requests
    ]
    value: dict[str, Any] = {"file": name}
    if wait:
        for line in lines:
            announce(line)
        return answer_wave(settings, files=[name], timeout=seconds, more=value)
    value["requests"] = [{"tables": list(each.tables), "days": each.days} for each in requests]
    return Answer(value, [Lines(lines)])


def run(
    what: WHAT,
    first: FIRST = None,
    last: LAST = None,
    *,
    exclude: EXCLUDE = None,
    only: ONLY = "all",
    keys: KEYS = None,
    parameter: PARAMETER = None,
    no_cascade: NO_CASCADE = False,
    reason: REASON = None,
) -> Answer:
    """Rewrite here and now, without Airflow.

    The tables that follow are rewritten, too.
    """
    settings = current_settings()
    fields = fields_of(exclude=exclude, only=only, keys=keys, parameter=parameter, no_cascade=no_cascade, reason=reason)
    requests = read_asked(settings, what, first, last, fields)
    records = chain.from_iterable(run_locally(settings, each, clock=current_time, say=complain) for each in requests)
    return answer_outcome(list(records))


COMMANDS = {
    check: [
        ("check", "are all tables good?"),
        ("check landing/examples/two-tables.json", "would this file be accepted?"),
    ],
    plan: [
        ("plan flights 2013-03-01 2013-03-31", "in a few lines"),
        ("plan flights 2013-03-01 --all", "every partition"),
        ("plan landing/examples/two-tables.json", "of a request file"),
    ],
    request: [
        ("request flights 2013-03-01 2013-03-31 --wait", "and follow it"),
        ("request departures 2013-02-01 --keys origin=EWR,JFK", "two of its partitions"),
        ("request landing/examples/two-tables.json", "a file works as well"),
    ],
    run: [
        ("run flights 2013-01-01 2013-01-03", "three days, here and now"),
        ("run flights 2013-01-01 2013-12-31 --only stale", "what is out of date"),
    ],
}
