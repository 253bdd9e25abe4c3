"""The queue of accepted requests: folders are states and renames are transitions.

    landing/accepted/<id>.json    accepted; holds the frozen request and its progress
    landing/done/<id>.json        every day asked for was published
    landing/failed/<id>.json      some days were not, and why
    landing/cancelled/<id>.json   some days were given up by whoever asked

The content of a record changes under the queue's lock only. The modification time of a record in ``accepted/`` says
when somebody last took care of it.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError

from reloads.days import Days
from reloads.errors import OperatorError, shorten
from reloads.files import file_lock, make_folder, printable_name, sync_folder, write_atomically
from reloads.outcome import Outcome
from reloads.requests.record import Record, describe_fault

STATES = ("accepted", "done", "failed", "rejected", "cancelled")
State = Literal["accepted", "done", "failed", "rejected", "cancelled"]
LONGEST_WAIT = timedelta(minutes=10)

log = logging.getLogger(__name__)


class Location(NamedTuple):
    """Where a record is: its state, and its file."""

    state: State
    path: Path


@dataclass(frozen=True)
class Queue:
    """The folders of one drop folder that hold accepted requests."""

    landing: Path

    def folder(self, state: State) -> Path:
        """The folder of that state, made if it is missing."""
        folder = self.landing / state
        make_folder(folder)
        return folder

    def add(self, record: Record) -> bool:
        """Accept ``record``; False where this act of asking was accepted before, whatever came of it."""
        if self.find(record.id):
            return False
        write_atomically(self.folder("accepted") / f"{record.id}.json", record.to_json())
        return True

    def find(self, record_id: str) -> Location | None:
        """Where the record of that id is now."""
        # In the order in which records move, so that one that moves meanwhile is met all the same.
        for state in ("accepted", "done", "failed", "cancelled"):
            path = self.landing / state / f"{record_id}.json"
            if path.is_file():
                return Location(state, path)
        return None

    def get(self, record_id: str) -> Record | None:
        """The record of that id, wherever it is."""
        for _ in STATES:
            location = self.find(record_id)
            if location is None:
                return None
            with suppress(FileNotFoundError):  # it moved on
                return read_record(location.path)
        return None

    def records(self, state: State) -> list[Record]:
        """The records in that state, oldest first. A file that is not a record is logged as an error and left alone."""
        records: list[Record] = []
        for path in sorted((self.landing / state).glob("*.json")):
            try:
                records.append(read_record(path))
            except FileNotFoundError:
                continue
            except OperatorError as error:
                # Anybody may have named that file. A sentence, never a traceback.
                log.error("%s", printable_name(str(error)))  # noqa: TRY400
        return sorted(records, key=lambda record: (record.accepted_at, record.id))

    def accepted(self, table: str) -> list[Record]:
        """The accepted requests of ``table``, oldest first."""
        return [record for record in self.records("accepted") if record.table == table]

    def settle(self, record_id: str, outcome: Outcome, *, run: str, now: datetime) -> Record | None:
        """Write down the outcome of a run, and move the record on if nothing of it is outstanding.

        A failed request whose task was cleared in Airflow and succeeded moves on to ``done/``. None if there is no
        such request any more.
        """
        return self._change(record_id, lambda record: record.with_outcome(outcome, run=run, now=now))

    def plan(
        self, record_id: str, *, planned: Mapping[str, Days], skipped: Mapping[str, Days], now: datetime
    ) -> Record | None:
        """Write down why days are to be rewritten, or need not be; one that needs nothing is done."""
        return self._change(record_id, lambda record: record.with_plan(planned=planned, skipped=skipped, now=now))

    def cancel(self, record_id: str, *, now: datetime) -> Record | None:
        """Give up what is outstanding of an accepted request; None if it is not accepted any more."""
        return self._change(record_id, lambda record: record.cancel(now=now), only_in=("accepted",))

    def note_children(self, record_id: str, children: list[str]) -> None:
        """Write down which requests follow from this one."""

        def note(record: Record) -> Record:
            return record.model_copy(update={"children": tuple(dict.fromkeys([*record.children, *children]))})

        self._change(record_id, note, only_in=("accepted", "failed", "cancelled", "done"))

    def _change(
        self,
        record_id: str,
        change: Callable[[Record], Record],
        *,
        only_in: tuple[State, ...] = ("accepted", "failed", "cancelled"),
    ) -> Record | None:
        """Change a record and move it to where it belongs then."""
        with file_lock(self.landing / ".lock"):
            location = self.find(record_id)
            if location is None or location.state not in only_in:
                return None
            state, path = location
            record = read_record(path)
            changed = change(record)
            if changed != record:
                write_atomically(path, changed.to_json())
            target = state if changed.outstanding else _final_state(changed)
            if target != state:
                path.rename(self.folder(target) / path.name)
                sync_folder(self.folder(target))
            return changed

    def file_away(self, record: Record) -> Path:
        """Write a finished record that never was in ``accepted/``."""
        path = self.folder(_final_state(record)) / f"{record.id}.json"
        write_atomically(path, record.to_json())
        return path

    def attend(self, records: Iterable[Record]) -> None:
        """Note that somebody takes care of these records now."""
        for record in records:
            with suppress(FileNotFoundError):
                os.utime(self.landing / "accepted" / f"{record.id}.json")

    def neglect(self, records: Iterable[Record]) -> None:
        """Note that nobody takes care of these records yet, so that the next look announces them."""
        for record in records:
            with suppress(FileNotFoundError):
                os.utime(self.landing / "accepted" / f"{record.id}.json", (0, 0))

    def neglected(self, *, now: datetime, after: timedelta) -> list[Record]:
        """The accepted requests that nobody took care of for a while.

        The time allowed is ``after`` for a young request and grows with its age to ten minutes, so that the requests of
        a table that is paused for a week are not announced every minute of it. A time of attention in the future
        (another machine's clock is ahead) counts as none.
        """
        return [record for record in self.records("accepted") if self._is_neglected(record, now, after)]

    def _is_neglected(self, record: Record, now: datetime, after: timedelta) -> bool:
        try:
            touched = (self.landing / "accepted" / f"{record.id}.json").stat().st_mtime
        except FileNotFoundError:
            return False
        idle = abs(now.timestamp() - touched)
        age = max(now - record.accepted_at, timedelta())
        wait = after + min(age / 20, max(LONGEST_WAIT, after))
        return idle >= wait.total_seconds()


def _final_state(record: Record) -> State:
    """The state of a record without outstanding days."""
    if record.failed:
        return "failed"
    return "cancelled" if record.cancelled else "done"


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


KNOCK = ".knock"
"""A file in the drop folder; when it is written, the doorbell looks at the waiting requests at once."""


def knock(queue: Queue, records: list[Record]) -> None:
    """Have the doorbell announce these accepted requests now rather than at its next look."""
    queue.neglect(records)
    write_atomically(queue.landing / KNOCK, "")
