"""How far the batches at work have come with each request: what their notes say, joined to the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from reloads.days import Days
from reloads.progress import STEPS
from reloads.requests.batch_notes import NotedBatch, read_batches
from reloads.requests.record import Progress, Record


def with_progress(landing: Path, records: Iterable[Record], *, now: datetime) -> list[Record]:
    """The records, those that batches work at with their ``progress``."""
    return add_progress(records, read_batches(landing, now=now))


def add_progress(records: Iterable[Record], batches: Iterable[NotedBatch]) -> list[Record]:
    """The records with the ``progress`` that these batches give them; a record that ended has none."""
    batches_by_request: dict[str, list[NotedBatch]] = {}
    for batch in batches:
        for request in batch.batch.requests:
            batches_by_request.setdefault(request, []).append(batch)
    added: list[Record] = []
    for record in records:
        progress = _add_up(record, batches_by_request.get(record.id, ()))
        added.append(record if progress == record.progress else record.model_copy(update={"progress": progress}))
    return added


def _add_up(record: Record, batches: Sequence[NotedBatch]) -> Progress | None:
    """The progress of all batches of a record; None where none of its outstanding days is rewritten.

    A day of which several batches write parts is staged once all of them have written theirs.
    """
    outstanding = record.outstanding if batches else Days()
    days, unstaged, rows = Days(), Days(), 0
    at_work: list[NotedBatch] = []
    for noted in batches:
        batch_days = noted.batch.requests[record.id] & noted.batch.days & outstanding
        if not batch_days:
            continue
        at_work.append(noted)
        days |= batch_days
        unstaged |= batch_days - noted.progress.staged
        # Thousands of requests may ask for all days of a batch, or for a few of them.
        if len(batch_days) == len(noted.batch.days):
            rows += noted.progress.rows
        else:
            rows += noted.progress.count_rows(batch_days)
    if not at_work:
        return None
    slowest = min(at_work, key=lambda noted: (STEPS.index(noted.progress.step), noted.progress.percent or 0))
    return Progress(
        days=len(days),
        staged=len(days - unstaged),
        rows=rows,
        step=slowest.progress.step,
        percent=slowest.progress.percent,
        run=slowest.run,
        at=max(noted.at for noted in at_work),
    )
