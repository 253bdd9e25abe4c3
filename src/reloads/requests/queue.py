"""The queue of accepted requests: folders are states and renames are transitions.

    landing/accepted/<id>.json    accepted; holds the frozen request and its progress
    landing/done/<id>.json        every day asked for was published
    landing/failed/<id>.json      some days were not, and why
    landing/cancelled/<id>.json   some days were given up by whoever asked

The content of a record changes under the queue's lock only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from reloads.days import Days
from reloads.files import (
    cannot_write,
    make_own_folder,
    sync_written,
    write_all_atomically,
    write_atomically,
)
from reloads.locks import file_lock
from reloads.outcome import Outcome
from reloads.requests.collected import collect_ended
from reloads.requests.end_note import end_note, find_events
from reloads.requests.endings import Ending, note_endings
from reloads.requests.outbox import Outbox
from reloads.requests.record import Record
from reloads.requests.record_file import read_or_complain, read_record, read_records

State = Literal["accepted", "done", "failed", "rejected", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
RECORD_STATES: tuple[State, ...] = ("accepted", "done", "failed", "cancelled")
"""Those of the folders that hold records, in the order in which records move."""

RECORDS_AT_ONCE = 500
"""So many records change before the lock is given to somebody else."""


class Location(NamedTuple):
    """Where a record is: its state, and its file."""

    state: State
    path: Path


class PlannedDays(NamedTuple):
    """What a plan says of a request: the days to rewrite, to skip, and those that wait for raw files, by reason."""

    planned: Mapping[str, Days]
    skipped: Mapping[str, Days]
    waiting: Mapping[str, Days]


@dataclass(frozen=True)
class Queue:
    """The folders of one drop folder that hold accepted requests."""

    landing: Path

    def folder(self, state: State) -> Path:
        """The folder of that state, made if it is missing."""
        folder = self.landing / state
        make_own_folder(folder)
        return folder

    def add(self, record: Record) -> bool:
        """Accept ``record``; False where this act of asking was accepted before, whatever came of it."""
        return bool(self.add_all([record]))

    def add_all(self, records: Iterable[Record]) -> list[Record]:
        """Accept the records and return those that are new; they outlast a power cut once this returns."""
        new_records = {record.id: record for record in records if not self.find(record.id)}
        if not new_records:
            return []
        folder = self.folder("accepted")
        write_all_atomically({folder / f"{name}.json": record.to_json() for name, record in new_records.items()})
        return list(new_records.values())

    def find(self, record_id: str) -> Location | None:
        """Where the record of that id is now."""
        for state in RECORD_STATES:
            path = self.landing / state / f"{record_id}.json"
            if path.is_file():
                return Location(state, path)
        return None

    def get(self, record_id: str) -> Record | None:
        """The record of that id, wherever it is."""
        for _ in RECORD_STATES:
            location = self.find(record_id)
            if location is None:
                return None
            with suppress(FileNotFoundError):  # it moved on
                return read_record(location.path)
        return None

    def records(self, state: State) -> list[Record]:
        """The records in that state, oldest first. A file that is not a record is logged as an error and left alone."""
        return read_records((self.landing / state).glob("*.json"))

    def accepted(self, table: str) -> list[Record]:
        """The accepted requests of ``table``, oldest first."""
        return [record for record in self.records("accepted") if record.table == table]

    def settle(self, record_id: str, outcome: Outcome, *, run: str, now: datetime) -> Record | None:
        """Write down the outcome of a run, and move the record on if nothing of it is outstanding.

        A failed request whose task was cleared in Airflow and succeeded moves on to ``done/``. None if there is no
        such request any more.
        """
        return _single(self.settle_all({record_id: outcome}, run=run, now=now))

    def settle_all(self, outcomes: Mapping[str, Outcome], *, run: str, now: datetime) -> list[Record]:
        """Do that for many requests, by id; returns the changed records of those that are there."""

        def settled(record: Record) -> Record:
            return record.with_outcome(outcomes[record.id], run=run, now=now)

        return self._change_all(list(outcomes), settled)

    def plan(
        self, record_id: str, *, planned: Mapping[str, Days], skipped: Mapping[str, Days], now: datetime
    ) -> Record | None:
        """Write down why days are to be rewritten, or need not be; one that needs nothing is done."""
        return _single(self.plan_all({record_id: PlannedDays(planned, skipped, {})}, now=now))

    def plan_all(self, reasons: Mapping[str, PlannedDays], *, now: datetime) -> list[Record]:
        """Do that for many requests, by id."""

        def planned(record: Record) -> Record:
            return record.with_plan(**reasons[record.id]._asdict(), now=now)

        return self._change_all(list(reasons), planned)

    def cancel(self, record_id: str, *, now: datetime) -> Record | None:
        """Give up what is outstanding of an accepted request; None if it is not accepted any more."""
        return _single(self._change_all([record_id], lambda record: record.cancel(now=now), only_in=("accepted",)))

    def note_children(self, record_id: str, children: list[str]) -> None:
        """Write down which requests follow from this one."""

        def note(record: Record) -> Record:
            return record.model_copy(update={"children": tuple(dict.fromkeys([*record.children, *children]))})

        self._change_all([record_id], note, only_in=("accepted", "failed", "cancelled", "done"))

    def rename_table(self, old: str, new: str) -> int:
        """Give the records of a table that was renamed its new name; returns their number."""
        ids: list[str] = []
        for state in RECORD_STATES:
            ids += [record.id for record in self.records(state) if record.table == old]

        def rename(record: Record) -> Record:
            return record.model_copy(update={"table": new})

        return len(self._change_all(ids, rename, only_in=RECORD_STATES))

    def _change_all(
        self,
        record_ids: Sequence[str],
        change: Callable[[Record], Record],
        *,
        only_in: tuple[State, ...] = ("accepted", "failed", "cancelled"),
    ) -> list[Record]:
        """Change records and move each to where it belongs then; returns those that were there."""
        changed: list[Record] = []
        for first in range(0, len(record_ids), RECORDS_AT_ONCE):
            with file_lock(self.landing / ".lock"):
                changed += self._change_some(record_ids[first : first + RECORDS_AT_ONCE], change, only_in)
        return changed

    def _change_some(
        self, record_ids: Iterable[str], change: Callable[[Record], Record], only_in: Sequence[State]
    ) -> list[Record]:
        """Change records under the lock. All are written before one moves, so a crash leaves none half changed."""
        all_changed: list[Record] = []
        texts: dict[Path, str] = {}
        moves: list[tuple[Path, State]] = []
        ended: list[Record] = []
        for record_id in record_ids:
            location = self.find(record_id)
            record = read_or_complain(location.path) if location and location.state in only_in else None
            if location is None or record is None:
                continue
            changed = change(record)
            all_changed.append(changed)
            if changed != record:
                texts[location.path] = changed.to_json()
            target = location.state if changed.outstanding else _final_state(changed)
            if target != location.state:
                moves.append((location.path, target))
                ended.append(changed)
        write_all_atomically(texts)
        if ended:
            self._note_ended(ended)
        self._move(moves)
        for record in ended:
            collect_ended(record, _final_state(record))
        return all_changed

    def _note_ended(self, records: Sequence[Record]) -> None:
        """Note that these records are about to end, for whoever lists the newest and whoever wants word of them."""
        note_endings(self.landing, [_ending(record) for record in records])
        outbox = Outbox(self.landing)
        wanted = set(outbox.wanted())
        outbox.leave(end_note(record, _final_state(record)) for record in records if wanted & find_events(record))

    def _move(self, moves: Iterable[tuple[Path, State]]) -> None:
        """Move records whose content is that of their new state already."""
        targets: set[Path] = set()
        for path, state in moves:
            folder = self.folder(state)
            try:
                path.rename(folder / path.name)
            except OSError as error:
                raise cannot_write(folder / path.name, error) from error
            targets.add(folder)
        for folder in targets:
            sync_written(folder)

    def file_away(self, record: Record) -> Path:
        """Write a finished record that never was in ``accepted/``."""
        path = self.folder(_final_state(record)) / f"{record.id}.json"
        self._note_ended([record])
        write_atomically(path, record.to_json())
        collect_ended(record, _final_state(record))
        return path


def _ending(record: Record) -> Ending:
    return Ending(record.finished_at or record.accepted_at, is_rejected=False, name=record.id)


def _single(records: Sequence[Record]) -> Record | None:
    return records[0] if records else None


def _final_state(record: Record) -> State:
    """The state of a record without outstanding days."""
    if record.failed:
        return "failed"
    return "cancelled" if record.cancelled else "done"
