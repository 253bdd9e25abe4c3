"""The drop folder: request files come in, and each is accepted, rejected with a sentence, or left for a moment.

A file is accepted in an order that loses nothing: its records are written first, then it leaves the drop folder. A
crash between the two repeats the first step to the same effect, because a record's id is derived from the file dropped.
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
class ProcessedFiles:
    """The result of a look at the drop folder: the requests accepted, and the sentence for each of the other files."""

    accepted: list[Record] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    """Why a file was rejected, by its printable name."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Why a file was left in the drop folder, by its printable name."""
    may_complete: bool = False
    """Whether one of the waiting files may be complete in a moment."""


def list_request_files(landing: Path) -> list[os.DirEntry[str]]:
    """The entries of the drop folder that are to be requests, sorted by name.

    Names that start with ``.`` or end in something other than ``.json`` are left alone.
    """
    try:
        with os.scandir(landing) as entries:
            candidates = [e for e in entries if e.name.endswith(".json") and not e.name.startswith(".")]
    except OSError as error:
        raise OperatorError(f"{landing} cannot be read ({error.strerror}); make the folder and grant access") from error
    return sorted(candidates, key=lambda entry: entry.name)


def read_requests(raw: bytes, *, catalog: Catalog, today: date) -> list[tuple[ReloadRequest, dict[str, Any]]]:
    """The checked requests of a file's content, each with the fields it was made from; raises ``RequestError``.

    The records that the folders ``done/`` and ``failed/`` hold are requests too: moved back, they ask again.
    """
    items = parse_json(raw)
    requests = []
    for number, item in enumerate(items, start=1):
        try:
            request = parse_request(_convert_record(item))
            check_request(request, catalog=catalog, today=today)
        except RequestError as error:
            raise error if len(items) == 1 else RequestError(f"request {number} of {len(items)}: {error}") from error
        requests.append((request, item))
    return requests


def process_files(
    queue: Queue, *, catalog: Catalog, now: datetime, today: date, stable_seconds: float
) -> ProcessedFiles:
    """Accept or reject every complete request file of the drop folder; one bad file does not hold up the others.

    A file that does not parse may still be being written: it is rejected only if it has not changed for
    ``stable_seconds``. One that cannot be read stays, with a note beside it, and is tried again.
    """
    files = ProcessedFiles()
    for entry in list_request_files(queue.landing):
        path, name = Path(entry.path), printable_name(entry.name)
        try:
            try:
                _accept(queue, path, files, catalog=catalog, now=now, today=today)
            except RequestError as error:
                if _seconds_unchanged(path, now) < stable_seconds:
                    files.waiting[name] = f"{name} may still be being written ({error})"
                    files.may_complete = True
                else:
                    _reject(queue, path, f"{name}: {error}")
                    files.rejected[name] = f"{name}: {error}"
        except FileNotFoundError:
            continue  # whoever dropped it took it away again
        except OSError as error:
            reason = f"{name} cannot be read or moved ({error.strerror}); grant access to it, it is tried again"
            files.waiting[name] = reason
            log.warning("%s", reason)
            with suppress(OperatorError):  # where no note can be written either, the log has to do
                write_atomically(_note(path), reason + "\n")
    return files


def _accept(queue: Queue, path: Path, files: ProcessedFiles, *, catalog: Catalog, now: datetime, today: date) -> None:
    """Accept all requests of the file, or none if one of them is bad, and remove the file."""
    raw, status = read_file(path)
    requests = read_requests(raw, catalog=catalog, today=today)
    # Inode and time of change tell two drops of the same content apart: each is a request of its own.
    drop = f"{path.name}\0{status.st_ino}\0{status.st_ctime_ns}\0{sha256(raw).hexdigest()}"
    file = printable_name(path.name)
    records: list[Record] = []
    for number, (request, fields) in enumerate(requests):
        origin = f"{drop}\0{number}"
        for table in request.tables:
            record = new_record(request, table, mode="landing", origin=origin, now=now, file=file, dropped=fields)
            _check_depth(record)
            records.append(record)
    for record in records:
        if queue.add(record):
            # At once: if the file cannot be removed, its requests are accepted all the same.
            files.accepted.append(record)
            log.info("accepted %s: %s (%d days)", record.id, record.days, len(record.days))
    _remove(path, status)


def _check_depth(record: Record) -> None:
    """Raise ``RequestError`` for fields nested deeper than pydantic writes them; it reads them all the same."""
    try:
        record.to_json()
    except PydanticSerializationError as error:
        raise RequestError(f"it is nested too deeply to be kept; write an object like {EXAMPLE}") from error


def read_file(path: Path) -> tuple[bytes, os.stat_result]:
    """The content of a regular file, and its status when it was read; raises ``RequestError`` for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RequestError("it is a symbolic link; drop the file itself") from error
        if error.errno == errno.ENXIO:
            raise RequestError("it is not a regular file; drop a file") from error
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        # Before a file object is made of it: for a folder that fails, and leaves the handle open.
        os.close(handle)
        fault = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise RequestError(f"it is {fault}; drop the request files themselves")
    with os.fdopen(handle, "rb") as file:
        return file.read(MAX_FILE_BYTES + 1), status


def _remove(path: Path, accepted: os.stat_result) -> None:
    """Remove the accepted file, whose content its records keep; a file that replaced it meanwhile stays."""
    current = path.stat(follow_symlinks=False)
    if _identity(current) == _identity(accepted):
        path.unlink()
        _note(path).unlink(missing_ok=True)
        sync_folder(path.parent)


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_ctime_ns, status.st_size


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
    """The file beside it that says why it cannot be read; 240 bytes of the name leave room for the ending."""
    return path.with_name(os.fsdecode(os.fsencode(path.stem)[:240]) + ".error.txt")


def _seconds_unchanged(path: Path, now: datetime) -> float:
    # The time of change, not of modification: a copy may bring that along, from years ago or ahead.
    status = path.stat(follow_symlinks=False)
    return now.timestamp() - status.st_ctime if stat.S_ISREG(status.st_mode) else float("inf")


def _convert_record(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request; those of a record put back are converted into the request that they repeat."""
    try:
        return request_from_record(fields) or fields
    except ValidationError as error:
        fault = describe_fault(error)
        raise RequestError(
            f"it looks like a record but is not one ({fault}); mend it or write a request like {EXAMPLE}"
        ) from error
