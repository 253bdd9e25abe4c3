"""``reloads status``: all requests that are open or wait and the last that ended, one of them, or a table's days."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from reloads.cli.answer import Answer, Cell, Column, Facts, Grid, Lines, Row
from reloads.cli.at_work import describe_absence
from reloads.cli.calendar import answer_calendar
from reloads.cli.completion import complete_request_or_table
from reloads.cli.console import current_settings, current_time
from reloads.cli.ended import read_all_ended, read_last_ended
from reloads.cli.outcome import describe_outcome
from reloads.cli.request_values import days_done, ended_state, note_values, request_values
from reloads.errors import OperatorError, RequestError
from reloads.files import printable_name
from reloads.inspection.open_requests import list_open_requests
from reloads.outcome import Reason
from reloads.planning.standing import Standing, describe_ended
from reloads.requests.drop_folder import list_request_files
from reloads.requests.lookup import find_named, resolve
from reloads.requests.notes import Note, find_note, list_waiting
from reloads.requests.progress import with_progress
from reloads.requests.queue import Location, Queue
from reloads.requests.record import Record
from reloads.requests.record_file import read_record
from reloads.settings import Settings
from reloads.tables.arrival_settings import find_late_days
from reloads.tables.catalog import Catalog
from reloads.tables.definition import TABLE_NAME, Table

COLUMNS = (
    Column("state"),
    Column("request"),
    Column("days"),
    Column("table"),
    Column("rows", is_number=True),
    Column("accepted"),
    Column("by"),
)


def status(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|TABLE",
            help="an id, how it begins, a dropped file's name, or a table",
            autocompletion=complete_request_or_table,
        ),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="the ended ones too, not only the last ten")] = False,
) -> Answer:
    """Show requests, one of them, or the days of a table.

    Without a name: all that are open or wait, why each is not done, and the last ten that ended.
    """
    settings = current_settings()
    if not settings.tables.is_dir() and not settings.landing.is_dir():
        cure = "set RELOADS_HOME, or go to its folder"
        raise OperatorError(f"{settings.home} has no landing and no tables, so it is not a project; {cure}")
    queue = Queue(settings.landing)
    if what and TABLE_NAME.fullmatch(what) and (settings.tables / what).is_dir():
        return answer_calendar(settings, what, now=current_time())
    if what is not None:
        return _answer_request(settings, queue, what)
    return _answer_list(settings, queue, read_all_ended(queue) if everything else read_last_ended(queue))


def _answer_list(settings: Settings, queue: Queue, ended: Sequence[Record | Note]) -> Answer:
    now = current_time()
    rows: list[Row] = []
    values: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for item in ended:
        if isinstance(item, Note):
            rows.append(_note_row("rejected", item))
            rejected.append(note_values(item, "rejected"))
        else:
            rows.append(_ended_row(item))
            values.append(_ended_values(item))
    open_requests = list_open_requests(settings, now=now)
    tables: dict[str, Table] = {}
    for record, standing in open_requests:
        if record.waiting:
            tables = tables or Catalog.load(settings.tables).tables
        notes = list(_why_open(settings, record, standing, tables.get(record.table), now=now))
        rows.append(_request_row(record, standing.kind.partition("_")[0], notes))
        values.append(request_values(record, "accepted", standing))
    waiting = list_waiting(queue.landing)
    rows += [_note_row("waiting", note) for note in waiting.values()]
    dropped = [name for name in _dropped_names(settings.landing) if name not in waiting]
    rows += [Row(("dropped", name, None, None, None, None, None), ("nobody took it yet",)) for name in dropped]
    is_work_left = bool(open_requests or waiting or dropped)
    sentence = _describe_state(settings, is_work_left=is_work_left, is_anything=bool(rows), now=now)
    value = {
        "requests": values,
        "rejected": rejected,
        "waiting": [note_values(note, "waiting") | {"name": name} for name, note in waiting.items()],
        "dropped": dropped,
        "sentence": sentence,
    }
    return Answer(value, [Grid(COLUMNS, rows, rest="--json shows all"), Lines([sentence] if sentence else [])])


def _describe_state(settings: Settings, *, is_work_left: bool, is_anything: bool, now: datetime) -> str | None:
    """What a person has to know beside the list: that nobody is at work, or how to ask."""
    if is_work_left:
        return describe_absence(settings.landing, now=now)
    return None if is_anything else "no requests yet; ask with: reloads request TABLE FIRST [LAST]"


def _request_row(record: Record, state: str, notes: Sequence[str]) -> Row:
    cells = (
        state,
        record.id,
        days_done(record),
        record.table,
        record.rows,
        record.accepted_at,
        record.requested_by,
    )
    return Row(cells, (*notes, *([record.reason] if record.reason else [])))


def _ended_row(record: Record) -> Row:
    standing = describe_ended(record)
    return _request_row(record, standing.kind, [standing.sentence] if record.failed else [])


def _ended_values(record: Record) -> dict[str, Any]:
    return request_values(record, ended_state(record), describe_ended(record))


def _note_row(state: str, note: Note) -> Row:
    return Row((state, note.label, None, None, None, note.written_at, None), (note.sentence(),))


def _why_open(
    settings: Settings, record: Record, standing: Standing, table: Table | None, *, now: datetime
) -> Iterator[str]:
    """Why it is not done yet; what its days wait for, and whether they are late."""
    if standing.kind != "waiting_for_file":
        yield standing.sentence
    for reason in record.waiting:
        yield from _describe_waiting(settings, record, reason, table, now=now)


def _describe_waiting(
    settings: Settings, record: Record, reason: Reason, table: Table | None, *, now: datetime
) -> Iterator[str]:
    days = reason.days & record.outstanding
    due = table.settings.due if table else None
    late = find_late_days(days, due, now=now, time_zone=settings.time_zone)
    for some, how in ((days - late, ""), (late, f", late since {due} after the day ended")):
        if some:
            yield f"{some}: {reason.why}{how}"


def _answer_request(settings: Settings, queue: Queue, name: str) -> Answer:
    """The record of that id, or what last became of the dropped file of that name."""
    records = find_named(queue, name) or find_named(queue, resolve(queue, name))
    record = records[-1] if records else None
    note = None if record and record.id == name else find_note(queue.landing / "rejected", name)
    if note and (record is None or record.accepted_at < note.written_at):
        raise RequestError(note.sentence())
    location = queue.find(record.id) if record else None
    if location:
        return _answer_record(settings, queue, location)
    if note := list_waiting(queue.landing).get(printable_name(name)):
        return Answer(note_values(note, "waiting"), [Lines([note.sentence()])])
    if printable_name(name) in _dropped_names(queue.landing):
        absence = describe_absence(queue.landing, now=current_time())
        cause = absence or f"see whether {current_settings().names.intake_dag} is paused"
        sentence = f"{printable_name(name)} is still in the drop folder; {cause}"
        return Answer({"state": "dropped", "name": printable_name(name), "sentence": sentence}, [Lines([sentence])])
    raise RequestError(f"{name!r} is not a request; reloads status lists them")


def _answer_record(settings: Settings, queue: Queue, location: Location) -> Answer:
    [record] = with_progress(queue.landing, [read_record(location.path)], now=current_time())
    standing = describe_ended(record)
    if record.outstanding:
        for each, its_standing in list_open_requests(settings, now=current_time()):
            standing = its_standing if each.id == record.id else standing
    value = json.loads(record.to_json()) | {"state": location.state, "path": location.path}
    value["standing"] = {"kind": standing.kind, "sentence": standing.sentence}
    if record.progress:
        value["progress"] = record.progress.model_dump(mode="json")
    facts: list[tuple[str, Cell | Sequence[str]]] = [
        ("request", record.id),
        ("state", location.state),
        ("why", standing.sentence if record.outstanding else None),
        ("outcome", None if record.outstanding else describe_outcome(record)),
        ("table", record.table),
        ("days", record.days.texts()),
        ("asked by", record.requested_by),
        ("how", record.mode),
        ("file", record.file),
        ("reason", record.reason),
        ("keys", [f"{key}={','.join(values)}" for key, values in record.keys.items()]),
        ("parameters", [f"{name}={value}" for name, value in record.parameters.items()]),
        ("accepted", record.accepted_at),
        ("finished", record.finished_at),
        ("follows", f"{record.cause.table} {record.cause.days}" if record.cause else None),
        ("planned", [f"{reason.days}: {reason.why}" for reason in record.planned]),
        ("skipped", [f"{reason.days}: {reason.why}" for reason in record.skipped]),
        ("waiting", [f"{reason.days}: {reason.why}" for reason in record.waiting]),
        ("published", record.published.texts()),
        ("unchanged", record.unchanged.texts()),
        ("cancelled", record.cancelled.texts()),
        ("failed", [f"{failure.days}: {failure.error}" for failure in record.failed]),
        ("checks", [result.sentence() for result in record.checks]),
        ("followed by", list(record.children)),
        ("runs", list(record.runs)),
        ("rewritten by", [f"{part.worker}: {part.days}" for part in record.workers]),
        ("record", str(location.path)),
    ]
    return Answer(value, [Facts(facts)])


def _dropped_names(landing: Path) -> list[str]:
    """The printable names of the files that wait in the drop folder."""
    names: list[str] = []
    with suppress(OperatorError):
        for entry in list_request_files(landing):
            names.append(printable_name(entry.name))
    return names


COMMANDS = {
    status: [
        ("status", "what is going on?"),
        ("status march", "one request, by how its id begins"),
        ("status march.json", "what became of a dropped file"),
        ("status flights", "the days of a table"),
        ("status --json | jq '.requests[].id'", "for programs"),
    ]
}
