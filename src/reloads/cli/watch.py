"""Commands that look: status, history, sql, verify."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from reloads.cli.calendar import calendar_json, calendar_lines
from reloads.cli.console import TABLE, current_settings, current_time, say, say_csv
from reloads.days import parse_day
from reloads.errors import OperatorError, RequestError
from reloads.files import printable_name
from reloads.inspection.open_requests import list_open_requests
from reloads.inspection.verify import verify as find_disagreements
from reloads.inspection.versions import disk_use, versions
from reloads.outcome import Reason
from reloads.planning.standing import describe_ended
from reloads.requests.drop_folder import list_request_files
from reloads.requests.endings import KEPT, Ending, read_endings
from reloads.requests.lookup import find_named
from reloads.requests.notes import Note, find_note, list_notes, list_waiting, read_note
from reloads.requests.progress import with_progress
from reloads.requests.queue import Queue, State, read_record, read_records
from reloads.requests.record import Record
from reloads.tables.arrival_settings import find_late_days
from reloads.tables.catalog import Catalog
from reloads.tables.definition import TABLE_NAME, Table
from reloads.warehouse.upgrade import open_catalog

SHOWN_ENDED = 10
ENDED_STATES: tuple[State, ...] = ("done", "failed", "cancelled")


def status(
    what: Annotated[
        str | None, typer.Argument(metavar="[ID|TABLE]", help="an id, a dropped file's name, or a table")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="the ended ones too, not only the last ten")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="of a table: every day, as JSON")] = False,
) -> None:
    """Show requests: all that are open or wait and the last that ended, or one whole, or the days of a table."""
    settings = current_settings()
    queue = Queue(settings.landing)
    if what and TABLE_NAME.fullmatch(what) and (settings.tables / what).is_dir():
        _show_table(what, as_json=as_json)
        return
    if as_json:
        raise RequestError(f"--json is for a table, and {what or 'nothing'!r} is not one; leave it out")
    if what is not None:
        _show_request(queue, what)
        return
    lines = [_format_ended(item) for item in (_read_all_ended(queue) if everything else _read_last_ended(queue))]
    lines += _format_open()
    lines += [_format_note("waiting", note) for note in list_waiting(queue.landing).values()]
    for line in lines or ["no requests yet; ask with: reloads request TABLE FIRST [LAST]"]:
        say(line)


def history(
    table: TABLE,
    day: Annotated[str | None, typer.Argument(help="one day, YYYY-MM-DD; default: all")] = None,
) -> None:
    """List the versions of partitions that are kept, newest last, and the disk space that they use."""
    settings = current_settings()
    definition = open_catalog(settings)[table]
    one_day = parse_day(day) if day else None
    kept = versions(settings, definition, day=one_day)
    if not kept:
        say(f"nothing of {table}{f' on {day}' if day else ''} is published, and nothing is kept")
    for version in kept:
        rows = f"{version.rows:,} rows" if version.rows is not None else "nothing"
        until = "published" if version.replaced_at is None else f"until {version.replaced_at:%Y-%m-%d %H:%M:%S}"
        say(f"{version.partition}  {until}  {rows}  {', '.join(version.requests) or '-'}")
    used = disk_use(settings, definition, day=one_day)
    megabytes = f"{used.history / 1e6:,.1f} MB of history besides {used.published / 1e6:,.1f} MB published"
    say(f"{day or 'all'} of {table}: {megabytes}")


def sql(
    statement: Annotated[str, typer.Argument(help='one SELECT, like "from requests" or "from partitions"')],
    *,
    csv: Annotated[bool, typer.Option("--csv", help="as CSV, whole")] = False,
) -> None:
    """Ask the views: requests (every record), partitions (every file and its provenance), calendar (every day)."""
    from reloads.inspection.sql_query import csv_lines, draw_table, query_views
    from reloads.inspection.sql_views import open_views

    with open_views(current_settings(), query=statement, now=current_time()) as db:
        answer = query_views(db, statement)
        if csv:
            for line in csv_lines(answer):
                say_csv(line)
        else:
            for line in draw_table(answer):
                say(line)


def verify(
    table: Annotated[str | None, typer.Argument(help="a table's name; default: all")] = None,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="mend what can be mended without losing anything")] = False,
) -> None:
    """Check that log, files and folders of the warehouse agree; exit code 1 if something is left to mend."""
    settings = current_settings()
    left = 0
    for finding in find_disagreements(settings, table, is_repairing=repair):
        say(f"{'mended' if finding.is_mended else 'wrong'}: {finding.table}: {finding.sentence}")
        left += not finding.is_mended
    if left:
        raise typer.Exit(1)
    say(f"{table or 'the warehouse'} agrees with its log")


COMMANDS = (status, history, sql, verify)


def _show_table(table: str, *, as_json: bool) -> None:
    """Print the state of the days of a table."""
    settings, now = current_settings(), current_time()
    if as_json:
        for line in json.dumps(calendar_json(settings, table, now=now), indent=1).split("\n"):
            say(line)
        return
    for line in calendar_lines(settings, table, now=now):
        say(line)


def _read_last_ended(queue: Queue) -> list[Record | Note]:
    """The last requests that ended, oldest first. All are read only where the newest endings do not tell."""
    endings = read_endings(queue.landing)
    found: list[Record | Note] = []
    for ending in reversed(endings or []):
        item = _read_ended(queue, ending)
        if item:
            found.append(item)
        if len(found) == SHOWN_ENDED:
            break
    # The others were removed by hand, or nothing has ended since there is a file of endings.
    is_cut = endings is None or (len(found) < SHOWN_ENDED and len(endings) >= KEPT)
    return _read_all_ended(queue)[-SHOWN_ENDED:] if is_cut else sorted(found, key=_ended_at)


def _read_ended(queue: Queue, ending: Ending) -> Record | Note | None:
    """What ended, if it did end and still lies there."""
    if ending.is_rejected:
        return read_note(queue.landing / "rejected" / ending.name)
    location = queue.find(ending.name)
    records = read_records([location.path]) if location and location.state in ENDED_STATES else []
    return records[0] if records else None


def _read_all_ended(queue: Queue) -> list[Record | Note]:
    """All that ended and is not archived, oldest first; a note is read only if it is shown."""
    ended: list[Record | Note] = [*list_notes(queue.landing / "rejected")]
    for state in ENDED_STATES:
        ended += queue.records(state)
    return sorted(ended, key=_ended_at)


def _ended_at(item: Record | Note) -> datetime:
    return item.written_at if isinstance(item, Note) else item.finished_at or item.accepted_at


def _format_record(record: Record, state: str) -> str:
    """One request on one line, what matters first, so that a narrow terminal cuts off nothing that does."""
    failed = len(record.failed_days)
    days = f"{len(record.fulfilled | record.skipped_days)}/{len(record.days)} days"
    days += f" ({failed} failed)" if failed else ""
    when = f"{record.accepted_at:%Y-%m-%d %H:%M:%S}"
    parts = (f"{state:8}", f"{days:12}", f"{record.rows:>10,} rows", record.table, when, record.id, record.reason)
    return "  ".join(part for part in parts if part)


def _format_open() -> list[str]:
    """Each open request, and below it why it is not done yet."""
    settings, now = current_settings(), current_time()
    lines: list[str] = []
    tables: dict[str, Table] = {}
    for record, standing in list_open_requests(settings, now=now):
        # One word of it, as the sentence follows.
        lines.append(_format_record(record, standing.kind.partition("_")[0]))
        if standing.kind != "waiting_for_file":
            lines.append(f"          {standing.sentence}")
        for reason in record.waiting:
            tables = tables or Catalog.load(settings.tables).tables
            lines += [f"          {line}" for line in _format_waiting(record, reason, tables.get(record.table))]
    return lines


def _format_waiting(record: Record, reason: Reason, table: Table | None) -> Iterator[str]:
    """What these days of a request wait for, and whether they are late."""
    days = reason.days & record.outstanding
    due = table.settings.due if table else None
    late = find_late_days(days, due, now=current_time(), time_zone=current_settings().time_zone)
    for some, how in ((days - late, ""), (late, f", late since {due} after the day ended")):
        if some:
            yield f"{some}: {reason.why}{how}"


def _format_ended(item: Record | Note) -> str:
    return _format_note("rejected", item) if isinstance(item, Note) else _format_record(item, describe_ended(item).kind)


def _format_note(state: str, note: Note) -> str:
    return f"{state:8}  {note.written_at:%Y-%m-%d %H:%M:%S}  {note.sentence()}"


def _show_request(queue: Queue, name: str) -> None:
    """Print the record of that id, or what last became of the dropped file of that name."""
    records = find_named(queue, name)
    record = records[-1] if records else None
    note = None if record and record.id == name else find_note(queue.landing / "rejected", name)
    if note and (record is None or record.accepted_at < note.written_at):
        raise RequestError(note.sentence())
    location = queue.find(record.id) if record else None
    if location:
        say(f"{location.state}: {location.path}")
        for line in _read_lines(queue, location.path):
            say(_escape_json(line))
    elif note := list_waiting(queue.landing).get(printable_name(name)):
        say(note.sentence())
    elif name in _waiting_names(queue.landing):
        say(f"{name} is still in the drop folder; is Airflow running and request_partitions on?")
    else:
        raise RequestError(f"{name!r} is not a request; reloads status lists them")


def _read_lines(queue: Queue, path: Path) -> list[str]:
    """The record as its file has it, and its progress while a batch works at it."""
    text = path.read_text(encoding="utf-8").rstrip("\n")
    [record] = with_progress(queue.landing, [read_record(path)], now=current_time())
    if record.progress:
        fields = json.loads(text) | {"progress": record.progress.model_dump(mode="json", exclude_none=True)}
        text = json.dumps(fields, indent=2, ensure_ascii=False)
    return text.split("\n")


def _waiting_names(landing: Path) -> list[str]:
    """The names of the files that wait in the drop folder, as they are and printable."""
    names: list[str] = []
    with suppress(OperatorError):
        for entry in list_request_files(landing):
            names += [entry.name, printable_name(entry.name)]
    return names


def _escape_json(line: str) -> str:
    """The line with what is not printable escaped as JSON has it, so that it stays JSON."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
