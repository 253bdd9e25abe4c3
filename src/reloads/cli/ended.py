"""Which requests and rejected files ended last, or all of them."""

from __future__ import annotations

from datetime import datetime

from reloads.requests.endings import KEPT, Ending, read_endings
from reloads.requests.notes import Note, list_notes, read_note
from reloads.requests.queue import Queue, State
from reloads.requests.record import Record
from reloads.requests.record_file import read_records

SHOWN_ENDED = 10
ENDED_STATES: tuple[State, ...] = ("done", "failed", "cancelled")


def read_last_ended(queue: Queue) -> list[Record | Note]:
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
    return read_all_ended(queue)[-SHOWN_ENDED:] if is_cut else sorted(found, key=_ended_at)


def read_all_ended(queue: Queue) -> list[Record | Note]:
    """All that ended and is not archived, oldest first; a note is read only if it is shown."""
    ended: list[Record | Note] = [*list_notes(queue.landing / "rejected")]
    for state in ENDED_STATES:
        ended += queue.records(state)
    return sorted(ended, key=_ended_at)


def _read_ended(queue: Queue, ending: Ending) -> Record | Note | None:
    """What ended, if it did end and still lies there."""
    if ending.is_rejected:
        return read_note(queue.landing / "rejected" / ending.name)
    location = queue.find(ending.name)
    records = read_records([location.path]) if location and location.state in ENDED_STATES else []
    return records[0] if records else None


def _ended_at(item: Record | Note) -> datetime:
    return item.written_at if isinstance(item, Note) else item.finished_at or item.accepted_at
