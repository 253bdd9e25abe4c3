"""Standing: why a request is not done yet, in one word and one sentence that names what it waits for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from reloads.days import Days
from reloads.errors import one_line
from reloads.names import Names
from reloads.planning.runnable_requests import Hold, Holds
from reloads.planning.selection import find_waiting
from reloads.requests.record import Progress, Record
from reloads.tables.catalog import Catalog
from reloads.tables.raw_files import RawFiles

Kind = Literal["running", "paused", "waiting_for_file", "waiting_for_input", "queued", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Standing:
    """Where a request stands."""

    kind: Kind
    sentence: str


def find_standings(
    records: Sequence[Record], *, catalog: Catalog, raw: RawFiles, names: Names, paused: Collection[str] = ()
) -> dict[str, Standing]:
    """Where each open request stands, by id; ``records`` are all that are accepted, oldest first, with their progress.

    The first that applies: a batch rewrites days of it; its table is among the ``paused`` ones; all days that are left
    wait for raw files, or for other requests; else the next run takes it.
    """
    waiting = find_waiting(records, catalog, raw=raw)
    holds = Holds(records, catalog.lineage, waiting)
    busy = {record.table for record in records if record.progress}
    standings: dict[str, Standing] = {}
    for hold in holds.find(records):
        record = hold.record
        if not record.outstanding:
            standings[record.id] = describe_ended(record)
        elif record.progress:
            standings[record.id] = Standing("running", describe_progress(record.progress))
        elif record.table in paused:
            standings[record.id] = Standing(
                "paused", f"the DAG {names.rewrite_dag(record.table)} is paused; unpause it"
            )
        else:
            standings[record.id] = _describe_hold(hold, holds, names, paused) or _describe_turn(
                record, catalog, names, busy
            )
    return standings


def describe_ended(record: Record) -> Standing:
    """Where a request stands of which no day is left."""
    if record.failed:
        days = Days.union(failure.days for failure in record.failed)
        return Standing("failed", f"{_count(days, record)} failed: {record.failed[0].error}")
    if record.cancelled:
        return Standing("cancelled", f"{_count(record.cancelled, record)} {_were(record)} given up")
    return Standing("done", f"{_count(record.published, record)} {_were(record)} published")


def _count(days: Days, record: Record) -> str:
    """``2 of 3 days``."""
    return f"{len(days)} of {len(record.days)} day{'' if len(record.days) == 1 else 's'}"


def _were(record: Record) -> str:
    return "was" if len(record.days) == 1 else "were"


def describe_progress(progress: Progress) -> str:
    """How far the batches of a request are, in one sentence."""
    read = "" if progress.percent is None else f", {progress.percent} % read"
    counts = f"{progress.staged} of {progress.days} days staged, {progress.rows:,} rows"
    return f"{counts}; {progress.step}{read}, by {progress.run}"


def _describe_hold(hold: Hold, holds: Holds, names: Names, paused: Collection[str]) -> Standing | None:
    """Why no day of a request can be rewritten now; None if one can."""
    record = hold.record
    if record.outstanding - hold.days:
        return None
    if not record.outstanding - hold.for_files:
        return Standing("waiting_for_file", _describe_files(record, hold.for_files))
    awaited = holds.find_awaited(record) if hold.after_inputs else None
    if awaited:
        dag = names.rewrite_dag(awaited.table)
        cure = f", whose DAG {dag} is paused; unpause it" if awaited.table in paused else ""
        return Standing("waiting_for_input", f"it waits for the request {awaited.id} for {awaited.table}{cure}")
    sentence = f"it waits behind {hold.behind_request}, which sets other parameters for {record.table} and waits itself"
    return Standing("waiting_for_input", sentence)


def _describe_files(record: Record, days: Days) -> str:
    """What the first of these days wait for, and how many wait for something else."""
    reason = next(reason for reason in record.waiting if reason.days & days)
    others = days - reason.days
    text = f"{reason.days & days}: {reason.why}"
    return f"{text}; {others} wait for other files" if others else text


def _describe_turn(record: Record, catalog: Catalog, names: Names, busy: Collection[str]) -> Standing:
    if not catalog.is_loadable(record.table):
        error = catalog.broken.get(record.table)
        fault = f"is broken ({one_line(error)}); mend its folder" if error else "cannot be loaded; mend what it reads"
        if not catalog.has(record.table):
            fault = "is not there any more; put its folder back, or the request fails"
        return Standing("queued", f"the table {record.table} {fault}")
    behind = f" after the one that is at work for {record.table}" if record.table in busy else ""
    dag = names.rewrite_dag(record.table)
    return Standing("queued", f"it waits for its turn: the next run of {dag} takes it{behind}")
