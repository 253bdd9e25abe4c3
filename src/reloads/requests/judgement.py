"""Judging one dropped file: the records that it asks for, or the rule that it breaks, or what it waits for.

Nothing that a file holds gets past this module but a judgement: whatever goes wrong with it is that file's own fault.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from reloads.errors import RequestError, TableError, one_line, printable, shorten
from reloads.requests.conversion import new_record, record_put_back, request_from_record
from reloads.requests.drop_folder import DroppedFile, read_file
from reloads.requests.record import Record, describe_fault
from reloads.requests.request import EXAMPLE, ReloadRequest, check_request, parse_request
from reloads.requests.request_file import MAX_REQUESTS, parse_json
from reloads.tables.catalog import Catalog


@dataclass(frozen=True)
class Judgement:
    """What a file comes to. If it has neither a ``fault`` nor something that it ``waits`` for, it is accepted."""

    raw: bytes | None
    """What was read; None where the entry is not a regular file."""
    status: os.stat_result | None = None
    records: tuple[Record, ...] = ()
    fault: str = ""
    """The rule that it breaks, and the cure."""
    waits: str = ""
    """Why it is neither good nor bad yet: the folder of a table that it names is broken."""


@dataclass(frozen=True)
class Asked:
    """One checked request of a file."""

    request: ReloadRequest
    fields: dict[str, Any]
    """As it was dropped."""
    repeats: Record | None = None
    """The record that was put back, where the file holds one."""


def judge(file: DroppedFile, *, catalog: Catalog, now: datetime, today: date) -> Judgement:
    """Read the file and judge it. Raises ``OSError`` if it cannot be read."""
    try:
        raw, status = read_file(file.path)
    except RequestError as error:
        return Judgement(None, fault=str(error))
    try:
        requests = read_requests(raw, catalog=catalog, today=today)
        return Judgement(raw, status, _make_records(file, raw, requests, now))
    except RequestError as error:
        return Judgement(raw, status, fault=printable(str(error)))
    except TableError as error:
        return Judgement(raw, status, waits=printable(str(error)))
    except Exception as error:  # noqa: BLE001 - one file must not hold up the others, whatever is wrong with it
        reason = shorten(one_line(f"{type(error).__name__}: {error}"), 200)
        fault = f"it cannot be judged ({printable(reason)}); write it like {EXAMPLE}, and report this sentence"
        return Judgement(raw, status, fault=fault)


def is_unchanged(judgement: Judgement, file: DroppedFile) -> bool:
    """Whether the file, which was renamed since, still holds what was judged."""
    try:
        return read_file(file.path)[0] == judgement.raw
    except RequestError:
        return judgement.raw is None


def read_requests(raw: bytes, *, catalog: Catalog, today: date) -> list[Asked]:
    """The checked requests of a file's content.

    The records that the folders ``done/`` and ``failed/`` hold are requests too: moved back, they ask again. Raises
    ``RequestError`` if one of them breaks a rule, and ``TableError`` if all that is wrong is a broken table folder.
    """
    items = parse_json(raw)
    requests: list[Asked] = []
    broken_table: TableError | None = None
    record_count = 0
    for number, item in enumerate(items, start=1):
        try:
            asked = _parse(item)
            check_request(asked.request, catalog=catalog, today=today, is_repeated=asked.repeats is not None)
        except TableError as error:
            broken_table = broken_table or error
            continue
        except RequestError as error:
            raise error if len(items) == 1 else RequestError(f"request {number} of {len(items)}: {error}") from error
        requests.append(asked)
        record_count += len(asked.request.tables)
        if record_count > MAX_REQUESTS:
            raise RequestError(
                f"the file asks for more than {MAX_REQUESTS} reloads, each table of a request counted; split it"
            )
    if broken_table:
        raise broken_table
    return requests


def _parse(fields: dict[str, Any]) -> Asked:
    """The request that these fields are, or that they repeat if they are a record."""
    try:
        record = record_put_back(fields)
    except ValidationError as error:
        fault = describe_fault(error)
        raise RequestError(
            f"it looks like a record but is not one ({fault}); mend it or write a request like {EXAMPLE}"
        ) from error
    if record is None:
        return Asked(parse_request(fields), fields)
    # Without what was dropped for the record itself: each time that it is put back the file would grow.
    kept = {name: value for name, value in fields.items() if name != "dropped"}
    return Asked(parse_request(request_from_record(record)), kept, record)


def _make_records(file: DroppedFile, raw: bytes, requests: list[Asked], now: datetime) -> tuple[Record, ...]:
    """The records of the requests, the later ones accepted later; to write one as JSON shows that it can be kept."""
    act = f"{file.origin}\0{sha256(raw).hexdigest()}"
    # File names may hold stray bytes, which Python reads as lone surrogates.
    drop = sha256(act.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    records: list[Record] = []
    for number, asked in enumerate(requests):
        for table in asked.request.tables:
            origin, at = f"{act}\0{number}", now + timedelta(microseconds=len(records))
            new = new_record(
                asked.request, table, mode="landing", origin=origin, now=at, file=file.name, dropped=asked.fields
            )
            cause = asked.repeats.cause if asked.repeats else None
            record = new.model_copy(update={"drop": drop, "cause": cause})
            record.to_json()
            records.append(record)
    return tuple(records)
