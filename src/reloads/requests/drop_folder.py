"""The drop folder: request files come in, and each is accepted, rejected with a sentence, or left for a moment.

A file is taken in an order that loses nothing: its records are written first, then it leaves the drop folder. A crash
between the two repeats the first step to the same effect, because a record's id is derived from the file dropped.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from reloads.errors import OperatorError, RequestError
from reloads.files import free_name, printable_name, sync_folder, write_atomically
from reloads.requests.queue import Queue
from reloads.requests.record import Record, describe_fault, new_record, request_from_record
from reloads.requests.request import EXAMPLE, MAX_FILE_BYTES, ReloadRequest, check_request, parse_json, parse_request
from reloads.tables.catalog import Catalog

log = logging.getLogger(__name__)


@dataclass
class TakenFiles:
    """What a look at the drop folder came to."""

    accepted: list[Record] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    settling: bool = False
    """Whether one of those waiting may be complete in a moment."""


def list_request_files(landing: Path) -> list[os.DirEntry[str]]:
    """Everything in the drop folder that wants to be a request, oldest name first.

    Names that start with ``.`` or end in something other than ``.json`` are left alone.
    """
    try:
        with os.scandir(landing) as entries:
            found = [e for e in entries if e.name.endswith(".json") and not e.name.startswith(".")]
    except OSError as error:
        raise OperatorError(f"{landing} cannot be read ({error.strerror}); make the folder and grant access") from error
    return sorted(found, key=lambda entry: entry.name)


def read_requests(raw: bytes, *, catalog: Catalog, today: date) -> list[tuple[ReloadRequest, dict[str, Any]]]:
    """The checked requests of a file's content, each with the fields it was made from; raises ``RequestError``.

    The records that the folders ``done/`` and ``failed/`` hold are requests too: moved back, they ask again.
    """
    items = parse_json(raw)
    requests = []
    for number, item in enumerate(items, start=1):
        try:
            request = parse_request(_as_request(item))
            check_request(request, catalog=catalog, today=today)
        except RequestError as error:
            raise error if len(items) == 1 else RequestError(f"request {number} of {len(items)}: {error}") from error
        requests.append((request, item))
    return requests


def take_files(queue: Queue, *, catalog: Catalog, now: datetime, today: date, stable_seconds: float) -> TakenFiles:
    """Take every complete request file of the drop folder; one bad file does not hold up the others.

    A file that does not parse may still be being written: it is rejected only if it has not changed for
    ``stable_seconds``. One that cannot be read stays, with a note beside it, and is tried again.
    """
    taken = TakenFiles()
    for entry in list_request_files(queue.landing):
        path, name = Path(entry.path), printable_name(entry.name)
        try:
            try:
                _take(queue, path, taken, catalog=catalog, now=now, today=today)
            except RequestError as error:
                if _age(path, now) < stable_seconds:
                    taken.waiting[name] = f"{name} may still be being written ({error})"
                    taken.settling = True
                    continue
                _reject(queue, path, f"{name}: {error}")
                taken.rejected[name] = f"{name}: {error}"
        except FileNotFoundError:
            continue
        except OSError as error:
            reason = f"{name} cannot be read or moved ({error.strerror}); grant access to it, it is tried again"
            taken.waiting[name] = reason
            log.warning("%s", reason)
            with suppress(OperatorError):  # where no note can be written either, the log has to do
                write_atomically(_note(path), reason + "\n")
    return taken


def _take(queue: Queue, path: Path, taken: TakenFiles, *, catalog: Catalog, now: datetime, today: date) -> None:
    raw, status = read_file(path)
    requests = read_requests(raw, catalog=catalog, today=today)
    drop = f"{path.name}\0{status.st_ino}\0{status.st_ctime_ns}\0{sha256(raw).hexdigest()}"
    records = [
        new_record(
            request,
            table,
            mode="landing",
            origin=f"{drop}\0{number}",
            now=now,
            file=printable_name(path.name),
            dropped=fields,
        )
        for number, (request, fields) in enumerate(requests)
        for table in request.tables
    ]
    try:
        for record in records:
            record.to_json()
    except PydanticSerializationError as error:
        raise RequestError(f"it is nested too deeply to be kept; write an object like {EXAMPLE}") from error
    for record in records:
        if queue.add(record):
            taken.accepted.append(record)
            log.info("accepted %s: %s (%d days)", record.id, record.days, len(record.days))
    _leave(path, status)


def read_file(path: Path) -> tuple[bytes, os.stat_result]:
    """The content of a regular file, and its status when it was read; raises ``RequestError`` for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RequestError("it is a symbolic link; drop the file itself") from error
        if error.errno == errno.ENXIO:
            raise RequestError("it is no regular file; drop a file") from error
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        # Before a file object is made of it: for a folder that fails, and leaves the handle open.
        os.close(handle)
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise RequestError(f"it is {what}; drop the request files themselves")
    with os.fdopen(handle, "rb") as file:
        return file.read(MAX_FILE_BYTES + 1), status


def _leave(path: Path, taken: os.stat_result) -> None:
    """Remove the file that was taken, whose content its records keep; one that replaced it meanwhile stays."""
    now = path.stat(follow_symlinks=False)
    if (now.st_ino, now.st_ctime_ns, now.st_size) == (taken.st_ino, taken.st_ctime_ns, taken.st_size):
        path.unlink()
        _note(path).unlink(missing_ok=True)
        sync_folder(path.parent)


def _reject(queue: Queue, path: Path, sentence: str) -> None:
    folder = queue.folder("rejected")
    stem = free_name(folder, path.name, endings=(".json", ".error.txt"))
    # The sentence first: a crash in between leaves a file that is rejected once more, not one without a reason.
    write_atomically(folder / f"{stem}.error.txt", sentence + "\n")
    try:
        path.rename(folder / f"{stem}.json")
    except OSError:
        (folder / f"{stem}.error.txt").unlink()
        raise
    _note(path).unlink(missing_ok=True)
    log.warning("rejected %s", sentence)


def _note(path: Path) -> Path:
    return path.with_name(os.fsdecode(os.fsencode(path.stem)[:240]) + ".error.txt")


def _age(path: Path, now: datetime) -> float:
    # The time of change, not of modification: a copy may bring that along, from years ago or ahead.
    status = path.stat(follow_symlinks=False)
    return now.timestamp() - status.st_ctime if stat.S_ISREG(status.st_mode) else float("inf")


def _as_request(fields: dict[str, Any]) -> dict[str, Any]:
    try:
        return request_from_record(fields) or fields
    except ValidationError as error:
        raise RequestError(
            f"it looks like a record but is none ({describe_fault(error)}); mend it or write a request like {EXAMPLE}"
        ) from error
