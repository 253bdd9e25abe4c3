"""The arguments and options that several commands share, and the request that they make."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from reloads.cli.completion import complete_keys, complete_request, complete_table
from reloads.cli.console import current_time, current_user
from reloads.errors import RequestError
from reloads.files import printable_name
from reloads.requests.drop_folder import read_file
from reloads.requests.judgement import read_requests
from reloads.requests.request import ReloadRequest, check_request, parse_request
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

TABLE = Annotated[str, typer.Argument(metavar="TABLE", help="a table's name", autocompletion=complete_table)]
WHAT = Annotated[
    str, typer.Argument(metavar="FILE|TABLE", help="a request file, or a table and days", autocompletion=complete_table)
]
FIRST = Annotated[str | None, typer.Argument(metavar="FIRST", help="first day, YYYY-MM-DD")]
LAST = Annotated[str | None, typer.Argument(metavar="LAST", help="last day, included; default: the first")]
REQUEST = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="a request's id, how it begins, or the file dropped", autocompletion=complete_request
    ),
]
REASON = Annotated[str | None, typer.Option(metavar="TEXT", help="kept with the request and shown everywhere")]
EXCLUDE = Annotated[list[str] | None, typer.Option(metavar="DAY", help="a day that stays as it is; can be repeated")]
ONLY = Annotated[str, typer.Option(metavar="all|missing|stale", help="which of the days are rewritten")]
KEYS = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUES", help="values of a key, like origin=EWR,JFK; can be repeated", autocompletion=complete_keys
    ),
]
PARAMETER = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="a value for a parameter; can be repeated")
]
NO_CASCADE = Annotated[bool, typer.Option("--no-cascade", help="the tables that read this one do not follow")]
WAIT = Annotated[bool, typer.Option("--wait", help="follow it, and all that follows from it, to the end")]
TIMEOUT = Annotated[
    str | None, typer.Option(metavar="DURATION", help="wait no longer than this, like 90s, 10m or 2h; exit code 3")
]

_DURATION = re.compile(r"([0-9]{1,6})([smh])")


def fields_of(
    *,
    exclude: list[str] | None,
    only: str,
    keys: list[str] | None,
    parameter: list[str] | None,
    no_cascade: bool,
    reason: str | None = None,
) -> dict[str, object]:
    """The fields of a request that the options set."""
    named_keys = {name: text.split(",") for name, text in _parse_pairs(keys, "--keys", "origin=EWR,JFK")}
    parameters = {name: _parse_value(text) for name, text in _parse_pairs(parameter, "--parameter", "name=value")}
    fields: dict[str, object] = {
        "exclude_dates": exclude,
        "only": None if only == "all" else only,
        "keys": named_keys,
        "parameters": parameters,
        "cascade": False if no_cascade else None,
        "reason": reason,
    }
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def read_asked(
    settings: Settings, what: str, first: str | None, last: str | None, fields: dict[str, object]
) -> list[ReloadRequest]:
    """The checked requests of a file, or the one that a table, days and options make."""
    if first is not None:
        days = {"table": what, "start_date": first, "end_date": last or first}
        return [_make_request(settings, days | fields)]
    catalog = Catalog.load(settings.tables)
    if catalog.has(what) or not _looks_like_a_file(what):
        table = catalog.definition(what)
        day = table.settings.first_day
        raise RequestError(f"{what} is a table, and which of its days is not said; write them: {what} {day} [LAST]")
    if fields:
        option = {"exclude_dates": "exclude", "parameters": "parameter", "cascade": "no-cascade"}
        name = next(iter(fields))
        raise RequestError(f"--{option.get(name, name)} goes with a table and days; write it into the file")
    return read_request_file(settings, Path(what))


def read_request_file(settings: Settings, file: Path) -> list[ReloadRequest]:
    """The checked requests in a file."""
    today = settings.day_of(current_time())
    try:
        requests = read_requests(read_file(file)[0], catalog=Catalog.load(settings.tables), today=today)
    except RequestError as error:
        raise RequestError(f"{printable_name(file.name)}: {error}") from error
    return [asked.request for asked in requests]


def parse_timeout(text: str | None, *, is_waiting: bool) -> float | None:
    """Seconds of a duration like ``90s``, ``10m`` or ``2h``; None where there is none."""
    if text is None:
        return None
    if not is_waiting:
        raise typer.BadParameter("--timeout ends a wait, so it goes with --wait; add that")
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"--timeout {text!r} is not a duration; write one like 90s, 10m or 2h")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def _looks_like_a_file(what: str) -> bool:
    return "/" in what or what.endswith(".json") or Path(what).exists()


def _make_request(settings: Settings, fields: dict[str, object]) -> ReloadRequest:
    """The request that the command's arguments make, checked."""
    request = parse_request({**fields, "requested_by": current_user()})
    check_request(request, catalog=Catalog.load(settings.tables), today=settings.day_of(current_time()))
    return request


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
