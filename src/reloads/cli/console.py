"""What all commands share: how they print, and how an error becomes one sentence and an exit code.

Nothing else in this room prints, so whatever a person wrote is escaped before a terminal sees it.
"""

from __future__ import annotations

import getpass
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from reloads.errors import RequestError, printable
from reloads.files import printable_name
from reloads.requests.drop_folder import read_file
from reloads.requests.judgement import read_requests
from reloads.requests.record import Record
from reloads.requests.request import ReloadRequest, check_request, parse_request
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

TABLE = Annotated[str, typer.Argument(help="a table's name")]
FIRST = Annotated[str, typer.Argument(help="first day, YYYY-MM-DD")]
LAST = Annotated[str | None, typer.Argument(help="last day, included; default: the first")]
WHAT = Annotated[str, typer.Argument(metavar="FILE|TABLE", help="a request file, or a table and days")]
MAYBE_FIRST = Annotated[str | None, typer.Argument(help="first day, YYYY-MM-DD")]
REQUEST = Annotated[str, typer.Argument(metavar="ID", help="a request's id, or the name of the file dropped")]
REASON = Annotated[str | None, typer.Option(help="kept with the request and shown everywhere")]
EXCLUDE = Annotated[list[str] | None, typer.Option(help="a day that stays as it is; can be repeated")]
ONLY = Annotated[str, typer.Option(help="all, missing or stale: which of the days are rewritten")]
KEYS = Annotated[list[str] | None, typer.Option(help="values of a key, like origin=EWR,JFK; can be repeated")]
PARAMETER = Annotated[list[str] | None, typer.Option(help="a parameter, like name=value; can be repeated")]
NO_CASCADE = Annotated[bool, typer.Option("--no-cascade", help="the tables that read this one do not follow")]


def current_settings() -> Settings:
    """The settings of this process's environment."""
    return Settings.from_environment(os.environ)


def current_time() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def current_user() -> str | None:
    """Who runs the command, if the system knows."""
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return None


def say(line: str) -> None:
    """Print one line, whatever it holds: what would end it or steer the terminal is escaped."""
    print(printable(line))  # noqa: T201


def complain(line: str) -> None:
    """Print one line to standard error, as ``say`` does."""
    print(printable(line), file=sys.stderr)  # noqa: T201


def say_csv(line: str) -> None:
    """Print a line of CSV: to a program as it is, which may be several lines, and to a terminal as ``say`` does."""
    if sys.stdout.isatty():
        say(line)
    else:
        sys.stdout.buffer.write(line.encode() + b"\n")


class LogLines(logging.Handler):
    """Shows what the core logs as one line to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        complain(record.getMessage())


def end_with(sentence: str, code: int) -> NoReturn:
    """End the command with a sentence."""
    complain(f"reloads: {sentence}")
    sys.exit(code)


def make_request(settings: Settings, fields: dict[str, object]) -> ReloadRequest:
    """The request that the command's arguments make, checked."""
    named = {name: value for name, value in fields.items() if value not in (None, [], {})}
    request = parse_request({**named, "requested_by": current_user()})
    check_request(request, catalog=Catalog.load(settings.tables), today=settings.day_of(current_time()))
    return request


def read_request_file(settings: Settings, file: Path) -> list[ReloadRequest]:
    """The checked requests in a file."""
    today = settings.day_of(current_time())
    try:
        requests = read_requests(read_file(file)[0], catalog=Catalog.load(settings.tables), today=today)
    except RequestError as error:
        raise RequestError(f"{printable_name(file.name)}: {error}") from error
    return [asked.request for asked in requests]


def request_fields(
    table: str,
    first: str,
    last: str | None,
    *,
    exclude: list[str] | None,
    only: str,
    keys: list[str] | None,
    parameter: list[str] | None,
    no_cascade: bool,
    reason: str | None,
) -> dict[str, object]:
    """The fields of a request file, from the arguments of a command."""
    return {
        "table": table,
        "start_date": first,
        "end_date": last or first,
        "exclude_dates": exclude,
        "only": only,
        "keys": {name: text.split(",") for name, text in _parse_pairs(keys, "--keys", "origin=EWR,JFK")},
        "parameters": {name: _parse_value(text) for name, text in _parse_pairs(parameter, "--parameter", "name=value")},
        "cascade": not no_cascade,
        "reason": reason,
    }


def print_outcome(records: list[Record]) -> None:
    """Print what came of the requests; exit code 1 if a day failed."""
    for record in records:
        size = f"{record.rows:,} rows, {record.bytes / 1e6:,.1f} MB, {record.seconds:.1f} s"
        counts = {
            "unchanged": len(record.unchanged),
            "skipped": len(record.skipped_days),
            "failed": len(record.failed_days),
        }
        details = "".join(f", {count} {name}" for name, count in counts.items() if count)
        say(f"{record.table}: {len(record.published)} partitions published{details}, {size}")
        for result in record.checks:
            if result.severity == "warn":
                complain(f"{record.table}: warning: {result.sentence()}")
        for failure in record.failed:
            complain(f"{record.table} {failure.days}: {failure.error}")
    if any(record.failed for record in records):
        sys.exit(1)


def _parse_pairs(texts: list[str] | None, option: str, example: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise RequestError(f"{option} {name!r} has no value; write it like {option} {example}")
        pairs.append((name, value))
    return pairs


def _parse_value(text: str) -> object:
    """A number or true or false where the text is one; the table's declaration checks the type."""
    words: dict[str, object] = {"true": True, "false": False}
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return words.get(text, text)
