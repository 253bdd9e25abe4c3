"""Turns records into what the page shows of them, for one user: what they may see, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends

from reloads.airflow.page.context import ContextDep
from reloads.airflow.page.open_look import OpenRequests
from reloads.airflow.page.paused_dags import PausedDep
from reloads.airflow.page.request_answers import (
    Cause,
    Check,
    Counts,
    DaysAndWhy,
    FailedDays,
    Handiwork,
    Progress,
    RecordState,
    Request,
    RequestDetail,
    Run,
    ShortRequest,
    Standing,
)
from reloads.airflow.page.rights import RightsDep
from reloads.outcome import Reason
from reloads.planning.standing import describe_ended
from reloads.requests.record import Record


class Describer:
    """Turns records into answers for one user; where the open ones stand is found once, when one is asked for."""

    def __init__(self, context: ContextDep, rights: RightsDep, paused: PausedDep) -> None:
        self._context, self._rights, self._paused = context, rights, paused

    @cached_property
    def open_requests(self) -> OpenRequests:
        """All accepted requests by id, each with its progress and with where it stands."""
        context = self._context
        return context.open_look.read(
            context.settings, context.catalog, context.overview.records, now=context.now, paused=self._paused
        )

    def describe(self, records: Iterable[Record]) -> list[Request]:
        """The records that the user may see."""
        return [Request(**self._fields(record)) for record in self._readable(records)]

    def describe_shortly(self, records: Iterable[Record]) -> list[ShortRequest]:
        """The same, with what fits into a line."""
        return [ShortRequest(**self._short_fields(record)) for record in self._readable(records)]

    def describe_whole(self, record: Record, others: Iterable[Record]) -> RequestDetail:
        """One record with all that is known of it."""
        children = [child for name in record.children if (child := self._context.queue.get(name))]
        cause = record.cause if record.cause and self._rights.may_read(record.cause.table) else None
        return RequestDetail(
            **self._fields(record),
            keys={key: list(values) for key, values in record.keys.items()},
            only=record.only,
            cascade=record.cascade,
            parameters=record.parameters,
            cause=Cause(table=cause.table, days=cause.days.texts(), requests=list(cause.requests)) if cause else None,
            planned=_list_reasons(record.planned),
            skipped=_list_reasons(record.skipped),
            waiting=_list_reasons(record.waiting),
            failed=[FailedDays(days=failure.days.texts(), error=failure.error) for failure in record.failed],
            published=record.published.texts(),
            unchanged=record.unchanged.texts(),
            cancelled=record.cancelled.texts(),
            checks=[Check.of(result) for result in record.checks],
            workers=[Handiwork(days=part.days.texts(), worker=part.worker) for part in record.workers],
            children=self.describe_shortly(children),
            others=self.describe_shortly(others),
        )

    def _readable(self, records: Iterable[Record]) -> list[Record]:
        records = list(records)
        seen = self._rights.readable({record.table for record in records})
        return [record for record in records if record.table in seen]

    def _short_fields(self, record: Record) -> dict[str, Any]:
        return {
            "id": record.id,
            "table": record.table,
            "state": state_of_record(record),
            "standing": self._find_standing(record),
            "counts": Counts.of(record),
        }

    def _fields(self, record: Record) -> dict[str, Any]:
        dag_id = self._context.settings.names.rewrite_dag(record.table)
        return self._short_fields(record) | {
            "mode": record.mode,
            "days": record.days.texts(),
            "progress": self._find_progress(record),
            "rows": record.rows,
            "rows_before": record.rows_before,
            "bytes": record.bytes,
            "seconds": record.seconds,
            "reason": record.reason,
            "requested_by": record.requested_by,
            "file": record.file,
            "accepted_at": record.accepted_at,
            "finished_at": record.finished_at,
            "may_steer": self._rights.may_steer(record.table),
            "runs": [Run(run=run, path=path_of_run(dag_id, run)) for run in record.runs],
            "error": record.failed[0].error if record.failed else None,
        }

    def _find_standing(self, record: Record) -> Standing:
        if not record.outstanding:
            standing = describe_ended(record)
        elif record.id in self.open_requests:
            _, standing = self.open_requests[record.id]
        else:
            # It was accepted, or ended, while this was looked at.
            return Standing(kind="queued", sentence=f"{record.id} was accepted just now")
        return Standing(kind=standing.kind, sentence=standing.sentence)

    def _find_progress(self, record: Record) -> Progress | None:
        if not record.outstanding or record.id not in self.open_requests:
            return None
        progress = self.open_requests[record.id][0].progress
        return Progress.model_validate(progress, from_attributes=True) if progress else None


DescriberDep = Annotated[Describer, Depends()]


def state_of_record(record: Record) -> RecordState:
    """The folder in which it belongs."""
    if record.outstanding:
        return "accepted"
    if record.failed:
        return "failed"
    return "cancelled" if record.cancelled else "done"


def path_of_run(dag_id: str, run: str) -> str | None:
    """Where Airflow shows the run; None for a run of a command or of an undo, which is not Airflow's."""
    return None if "/" in run else f"/dags/{dag_id}/runs/{quote(run, safe='')}"


def _list_reasons(reasons: Iterable[Reason]) -> list[DaysAndWhy]:
    return [DaysAndWhy(days=reason.days.texts(), why=reason.why) for reason in reasons]
