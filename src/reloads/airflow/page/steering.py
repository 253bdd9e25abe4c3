"""Steering what was asked for: cancel, retry, undo, and what an undo would put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from reloads.airflow.metrics import counted_endings
from reloads.airflow.page.context import Context, ContextDep
from reloads.airflow.page.refusals import conflict, forbidden
from reloads.airflow.page.request_answers import Request
from reloads.airflow.page.request_describer import DescriberDep
from reloads.airflow.page.requests import find_readable, unknown_request
from reloads.airflow.page.rights import Rights, RightsDep
from reloads.errors import ReloadsError
from reloads.inspection.undo_preview import preview_undo
from reloads.requests.control import cancel_request, retry_request
from reloads.requests.lookup import find_named
from reloads.requests.neglect import knock
from reloads.requests.record import Record
from reloads.runs.undo import undo_request

router = APIRouter(tags=["steering"])


class Files(BaseModel):
    """The files that ask again."""

    files: list[str]


class UndoOptions(BaseModel):
    """How far an undo goes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    force: bool = Field(False, description="partitions that a later request rewrote, too")


class Undone(BaseModel):
    """What an undo did."""

    requests: list[Request] = Field(description="the undos, one for each table; they can be undone, too")
    kept: list[str] = Field(description="what was not put back, and why")


class PutBack(BaseModel):
    """A partition that would be put back."""

    table: str
    partition: str
    rows_now: int
    rows_after: int | None = Field(description="null where there was nothing before: it would be removed")


class Later(BaseModel):
    """A partition that somebody rewrote later."""

    table: str
    partition: str
    request: str = Field(description="by which request")


class UndoPreview(BaseModel):
    """What an undo would do now."""

    sentence: str | None = Field(description="why nothing can be put back")
    back: list[PutBack]
    later: list[Later]
    expired: list[str] = Field(description="partitions whose earlier version is not kept any more")


@router.post("/requests/{id_or_file}/cancel")
def cancel(id_or_file: str, context: ContextDep, rights: RightsDep, describer: DescriberDep) -> Request:
    """Give up what is outstanding: nothing more of it is published, also by batches that run."""
    _require_steerable(id_or_file, context, rights)
    with _conflicts(), counted_endings():
        cancelled = cancel_request(context.queue, id_or_file, now=context.now)
    return describer.describe(cancelled)[0]


@router.post("/requests/{id_or_file}/retry")
def retry(id_or_file: str, context: ContextDep, rights: RightsDep) -> Files:
    """Ask again for what is missing from a failed or cancelled request."""
    _require_steerable(id_or_file, context, rights)
    with _conflicts():
        return Files(files=retry_request(context.queue, id_or_file))


@router.get("/requests/{id_or_file}/undo")
def show_undo(id_or_file: str, context: ContextDep, rights: RightsDep, *, force: bool = False) -> UndoPreview:
    """Say what an undo would put back. Nothing is written."""
    _find_all_readable(id_or_file, context, rights)
    with _conflicts():
        found = preview_undo(context.settings, context.catalog, id_or_file, force=force)
    return UndoPreview(
        sentence=found.sentence,
        back=[
            PutBack(table=each.table, partition=each.partition, rows_now=each.rows_now, rows_after=each.rows_after)
            for each in found.back
        ],
        later=[Later(table=each.table, partition=each.partition, request=each.request) for each in found.later],
        expired=list(found.expired),
    )


@router.post("/requests/{id_or_file}/undo")
def undo(
    id_or_file: str, options: UndoOptions, context: ContextDep, rights: RightsDep, describer: DescriberDep
) -> Undone:
    """Put back what a request replaced; the tables that read it follow. It can itself be undone."""
    _require_steerable(id_or_file, context, rights)
    kept: list[str] = []
    with _conflicts(), counted_endings():
        records = undo_request(
            context.settings, id_or_file, force=options.force, now=context.now, by=rights.name, say=kept.append
        )
    children: list[Record] = []
    for record in records:
        kept += [f"{record.table}: {reason.days} kept, {reason.why}" for reason in record.skipped]
        children += [child for name in record.children if (child := context.queue.get(name))]
    knock(context.queue, children)
    return Undone(requests=describer.describe(records), kept=kept)


def _find_all_readable(id_or_file: str, context: Context, rights: Rights) -> list[Record]:
    """The records of that id or dropped file; 404 where the user may see none, 403 where they may not see all."""
    records = find_readable(id_or_file, context, rights)
    if not records:
        raise unknown_request(id_or_file)
    # The name of a file stands for all that it asked for.
    if len(find_named(context.queue, id_or_file)) > len(records):
        raise forbidden(f"{id_or_file[:80]!r} asked for other tables, too; steer your requests by their ids")
    return records


def _require_steerable(id_or_file: str, context: Context, rights: Rights) -> None:
    """The same, and 403 where one of them is not theirs to steer."""
    for record in _find_all_readable(id_or_file, context, rights):
        rights.require_steer(record.table)


@contextmanager
def _conflicts() -> Iterator[None]:
    """Whatever stands in the way here is not a fault of what was sent, but of how things are."""
    try:
        yield
    except ReloadsError as error:
        raise conflict(str(error)) from error
