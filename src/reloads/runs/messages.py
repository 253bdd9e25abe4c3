"""What a message says: one for each note of the outbox, as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from reloads.days import Days
from reloads.errors import one_line, printable, shorten
from reloads.names import PAGE
from reloads.requests.end_note import find_events
from reloads.requests.outbox import Note
from reloads.requests.record import Record
from reloads.settings import Event

Level = Literal["failure", "warning", "success"]
REASONS = 5
REASON_CHARACTERS = 500


@dataclass(frozen=True)
class Message:
    """What somebody is told."""

    events: frozenset[Event]
    """What it is about; it goes to whoever wants one of these."""
    table: str | None
    """None of a file that was rejected: which table it meant is not known."""
    level: Level
    title: str
    body: str


def compose(note: Note, *, page_url: str) -> Message:
    """The message of that note, with a link below that address; raises ``ValueError`` for a note of another release."""
    if note.kind == "ended":
        return _describe_end(Record.model_validate(note.content), page_url)
    if note.kind == "rejected":
        return _describe_rejection(note.content, page_url)
    return _describe_days(note, page_url)


def _describe_end(record: Record, page_url: str) -> Message:
    events = find_events(record)
    level: Level = "failure" if events & {"failed", "refused"} else "success"
    lines = [f"Request {record.describe_progress()}."]
    if record.requested_by or record.reason:
        who, why = record.requested_by, record.reason
        lines.append("Asked for" + (f" by {who}" if who else "") + (f": {why}" if why else "") + ".")
    days_by_error: dict[str, Days] = {}
    for failure in record.failed:
        days_by_error[failure.error] = days_by_error.get(failure.error, Days()) | failure.days
    reasons = [f"{days}: {error}" for error, days in days_by_error.items()]
    lines += [shorten(reason, REASON_CHARACTERS) for reason in reasons[:REASONS]]
    if len(reasons) > REASONS:
        lines.append(f"and {len(reasons) - REASONS} more reasons")
    link = _link(page_url, view="requests", id=record.id)
    return Message(frozenset(events), record.table, level, _summarize(record), _text([*lines, link]))


def _summarize(record: Record) -> str:
    """The title: how many days, and what became of them."""
    failed, refused, asked = record.failed_days, record.refused_days, len(record.days)
    if not failed:
        return f"{record.table}: {record.days} done"
    days = f"{len(failed)} of {asked} days" if asked > 1 else str(record.days)
    if not refused:
        return f"{record.table}: {days} failed"
    if refused == failed:
        return f"{record.table}: {days} refused by a check"
    return f"{record.table}: {days} failed, {len(refused)} of them refused by a check"


def _describe_rejection(content: Mapping[str, Any], page_url: str) -> Message:
    title = f"request file {shorten(str(content['file']))} rejected"
    body = _text([shorten(str(content["sentence"]), 2 * REASON_CHARACTERS), _link(page_url, view="requests")])
    return Message(frozenset({"rejected"}), None, "warning", printable(title), body)


def _describe_days(note: Note, page_url: str) -> Message:
    table, due = str(note.content["table"]), str(note.content["due"])
    days = Days.parse(note.content["days"])
    link = _link(page_url, table=table, day=str(days.ranges[-1].last))
    if note.kind == "came":
        text = f"{days}, which was late, is published now."
        return Message(frozenset({"done"}), table, "success", f"{table}: {days} came", _text([text, link]))
    text = f"{days} is not published, and was due {due} after the end of the day."
    return Message(frozenset({"late"}), table, "warning", f"{table}: {days} is late", _text([text, link]))


def _link(page_url: str, **place: str) -> str:
    return f"{page_url}/plugin/{PAGE}?{urlencode(place)}" if page_url else ""


def _text(lines: list[str]) -> str:
    return "\n".join(printable(one_line(line)) for line in lines if line)
