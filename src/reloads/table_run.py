"""One run of one table: plan what is outstanding, rewrite each batch, settle what came of it.

Airflow runs these steps as tasks, the command line in one process. Each can be run twice: a crash between two of them
repeats work and loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reloads.carry import carry_on
from reloads.catalog import Catalog
from reloads.days import Days
from reloads.hold import workable
from reloads.lineage import Lineage
from reloads.outcome import Failure, Outcome
from reloads.owe import ask_for_rest
from reloads.plan import Limits, Piece, make_plan
from reloads.queue import Queue
from reloads.record import Record
from reloads.scope import Scope
from reloads.settings import Settings
from reloads.staging import remove_abandoned
from reloads.table import Table, load_table
from reloads.triage import triage
from reloads.upkeep import remove_expired

SHOWN_RANGES = 3
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """A piece of a plan, the requests it is rewritten for, each with its days, and how many batches share the machine.

    ``quiet`` are the days that the tables that read this one are not to follow.
    """

    piece: Piece
    requests: Mapping[str, Days]
    of: int
    number: int = 0
    quiet: Days = field(default_factory=Days)

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom; ``label`` is what the UI shows."""
        return {
            "label": label(self.piece),
            "number": self.number,
            "days": self.piece.days.texts(),
            "scope": self.piece.scope.to_json(),
            "parameters": dict(self.piece.parameters),
            "requests": {name: days.texts() for name, days in self.requests.items()},
            "quiet": self.quiet.texts(),
            "of": self.of,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Batch:
        """The inverse of ``to_json``."""
        piece = Piece(Days.parse(value["days"]), Scope.from_json(value["scope"]), value["parameters"])
        requests = {name: Days.parse(texts) for name, texts in value["requests"].items()}
        return cls(piece, requests, value["of"], value["number"], Days.parse(value["quiet"]))


@dataclass(frozen=True)
class Settled:
    """What a run came to."""

    published: Days
    failed: tuple[Failure, ...]
    announce: tuple[Record, ...]
    """Requests, of this table and of those that read it, that wake the next runs."""


def plan_batches(settings: Settings, table: str, *, now: datetime) -> list[Batch]:
    """The batches of the next run of ``table``, from all its outstanding requests; empty if there is nothing to do."""
    remove_abandoned(settings.warehouse)
    remove_expired(settings, table, now=now)
    definition = load_table(settings.tables, table)
    # What a crash between publishing and settling left untold.
    carry_on(settings, table, now=now)
    ask_for_rest(settings, definition, now=now)
    queue = Queue(settings.landing)
    everything = queue.records("accepted")
    mine = [record for record in everything if record.table == table]
    queue.attend(mine)
    lineage = Catalog.load(settings.tables).lineage
    now_wanted = workable(mine, everything=everything, lineage=lineage)
    if waiting := [record.id for record in mine if record.id not in {one.id for one in now_wanted}]:
        log.info("%s: %s wait for the tables that this one reads", table, ", ".join(waiting))
    wanted, own = triage(settings, definition, now_wanted, now=now)
    plan = make_plan(wanted, limits=_limits(settings, definition), own=own)
    count = sum(len(piece.days) for piece in plan.pieces)
    log.info("%s: %d partitions in %d batches, %d left for the next run", table, count, len(plan.pieces), plan.left)
    return [batch_of(wanted, piece, number, len(plan.pieces)) for number, piece in enumerate(plan.pieces)]


def batch_of(records: Sequence[Record], piece: Piece, number: int, of: int) -> Batch:
    """The batch of a piece, for those of ``records`` that want some of its days."""
    wanting = [(record, both) for record in records if (both := record.outstanding & piece.days)]
    loud = Days.parse(text for record, days in wanting if record.cascade for text in days.texts())
    return Batch(piece, {record.id: days for record, days in wanting}, of, number, piece.days - loud)


def _limits(settings: Settings, table: Table) -> Limits:
    limits = table.settings
    return Limits(
        partitions_per_run=limits.partitions_per_run,
        parallelism=limits.parallelism or min(settings.threads, settings.tasks_at_once),
        days_per_batch=limits.days_per_batch,
        key_slices=limits.key_slices,
    )


def settle_batches(
    settings: Settings,
    table: str,
    batches: Sequence[Mapping[str, Any]],
    outcomes: Iterable[Mapping[str, Any]],
    *,
    run: str,
    now: datetime,
) -> Settled:
    """Write down what became of each request, move the finished ones, and ask the tables that read this one to follow.

    Days of a batch that left no outcome (its task was killed, and so were its retries) count as failed. Only requests
    that were planned make progress: one accepted later wants data of after its acceptance.
    """
    planned = [Batch.from_json(batch) for batch in batches or ()]
    outcome = _together(planned, [Outcome.model_validate(found) for found in outcomes if found], run)
    queue = Queue(settings.landing)
    # Before the requests are done, so that whoever waits for all to be done sees what follows from them.
    carry_on(settings, table, now=now)
    ask_for_rest(settings, load_table(settings.tables, table), now=now)
    requests = {request for batch in planned for request in batch.requests}
    finished = (record.id for record in queue.outstanding(table) if not record.outstanding)
    for record_id in sorted(requests.union(finished)):
        record = queue.settle(record_id, outcome if record_id in requests else Outcome(), run=run, now=now)
        if record:
            log.info("request %s", record.progress())
    return Settled(outcome.published, outcome.failed, _next(settings, table))


def _together(planned: Sequence[Batch], found: Sequence[Outcome], run: str) -> Outcome:
    outcome = sum(found, start=Outcome())
    answered = {one.batch for one in found}
    silent = Days.parse(text for batch in planned if batch.number not in answered for text in batch.piece.days.texts())
    if silent:
        error = f"the task ended without a result, it was killed or stopped; read its log in the run {run}"
        outcome += Outcome(failed=(Failure(days=silent, error=error, transient=True),))
    return outcome


def _next(settings: Settings, table: str) -> tuple[Record, ...]:
    """One request for each table that has something to do now: this one, its readers, and those that waited for it."""
    queue, lineage = Queue(settings.landing), Catalog.load(settings.tables).lineage
    everything = queue.records("accepted")
    concerned = {table, *_downstream(lineage, table)}
    mine = [record for record in everything if record.table in concerned]
    ready = workable(mine, everything=everything, lineage=lineage)
    queue.attend(ready)
    return tuple({record.table: record for record in reversed(ready)}.values())


def _downstream(lineage: Lineage, table: str) -> set[str]:
    readers = set(lineage.readers(table))
    return readers.union(*(_downstream(lineage, reader) for reader in readers))


def label(piece: Piece) -> str:
    """The days in a few words, and which of their keys."""
    days = piece.days
    shown = ", ".join(days.texts()[:SHOWN_RANGES]) + (", …" if len(days.ranges) > SHOWN_RANGES else "")
    text = shown if len(days) == 1 else f"{shown} ({len(days)} days)"
    return f"{text}, {piece.scope}" if str(piece.scope) else text
