"""The file of a record: ``<id>.json``, which holds the request and its progress."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from reloads.errors import OperatorError, shorten
from reloads.files import printable_name
from reloads.requests.record import Record, describe_fault

log = logging.getLogger(__name__)


def read_records(paths: Iterable[Path]) -> list[Record]:
    """The records in these files, oldest first. A file that is not a record is logged as an error and left alone."""
    records: list[Record] = []
    for path in paths:
        record = read_or_complain(path)
        if record:
            records.append(record)
    return sorted(records, key=order_by_age)


def read_or_complain(path: Path) -> Record | None:
    """The record in ``path``; None if it moved on, or if the file is not a record, which is logged as an error."""
    try:
        return read_record(path)
    except FileNotFoundError:
        return None
    except OperatorError as error:
        # Anybody may have named that file. A sentence, never a traceback.
        log.error("%s", printable_name(str(error)))  # noqa: TRY400
        return None


def read_record(path: Path) -> Record:
    """The record in ``path``; raises ``FileNotFoundError`` if it moved, ``OperatorError`` if it is not a record."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OperatorError(f"{path} is not a regular file; move it out of the folder")
        record = Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}); grant access to it") from error
    except ValidationError as error:
        raise OperatorError(
            f"{path} is not a record ({describe_fault(error)}); mend it, or move it out of the folder"
        ) from error
    if record.id != path.stem:
        # Progress is written by id: under another name it would be lost, and the days be rewritten for ever.
        raise OperatorError(f"{path} holds the record {shorten(record.id)!r}; give it that name, or move it out")
    return record


def order_by_age(record: Record) -> tuple[datetime, str]:
    """Sorts records, oldest first."""
    return record.accepted_at, record.id
