"""Sending what lies in the outbox: tried again with growing pauses, for a day, and by one process at a time.

Whether a message was taken is written down after it was. So it is sent at least once; and twice only where the sender
is killed between the two, or where a receiver took a message and did not say so.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Thread

from reloads.requests.outbox import Note, Outbox
from reloads.requests.queue import Queue
from reloads.runs.delivery import MESSAGES_AT_ONCE, deliver
from reloads.runs.messages import Message, compose
from reloads.runs.receivers import Receiver, Receivers

GIVEN_UP_AFTER = timedelta(days=1)
LEAST_TRIES = 5
"""So often a receiver is tried in any case: a message may have waited longer than a day for a sender."""

ACT_TAKES_AT_MOST = timedelta(minutes=1)
"""A note whose rejected file is not there after this was not left by a crash: somebody took the file away."""

Deliver = Callable[[Receiver, Sequence[Message]], tuple[int, str | None]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pauses:
    """How long a receiver that does not take messages is left alone: twice as long after each time."""

    first: timedelta = timedelta(seconds=10)
    longest: timedelta = timedelta(minutes=15)

    def after(self, faults: int) -> timedelta:
        """The pause after so many faults in a row."""
        return min(self.longest, self.first * float(2 ** min(faults - 1, 20)))


@dataclass(frozen=True)
class Attempt:
    """What became of a try to hand messages to a receiver."""

    receiver: Receiver
    taken: Sequence[Note]
    refused: Note | None
    """The one that was not taken, after which no other was tried."""
    fault: str | None


@dataclass
class _Trouble:
    faults: int
    next_try: datetime


@dataclass
class Sender:
    """Sends, and remembers which receivers are in trouble."""

    outbox: Outbox
    pauses: Pauses = field(default_factory=Pauses)
    deliver: Deliver = deliver
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _faults: dict[str, str] = field(default_factory=dict)
    _refusals: Counter[tuple[str, str]] = field(default_factory=Counter)

    def send(self, receivers: Receivers, *, page_url: str, clock: Callable[[], datetime]) -> None:
        """Send what can be sent now; the caller holds the outbox."""
        now = clock()
        open_messages: list[tuple[Note, Message, list[Receiver]]] = []
        for note in self.outbox.notes():
            if not self._is_done(note, now):
                continue
            message = _compose(note, page_url)
            left = [each for each in receivers.of_message(message) if each.name not in note.told] if message else []
            if message and left:
                open_messages.append((note, message, left))
            else:
                self._forget(note)
        by_receiver: dict[str, tuple[Receiver, list[tuple[Note, Message]]]] = {}
        for note, message, left in open_messages:
            for receiver in left:
                by_receiver.setdefault(receiver.name, (receiver, []))[1].append((note, message))
        due = [each for name, each in by_receiver.items() if self._is_due(name, now)]
        if due:
            self._settle(open_messages, self._try_all(due), now=clock())

    def _is_done(self, note: Note, now: datetime) -> bool:
        """Whether what the note tells of happened, and is not about to happen."""
        if note.kind == "ended":
            location = Queue(self.outbox.landing).find(str(note.content.get("id")))
            return location is None or location.state != "accepted"
        if note.kind == "rejected":
            file = self.outbox.landing / "rejected" / str(note.content.get("path"))
            return file.exists() or now - note.at > ACT_TAKES_AT_MOST
        return True

    def _is_due(self, name: str, now: datetime) -> bool:
        trouble = self._troubles.get(name)
        return trouble is None or now >= trouble.next_try

    def _try_all(self, due: Sequence[tuple[Receiver, list[tuple[Note, Message]]]]) -> list[Attempt]:
        """Try all receivers side by side, so that none waits for one that does not answer."""
        attempts: list[Attempt] = []
        # As daemons: a server that is to end does not wait for them.
        threads = [Thread(target=lambda each=each: attempts.append(self._try(*each)), daemon=True) for each in due]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return attempts

    def _try(self, receiver: Receiver, messages: Sequence[tuple[Note, Message]]) -> Attempt:
        """Hand over the oldest messages: those that were taken, and why the next was not."""

        def count_refusals(each: tuple[Note, Message]) -> int:
            return self._refusals[receiver.name, each[0].file_name]

        # One that the receiver never takes, whatever is wrong with it, does not hold up the others.
        some = sorted(messages, key=count_refusals)[:MESSAGES_AT_ONCE]
        taken, fault = self.deliver(receiver, [message for _, message in some])
        notes = [note for note, _ in some]
        return Attempt(receiver, notes[:taken], notes[taken] if fault and taken < len(notes) else None, fault)

    def _settle(
        self,
        open_messages: Sequence[tuple[Note, Message, list[Receiver]]],
        attempts: Sequence[Attempt],
        *,
        now: datetime,
    ) -> None:
        """Write down who was told what, and when a receiver is tried again."""
        told: dict[str, Note] = {}
        for attempt in attempts:
            name = attempt.receiver.name
            for note in attempt.taken:
                told[note.file_name] = self.outbox.mark_told(told.get(note.file_name, note), name)
            if attempt.refused:
                self._refusals[name, attempt.refused.file_name] += 1
            self._note_trouble(name, attempt.fault, now)
        for note, message, left in open_messages:
            known = told.get(note.file_name, note)
            waiting = [receiver.name for receiver in left if receiver.name not in known.told]
            if waiting and now - note.at > GIVEN_UP_AFTER and all(map(self._is_hopeless, waiting)):
                log.error("%r is given up after a day: %s did not take it", message.title, " and ".join(waiting))
                waiting = []
            if not waiting:
                self._forget(note)

    def _is_hopeless(self, name: str) -> bool:
        return name in self._troubles and self._troubles[name].faults >= LEAST_TRIES

    def _forget(self, note: Note) -> None:
        self.outbox.remove(note)
        for key in [key for key in self._refusals if key[1] == note.file_name]:
            del self._refusals[key]

    def _note_trouble(self, name: str, fault: str | None, now: datetime) -> None:
        if fault is None:
            self._troubles.pop(name, None)
            self._faults.pop(name, None)
            return
        faults = self._troubles[name].faults + 1 if name in self._troubles else 1
        self._troubles[name] = _Trouble(faults, now + self.pauses.after(faults))
        # One line for each fault, not one for each try.
        if self._faults.get(name) != fault:
            log.warning("%s takes no messages (%s); it is tried again, for a day", name, fault)
        self._faults[name] = fault


def _compose(note: Note, page_url: str) -> Message | None:
    try:
        return compose(note, page_url=page_url)
    except (ValueError, LookupError) as error:
        log.error("the note %s cannot be read (%s) and is dropped", note.file_name, type(error).__name__)  # noqa: TRY400
        return None
