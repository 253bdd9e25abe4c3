"""A look at the drop folder: every file is accepted, rejected with a sentence, or left for a moment.

A file is accepted in an order that loses nothing: it is taken, its records are written, and then it is removed. A
crash between two of these repeats the step to the same effect, because a record's id is derived from the file dropped.
"""

from __future__ import annotations

import logging
import stat
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from reloads.errors import OperatorError, one_line, printable, shorten
from reloads.requests.drop_folder import (
    DroppedFile,
    list_arrivals,
    reject_all,
    remove_accepted,
    remove_old_notes,
    take,
    write_note,
)
from reloads.requests.judgement import Judgement, is_unchanged, judge
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.tables.catalog import Catalog

FILES_PER_LOOK = 5000
RECORDS_PER_LOOK = 10_000
"""What one look takes, so that it is announced within seconds; the next look takes the rest."""

FILES_AT_ONCE = 1000
RECORDS_AT_ONCE = 5000
"""What is written to disk at once, and held in memory until then."""

log = logging.getLogger(__name__)


@dataclass
class ProcessedFiles:
    """The result of a look at the drop folder: the requests accepted, and the sentence for each of the other files."""

    accepted: list[Record] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    """Why a file was rejected, by its printable name."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Why a file was left in the drop folder, by its printable name."""


def process_files(
    queue: Queue,
    *,
    catalog: Catalog,
    now: datetime,
    today: date,
    stable_seconds: float,
    arrived_before: datetime | None = None,
) -> ProcessedFiles:
    """Accept or reject every complete request file, in the order of arrival; no file holds up another.

    A file that breaks a rule may still be being written: it is rejected only if it has not changed for
    ``stable_seconds``. One that cannot be read or taken, or that names a table whose folder is broken, stays, with a
    note beside it, and is tried again. Records accepted in one look differ in ``accepted_at`` by a microsecond.
    Raises ``OperatorError`` if the disk does not take the records; the files stay for the next look.

    With ``arrived_before``, younger files are not looked at.
    """
    look = _Look(queue, catalog, now, today, stable_seconds)
    look.process(arrived_before)
    return look.files


@dataclass
class _Look:
    queue: Queue
    catalog: Catalog
    now: datetime
    today: date
    stable_seconds: float
    files: ProcessedFiles = field(default_factory=ProcessedFiles)
    _accepted: list[tuple[DroppedFile, Judgement]] = field(default_factory=list)
    _rejected: dict[DroppedFile, str] = field(default_factory=dict)
    _stayed: list[DroppedFile] = field(default_factory=list)

    def process(self, arrived_before: datetime | None) -> None:
        """Look at all files, and at those that arrive meanwhile."""
        looked_at: set[tuple[str, tuple[int, int, int]]] = set()
        while len(looked_at) < FILES_PER_LOOK and len(self.files.accepted) < RECORDS_PER_LOOK:
            arrivals = [file for file in list_arrivals(self.queue.landing) if _has_arrived(file, arrived_before)]
            new_files = [file for file in arrivals if (file.path.name, file.signature) not in looked_at]
            if not new_files:
                break
            for file in new_files[:FILES_AT_ONCE]:
                looked_at.add((file.path.name, file.signature))
                self._process_file(file)
                if sum(len(judgement.records) for _, judgement in self._accepted) >= RECORDS_AT_ONCE:
                    break
            self._settle()
        with suppress(OSError):
            remove_old_notes(self.queue.landing, self._stayed)

    def _process_file(self, file: DroppedFile) -> None:
        """Decide on one file; whatever goes wrong with it, the others go on."""
        try:
            self._decide(file)
        except FileNotFoundError:
            return  # whoever dropped it took it away again
        except OperatorError:
            raise
        except OSError as error:
            self._leave(file, f"cannot be read or moved ({error.strerror}); grant access to it, it is tried again")
        except Exception as error:  # noqa: BLE001 - as above
            reason = printable(shorten(one_line(f"{type(error).__name__}: {error}"), 200))
            self._leave(file, f"cannot be processed ({reason}); move it away, and report this sentence")

    def _decide(self, file: DroppedFile) -> None:
        judgement = self._judge(file)
        if self._is_left(file, judgement):
            return
        if not file.is_taken:
            taken = take(file, self.queue.landing)
            if taken is None:
                return
            file = taken
            # Its time of change is that of the rename now, so it is only asked for again where the content is another.
            if not is_unchanged(judgement, file):
                judgement = self._judge(file)
                if self._is_left(file, judgement):
                    return
        if judgement.fault:
            self._rejected[file] = f"{file.name}: {judgement.fault}"
        else:
            # Without the content, of which there can be hundreds of megabytes.
            self._accepted.append((file, replace(judgement, raw=None)))

    def _judge(self, file: DroppedFile) -> Judgement:
        count = len(self.files.accepted) + sum(len(judgement.records) for _, judgement in self._accepted)
        now = self.now + timedelta(microseconds=count)
        return judge(file, catalog=self.catalog, now=now, today=self.today)

    def _is_left(self, file: DroppedFile, judgement: Judgement) -> bool:
        """Leave the file if it may become good: once it is complete, or once a table folder is mended."""
        if judgement.waits:
            self._leave(file, f"waits: {judgement.waits}; it is taken once the table is mended")
        elif judgement.fault and _seconds_unchanged(file.path, self.now) < self.stable_seconds:
            self.files.waiting[file.name] = f"{file.name} may still be being written ({judgement.fault})"
        else:
            return False
        return True

    def _leave(self, file: DroppedFile, clause: str) -> None:
        sentence = f"{file.name} {clause}"
        self.files.waiting[file.name] = sentence
        self._stayed.append(file)
        log.warning("%s", sentence)
        write_note(self.queue.landing, file, sentence)

    def _settle(self) -> None:
        """Write the records of the files decided on, and move the files out of the way."""
        new_records: list[Record] = []
        for _, judgement in self._accepted:
            new_records += judgement.records
        self.files.accepted += self.queue.add_all(new_records)
        for file, judgement in self._accepted:
            log.info("accepted %s: %s", file.name, _summary(judgement.records))
            if judgement.status:
                remove_accepted(file, judgement.status)
        self._accepted.clear()
        if self._rejected:
            self._reject()

    def _reject(self) -> None:
        stuck = reject_all(self.queue.folder("rejected"), self._rejected)
        for file, sentence in self._rejected.items():
            if file in stuck:
                self._leave(file, f"cannot be moved ({stuck[file].strerror}); grant access to it, it is tried again")
            else:
                self.files.rejected[file.name] = sentence
                log.warning("rejected %s", sentence)
        self._rejected.clear()


def _has_arrived(file: DroppedFile, before: datetime | None) -> bool:
    return before is None or file.arrived_ns / 1e9 < before.timestamp()


def _seconds_unchanged(path: Path, now: datetime) -> float:
    # The time of change, not of modification: a copy may bring that along, from years ago or ahead.
    status = path.stat(follow_symlinks=False)
    return now.timestamp() - status.st_ctime if stat.S_ISREG(status.st_mode) else float("inf")


def _summary(records: tuple[Record, ...]) -> str:
    first = records[0]
    text = f"{first.id}, {first.days} ({len(first.days)} days)"
    return f"{text}, and {len(records) - 1} more" if len(records) > 1 else text
