"""Commands that look: status, history, sql."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reloads.cli.console import TABLE, current_settings, out
from reloads.days import parse_day
from reloads.errors import RequestError
from reloads.inspection.versions import disk_use, versions
from reloads.requests.queue import STATES, Queue, read_record
from reloads.requests.record import Record
from reloads.tables.catalog import Catalog


def status(
    request_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="an id or a dropped file's name")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="the ended ones too, not only the last ten")] = False,
) -> None:
    """Show requests: all that are open and the last that ended, or one whole."""
    queue = Queue(current_settings().landing)
    if request_id is not None:
        _show_request(queue, request_id)
        return
    ended = [*queue.records("done"), *queue.records("failed"), *queue.records("cancelled")]
    ended.sort(key=lambda record: record.finished_at or record.accepted_at)
    records = [*(ended if everything else ended[-10:]), *queue.records("accepted")]
    if not records:
        out.print("no requests yet; ask with: reloads request TABLE FIRST [LAST]")
        return
    for record in records:
        out.print(_format_record(record))


def history(
    table: TABLE,
    day: Annotated[str | None, typer.Argument(help="one day, YYYY-MM-DD; default: all")] = None,
) -> None:
    """List the versions of partitions that are kept, newest last, and the disk space that they use."""
    settings = current_settings()
    definition = Catalog.load(settings.tables)[table]
    kept = versions(settings, definition, day=parse_day(day) if day else None)
    if not kept:
        out.print(f"nothing of {table}{f' on {day}' if day else ''} is published, and nothing is kept")
    for version in kept:
        rows = f"{version.rows:,} rows" if version.rows is not None else "nothing"
        until = "published" if version.replaced_at is None else f"until {version.replaced_at:%Y-%m-%d %H:%M:%S}"
        out.print(f"{version.partition}  {until}  {rows}  {', '.join(version.requests) or '-'}")
    used = disk_use(settings, definition)
    megabytes = f"{used.history / 1e6:,.1f} MB of history besides {used.published / 1e6:,.1f} MB published"
    out.print(f"all of {table}: {megabytes}")


def sql(
    statement: Annotated[str, typer.Argument(help='one SELECT, like "from requests" or "from partitions"')],
    *,
    csv: Annotated[bool, typer.Option("--csv", help="as CSV, whole")] = False,
) -> None:
    """Ask the index: the views are requests (every record) and partitions (every file, with its provenance)."""
    from reloads.inspection.sql_views import open_views, query_views

    with open_views(current_settings()) as db:
        answer = query_views(db, statement)
        if csv:
            answer.write_csv("/dev/stdout")
        else:
            print(answer)  # noqa: T201 - the database draws the table


COMMANDS = (status, history, sql)


def _format_record(record: Record) -> str:
    """One request on one line, what matters first, so that a narrow terminal cuts off nothing that does."""
    failed = len(record.failed_days)
    state = "accepted" if record.outstanding else "failed" if failed else "cancelled" if record.cancelled else "done"
    days = f"{len(record.fulfilled | record.skipped_days)}/{len(record.days)} days"
    days += f" ({failed} failed)" if failed else ""
    when = f"{record.accepted_at:%Y-%m-%d %H:%M:%S}"
    parts = (f"{state:8}", f"{days:12}", f"{record.rows:>10,} rows", record.table, when, record.id, record.reason)
    return "  ".join(part for part in parts if part)


def _show_request(queue: Queue, name: str) -> None:
    for state in STATES:
        for path in sorted((queue.landing / state).glob("*.json")):
            if path.stem == name or (state != "rejected" and read_record(path).file == name):
                out.print(f"{state}: {path}")
                print(path.read_text(encoding="utf-8", errors="backslashreplace"))  # noqa: T201 - as it is
                return
        if (note := queue.landing / "rejected" / f"{Path(name).stem}.error.txt").exists() and state == "rejected":
            raise RequestError(note.read_text(encoding="utf-8").strip())
    if (queue.landing / name).exists():
        out.print(f"{name} is still in the drop folder; is Airflow running and request_partitions on?")
        return
    raise RequestError(f"{name!r} is not a request; reloads status lists them")
