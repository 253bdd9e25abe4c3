"""The requests: those that are open, those that ended last, the files that wait or were rejected, and one of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from reloads.airflow.page.asking import table_of_file
from reloads.airflow.page.context import Context, ContextDep
from reloads.airflow.page.dropped_files import (
    JUST_DROPPED,
    find_dropped,
    find_rejected,
    list_rejected,
    list_waiting_files,
)
from reloads.airflow.page.refusals import not_found
from reloads.airflow.page.request_answers import Request, RequestDetail
from reloads.airflow.page.request_describer import DescriberDep
from reloads.airflow.page.rights import Rights, RightsDep, unknown_table
from reloads.requests.ended import ENDED_STATES, EndedPage, read_ended, read_latest
from reloads.requests.lookup import find_named
from reloads.requests.queue import State
from reloads.requests.record import Record

router = APIRouter(tags=["requests"])
StateFilter = Literal["accepted", "open", "done", "failed", "cancelled", "rejected"]


class WaitingFile(BaseModel):
    """A file in the drop folder that is not a request yet."""

    file: str
    sentence: str = Field(description="why it still lies there")


class RejectedFile(WaitingFile):
    """A file that broke a rule."""

    sentence: str = Field(description="which rule, and what to change")
    at: datetime


class FileStatus(BaseModel):
    """A dropped file that is not a request: not yet, or never."""

    file: str
    state: Literal["dropped", "rejected"]
    sentence: str
    at: datetime | None = Field(None, description="when it was rejected")


class RequestList(BaseModel):
    """Requests, newest first."""

    waiting_files: list[WaitingFile]
    requests: list[Request]
    more_open: int = Field(description="how many open requests are not listed: the oldest ones, beyond `limit`")
    rejected: list[RejectedFile]
    people: list[str] = Field(description="who asked for the requests of this list")
    next: datetime | None = Field(description="send it as `before` to get those that ended earlier; null at the end")


class Filters(BaseModel):
    """Which requests are listed."""

    table: str | None = None
    state: StateFilter | None = Field(None, description="`open` is `accepted`; `rejected` lists files only")
    person: str | None = Field(None, description="who asked")
    limit: int = Field(100, ge=1, le=500, description="so many of the open ones, and of those that ended")
    before: AwareDatetime | None = Field(None, description="only requests that ended before it; none that are open")

    @property
    def shows_open(self) -> bool:
        """Whether open requests are listed."""
        return self.before is None and self.state in (None, "open", "accepted")

    @property
    def shows_files(self) -> bool:
        """Whether files are listed that are not requests: nobody knows for which table, or who dropped them."""
        return self.before is None and self.state in (None, "rejected") and not self.table and not self.person

    @property
    def ended_states(self) -> tuple[State, ...]:
        """The folders of ended requests to look into."""
        return tuple(state for state in ENDED_STATES if self.state in (None, state))


@router.get("/requests")
def list_requests(
    filters: Annotated[Filters, Query()], context: ContextDep, rights: RightsDep, describer: DescriberDep
) -> RequestList:
    """The open requests and those that ended last, newest first, of the tables that you may see."""
    if filters.table and not rights.may_read(filters.table):
        raise unknown_table(filters.table)
    open_records = _read_open(filters, context, rights) if filters.shows_open else []
    records = open_records[-filters.limit :]
    page = _read_ended(filters, context, rights) if filters.ended_states else EndedPage([], None)
    in_order = sorted([*records, *page.records], key=lambda record: (record.accepted_at, record.id), reverse=True)
    requests = describer.describe(in_order)
    shows_files = filters.shows_files and rights.may_see_files()
    waiting = list_waiting_files(context.settings.landing, limit=filters.limit) if shows_files else []
    rejected = list_rejected(context.settings.landing, limit=filters.limit) if shows_files else []
    return RequestList(
        waiting_files=[WaitingFile(file=file, sentence=sentence) for file, sentence in waiting],
        requests=requests,
        more_open=len(open_records) - len(records),
        rejected=[RejectedFile(file=each.file, sentence=each.sentence, at=each.at) for each in rejected],
        people=sorted({request.requested_by for request in requests if request.requested_by}),
        next=page.next,
    )


@router.get("/requests/{id_or_file}")
def show_request(
    id_or_file: str, context: ContextDep, rights: RightsDep, describer: DescriberDep
) -> RequestDetail | FileStatus:
    """One request, by its id or by the name of the dropped file; of a file that is no request yet, where it stands."""
    records = find_readable(id_or_file, context, rights)
    if not records and (status := _find_file(id_or_file, context, rights)):
        return status
    # It may have been accepted between the two looks.
    records = records or find_readable(id_or_file, context, rights)
    if not records:
        raise unknown_request(id_or_file)
    return describer.describe_whole(records[0], records[1:])


def find_readable(id_or_file: str, context: Context, rights: Rights) -> list[Record]:
    """The records of that id or dropped file, oldest first, of tables that the user may see."""
    records = find_named(context.queue, id_or_file)
    seen = rights.readable({record.table for record in records})
    return [record for record in records if record.table in seen]


def unknown_request(id_or_file: str) -> Exception:
    """The answer for a request that does not exist, or that the user may not see."""
    return not_found(f"{id_or_file[:80]!r} is not a request; GET /reloads/api/requests lists those that you may see")


def _read_open(filters: Filters, context: Context, rights: Rights) -> list[Record]:
    """The open requests, oldest first."""
    records = context.overview.records.read(context.queue, "accepted")
    seen = rights.readable({record.table for record in records})
    return [record for record in records if record.table in seen and _passes(filters, record)]


def _read_ended(filters: Filters, context: Context, rights: Rights) -> EndedPage:
    is_plain = not (filters.table or filters.person or filters.state or filters.before)
    page = read_latest(context.queue, limit=filters.limit) if is_plain else None
    return page or read_ended(
        context.queue,
        limit=filters.limit,
        states=filters.ended_states,
        table=filters.table,
        before=filters.before,
        is_wanted=lambda record: _passes(filters, record) and rights.may_read(record.table),
    )


def _passes(filters: Filters, record: Record) -> bool:
    return filters.table in (None, "", record.table) and filters.person in (None, "", record.requested_by)


def _find_file(name: str, context: Context, rights: Rights) -> FileStatus | None:
    """What became of a dropped file of that name that is not a request, if the user may know."""
    landing = context.settings.landing
    if not rights.may_see_files():
        # Who asked by the page follows the file that it named; more than that is told of no file.
        is_own = (table := table_of_file(name)) is not None and rights.may_read(table)
        is_there = is_own and find_dropped(landing, name)
        return FileStatus(file=name, state="dropped", sentence=JUST_DROPPED) if is_there else None
    if sentence := find_dropped(landing, name):
        return FileStatus(file=name, state="dropped", sentence=sentence)
    rejected = find_rejected(landing, name)
    # Looked for last: it may have been accepted since the first look.
    if rejected is None or find_named(context.queue, name):
        return None
    return FileStatus(file=name, state="rejected", sentence=rejected.sentence, at=rejected.at)
