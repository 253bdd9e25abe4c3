"""What the end of a request is to whoever wants word of it, and the note of it for the outbox."""

from __future__ import annotations

import json

from reloads.requests.outbox import Note
from reloads.requests.record import Record
from reloads.settings import Event


def find_events(record: Record) -> set[Event]:
    """What there is to tell: days of it failed, days were refused by a check, or all went well; nothing of a cancel."""
    if not record.failed:
        return set() if record.cancelled else {"done"}
    events: set[Event] = set()
    if record.refused_days:
        events.add("refused")
    if record.failed_days - record.refused_days:
        events.add("failed")
    return events


def end_note(record: Record, state: str) -> Note:
    """The note that a record is about to come to that state.

    One that failed and is finished by a cleared task ends once more: in another state, and so with another name.
    """
    at = record.finished_at or record.accepted_at
    return Note("ended", f"{record.id} {state}", at, json.loads(record.to_json()))
