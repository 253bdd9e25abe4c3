"""The command ``reloads``: check, request, status, run. Errors are one sentence and an exit code.

Exit codes: 0 done, 1 the request or its outcome is bad, 2 wrong usage or environment.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reloads.catalog import Catalog
from reloads.check import check_tables
from reloads.command_run import run_here
from reloads.errors import OperatorError, ReloadsError, RequestError
from reloads.files import free_name, printable, write_whole
from reloads.landing import read_file, read_requests
from reloads.queue import STATES, Queue, read_record
from reloads.record import Record
from reloads.request import ReloadRequest, check_request, json_schema, parse_request
from reloads.settings import Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Ask for reloads and watch them."
)
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
LOOK_EVERY_SECONDS = 0.2

FIRST = Annotated[str, typer.Argument(help="first day, YYYY-MM-DD")]
LAST = Annotated[str | None, typer.Argument(help="last day, included; default: the first")]
REASON = Annotated[str | None, typer.Option(help="kept with the request and shown everywhere")]


def main() -> None:
    """Run the command line; whatever goes wrong is one sentence."""
    try:
        app()
    except OperatorError as error:
        _stop(str(error), 2)
    except ReloadsError as error:
        _stop(str(error), 1)
    except FileNotFoundError as error:
        _stop(f"{error.filename} does not exist; check the path", 2)
    except OSError as error:
        _stop(f"{error.filename or 'a file'}: {error.strerror}; make room or grant access", 2)
    except KeyboardInterrupt:
        _stop("stopped; whatever was accepted goes on without this command", 130)


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="a request file; without one, all tables are checked")] = None,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON schema of request files")] = False,
) -> None:
    """Say whether a request file would be accepted."""
    if schema:
        print(json.dumps(json_schema(), indent=2))  # noqa: T201 - for a pipe, so without colour or wrapping
        return
    settings = _settings()
    if file is None:
        out.print(f"all tables are good: {', '.join(check_tables(settings))}")
        return
    for request in _requests_of(settings, file):
        out.print(f"good: {', '.join(request.tables)}, {request.days} ({len(request.days)} days)", markup=False)


@app.command()
def request(
    table: str,
    first: FIRST,
    last: LAST = None,
    *,
    reason: REASON = None,
    wait: Annotated[bool, typer.Option("--wait", help="show progress until it is done or failed")] = False,
) -> None:
    """Ask for a reload by putting a request file into the drop folder."""
    settings = _settings()
    asked = _asked(settings, table, first, last, reason)
    queue = Queue(settings.landing)
    queue.landing.mkdir(parents=True, exist_ok=True)
    fields = asked.model_dump(mode="json", exclude_defaults=True)
    name = f"{free_name(queue.landing, f'{table}-{first}-{uuid4().hex[:6]}', endings=('.json',))}.json"
    write_whole(queue.landing / name, json.dumps(fields, indent=2) + "\n")
    out.print(f"dropped {name}: {table}, {asked.days} ({len(asked.days)} days)", markup=False)
    if wait:
        _report([_await(queue, name, len(asked.days))])


@app.command()
def status(
    request_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="an id or a dropped file's name")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="the ended ones too, not only the last ten")] = False,
) -> None:
    """Show requests: all that are open and the last that ended, or one whole."""
    queue = Queue(_settings().landing)
    if request_id is not None:
        _show_one(queue, request_id)
        return
    ended = sorted((*queue.records("done"), *queue.records("failed")), key=lambda r: r.finished_at or r.accepted_at)
    records = [*(ended if everything else ended[-10:]), *queue.records("accepted")]
    if not records:
        out.print("no requests yet; ask with: reloads request TABLE FIRST [LAST]", markup=False)
        return
    for record in records:
        out.print(_line(record), markup=False)


@app.command()
def run(
    what: Annotated[str, typer.Argument(metavar="FILE|TABLE", help="a request file, or a table and days")],
    first: Annotated[str | None, typer.Argument(help="first day, YYYY-MM-DD")] = None,
    last: LAST = None,
    *,
    reason: REASON = None,
) -> None:
    """Rewrite here and now, without Airflow."""
    settings = _settings()
    asked_here = [_asked(settings, what, first, last, reason)] if first else _requests_of(settings, Path(what))
    _report([record for asked in asked_here for record in run_here(settings, asked, now=datetime.now(UTC))])


def _line(record: Record) -> str:
    """One request on one line, what matters first, so that a narrow terminal cuts off nothing that does."""
    failed = sum(len(failure.days) for failure in record.failed)
    state = "accepted" if record.outstanding else "failed" if failed else "done"
    days = f"{len(record.published)}/{len(record.days)} days" + (f" ({failed} failed)" if failed else "")
    when = f"{record.accepted_at:%Y-%m-%d %H:%M:%S}"
    parts = (f"{state:8}", f"{days:12}", f"{record.rows:>10,} rows", record.table, when, record.id, record.reason)
    return "  ".join(part for part in parts if part)


def _settings() -> Settings:
    return Settings.from_environment(os.environ)


def _asked(settings: Settings, table: str, first: str, last: str | None, reason: str | None) -> ReloadRequest:
    days = {"start_date": first, "end_date": last or first}
    asked = parse_request({"table": table, **days, "reason": reason, "requested_by": _user()})
    check_request(asked, catalog=Catalog.load(settings.tables), today=settings.day_of(datetime.now(UTC)))
    return asked


def _user() -> str | None:
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return None


def _requests_of(settings: Settings, file: Path) -> list[ReloadRequest]:
    today = settings.day_of(datetime.now(UTC))
    try:
        found = read_requests(read_file(file)[0], catalog=Catalog.load(settings.tables), today=today)
    except RequestError as error:
        raise RequestError(f"{printable(file.name)}: {error}") from error
    return [request for request, _ in found]


def _await(queue: Queue, file: str, days: int) -> Record:
    """Follow the request of one dropped file until it ends; raises ``RequestError`` if it is rejected."""
    with _progress() as progress:
        bar = progress.add_task("waiting for Airflow", total=days)
        while True:
            record = next((record for record in _all(queue) if record.file == file), None)
            if record is None and (note := queue.landing / "rejected" / f"{Path(file).stem}.error.txt").exists():
                raise RequestError(note.read_text(encoding="utf-8").strip())
            if record is not None:
                written = record.published & record.days
                progress.update(bar, completed=len(written), description=f"{record.table} {record.days}")
                if not record.outstanding:
                    return record
            time.sleep(LOOK_EVERY_SECONDS)


def _all(queue: Queue) -> Iterator[Record]:
    for state in ("accepted", "done", "failed"):
        yield from queue.records(state)


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:
        yield progress


def _report(records: list[Record]) -> None:
    """Print what came of the requests; exit code 1 if a day failed."""
    for record in records:
        size = f"{record.rows:,} rows, {record.bytes / 1e6:,.1f} MB, {record.seconds:.1f} s"
        out.print(f"{record.table}: {len(record.published)} partitions published, {size}", markup=False)
        for failure in record.failed:
            err.print(f"{record.table} {failure.days}: {failure.error}")
    if any(record.failed for record in records):
        sys.exit(1)


def _show_one(queue: Queue, wanted: str) -> None:
    for state in STATES:
        for path in sorted((queue.landing / state).glob("*.json")):
            if path.stem == wanted or (state != "rejected" and read_record(path).file == wanted):
                out.print(f"{state}: {path}", markup=False)
                print(path.read_text(encoding="utf-8", errors="backslashreplace"))  # noqa: T201 - as it is
                return
        if (note := queue.landing / "rejected" / f"{Path(wanted).stem}.error.txt").exists() and state == "rejected":
            raise RequestError(note.read_text(encoding="utf-8").strip())
    if (queue.landing / wanted).exists():
        out.print(f"{wanted} is still in the drop folder; is Airflow running and request_partitions on?", markup=False)
        return
    raise RequestError(f"{wanted!r} is no request; reloads status lists them")


def _stop(sentence: str, code: int) -> NoReturn:
    err.print(f"reloads: {sentence}")
    sys.exit(code)


if __name__ == "__main__":
    main()
