"""A request as ``--json`` prints it, with the names of the page's API; and its days in a few words."""

from __future__ import annotations

from typing import Any

from reloads.planning.standing import Standing
from reloads.requests.notes import Note
from reloads.requests.queue import State
from reloads.requests.record import Record


def request_values(record: Record, state: State, standing: Standing) -> dict[str, Any]:
    """One request, short."""
    return {
        "id": record.id,
        "table": record.table,
        "state": state,
        "standing": {"kind": standing.kind, "sentence": standing.sentence},
        "counts": counts_of(record),
        "mode": record.mode,
        "days": record.days,
        "progress": record.progress.model_dump() if record.progress else None,
        "rows": record.rows,
        "bytes": record.bytes,
        "seconds": record.seconds,
        "elapsed_seconds": elapsed_seconds(record),
        "reason": record.reason,
        "requested_by": record.requested_by,
        "file": record.file,
        "accepted_at": record.accepted_at,
        "finished_at": record.finished_at,
        "children": list(record.children),
        "runs": list(record.runs),
        "workers": [{"days": part.days, "worker": part.worker} for part in record.workers],
        "error": record.failed[0].error if record.failed else None,
    }


def note_values(note: Note, state: str) -> dict[str, Any]:
    """A dropped file that is not a request: its sentence."""
    return {"state": state, "name": note.label, "at": note.written_at, "sentence": note.sentence()}


def counts_of(record: Record) -> dict[str, int]:
    """Days of the request, by what came of them."""
    return {
        "asked": len(record.days),
        "published": len(record.published),
        "unchanged": len(record.unchanged),
        "failed": len(record.failed_days),
        "skipped": len(record.skipped_days),
        "cancelled": len(record.cancelled),
        "waiting": len(record.waiting_days & record.outstanding),
        "left": len(record.outstanding),
    }


def ended_state(record: Record) -> State:
    """The folder in which a request lies of which no day is left."""
    if record.failed:
        return "failed"
    return "cancelled" if record.cancelled else "done"


def elapsed_seconds(record: Record) -> float | None:
    """From its acceptance to its end; the clocks of two machines may differ."""
    if record.finished_at is None:
        return None
    return max((record.finished_at - record.accepted_at).total_seconds(), 0.0)


def days_done(record: Record) -> str:
    """``3/4 days (1 failed)``."""
    done = len(record.fulfilled | record.skipped_days)
    failed = len(record.failed_days)
    return f"{done}/{len(record.days)} days" + (f" ({failed} failed)" if failed else "")
