"""Foreign asset events on ``requested/<table>``: each becomes an accepted request, once.

An event that this pipeline emits names the request it announces; that request is in the queue, so the event only wakes
the consumer. A foreign event (of another team's DAG, or through the REST API) has no request yet: it becomes one.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from reloads.errors import RequestError, TableError, one_line, printable, shorten
from reloads.files import write_all_atomically
from reloads.requests.announcement import LOOK_AGAIN
from reloads.requests.conversion import new_record
from reloads.requests.endings import NOTE, note_rejections
from reloads.requests.event_pages import ReadPage, RequestEvent, read_pages
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.request import EXAMPLE, ReloadRequest, check_request, parse_request
from reloads.requests.request_file import MAX_FILE_BYTES, parse_json
from reloads.requests.watermark import read_watermark, write_watermark
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(minutes=10)
"""How far before the newest event seen events are read again: one may become visible after a younger one."""

CROWD = 1000
"""From so many events on, reading them again at every plan takes longer than a plan may."""

LONGEST_SENTENCE = 1000


@dataclass(frozen=True)
class EventMark:
    """How far the events of a table were followed.

    All events are seen that were visible when ``looked_back`` was written and are not younger than it. ``newest`` is
    the youngest seen since. ``seen`` holds the digests of the events that a look back meets again.
    """

    newest: datetime
    looked_back: datetime
    seen: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> EventMark:
        """The mark written as ``text``; one that holds a time only was written by an earlier version."""
        newest, *others = text.split()
        looked_back, *seen = others or [newest]
        return cls(datetime.fromisoformat(newest), datetime.fromisoformat(looked_back), frozenset(seen))

    def text(self) -> str:
        """The content of the mark's file."""
        return "\n".join([self.newest.isoformat(), self.looked_back.isoformat(), *sorted(self.seen)])


@dataclass
class FollowedEvents:
    """What came of the events that a plan read."""

    accepted: list[Record] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    """The sentences."""
    look_again: bool = False
    """Whether a further run is needed, which looks back."""


def accept_foreign_events(
    settings: Settings, catalog: Catalog, table: str, read_page: ReadPage, *, now: datetime
) -> FollowedEvents:
    """Accept each foreign event as a request, once however often it is read; bad ones are rejected.

    The mark moves with each page, after what it stands for is safe: a call that is killed goes on there, or repeats a
    page to the same effect. An event that becomes visible up to ``LOOK_BACK`` late is found, because that much is read
    again. After a crowd of events that would take longer than the plan itself: what is new is served first then, and
    ``look_again`` asks for a run that looks back once nothing else is new.

    While the table is broken, a good event is put into the drop folder, where requests wait for a mended table.
    """
    follower = _Follower(settings, catalog, table, read_page, now)
    mark = follower.mark
    if len(mark.seen) > CROWD:
        is_new = follower.follow(since=mark.newest)
        if is_new and mark.newest - mark.looked_back < LOOK_BACK / 2:
            follower.result.look_again = True
            return follower.result
    follower.look_back()
    return follower.result


class _Follower:
    """One plan's reading of the events of one table."""

    def __init__(self, settings: Settings, catalog: Catalog, table: str, read_page: ReadPage, now: datetime) -> None:
        self.result = FollowedEvents()
        self._queue = Queue(settings.landing)
        self._catalog, self._table, self._read_page, self._now = catalog, table, read_page, now
        self._today = settings.day_of(now)
        self._times: dict[str, datetime] = {}
        self._written = read_watermark(settings.landing, "events", table, EventMark.parse)
        start = now - timedelta(days=1)
        mark = self._written or EventMark(start, start)
        # A clock that was set back, here or in Airflow, must not hide what comes until it has caught up.
        self.mark = EventMark(min(mark.newest, now), min(mark.looked_back, now), mark.seen)

    def follow(self, *, since: datetime) -> bool:
        """Take every event from ``since`` on; whether one was new, other than a call to look back."""
        is_any_new = False
        for page in read_pages(self._read_page, since=since, until=self._now + timedelta(days=1)):
            events = {_digest(event): event for event in page}
            new_events = {digest: event for digest, event in events.items() if digest not in self.mark.seen}
            self._times |= {digest: event.timestamp for digest, event in events.items()}
            self._take(new_events)
            is_any_new = is_any_new or any(not _calls_to_look_back(event) for event in new_events.values())
            if page:
                newest = min(self._now, max(event.timestamp for event in page))
                seen = self.mark.seen | set(new_events)
                self._write(EventMark(max(self.mark.newest, newest), self.mark.looked_back, seen))
        return is_any_new

    def look_back(self) -> None:
        """Take every event that is new since the last look back, and drop from the mark what is too old to return."""
        self.follow(since=self.mark.looked_back - LOOK_BACK)
        if not self._times:
            return
        oldest = self.mark.newest - LOOK_BACK
        seen = frozenset(digest for digest, timestamp in self._times.items() if timestamp >= oldest)
        self._write(EventMark(self.mark.newest, self.mark.newest, seen))

    def _take(self, events: Mapping[str, RequestEvent]) -> None:
        """Accept, reject or put off each of the events, whatever is wrong with one of them."""
        records: list[Record] = []
        sentences: dict[str, str] = {}
        files: dict[str, str] = {}
        for digest, event in events.items():
            try:
                if event.fault is None and event.extra.get("request"):
                    continue
                records.append(self._make_record(event))
            except TableError:
                files[digest] = self._request_text(event) + "\n"
            except RequestError as error:
                sentences[digest] = self._describe(event, str(error))
            except Exception as error:  # noqa: BLE001 - whatever one event holds must not keep the others waiting
                fault = shorten(f"{type(error).__name__}: {one_line(error)}", 200)
                sentences[digest] = self._describe(
                    event, f"it cannot be judged ({fault}); emit an object like {EXAMPLE}"
                )
        self.result.accepted += self._queue.add_all(records)
        self._reject({f"event-{self._label}-{digest}": sentence for digest, sentence in sentences.items()})
        self._put_off({f"event-{self._label}-{digest}": text for digest, text in files.items()})

    @property
    def _label(self) -> str:
        return re.sub(r"[^A-Za-z0-9_]+", "-", self._table)[:80]

    def _make_record(self, event: RequestEvent) -> Record:
        """The record of the event; raises ``TableError`` while nobody can say whether the table can do it."""
        if event.fault is not None:
            raise RequestError(f"its extra cannot be read ({one_line(event.fault)}); emit an object like {EXAMPLE}")
        request = parse_request(parse_json(self._request_text(event).encode())[0])
        check_request(request, catalog=self._catalog, today=self._today)
        record = new_record(request, self._table, mode="event", origin=event.origin, now=self._now)
        record.to_json()  # fails for what no record can hold
        return record

    def _request_text(self, event: RequestEvent) -> str:
        """The request in the event's extra as a file would hold it, so that the rules of files hold for events."""
        extra = event.extra
        if extra.get("table", self._table) != self._table:
            shown = shorten(repr(extra["table"]))
            raise RequestError(f"table {shown} is not the one whose asset the event is on; emit it on that one")
        fields = {name: value for name, value in extra.items() if name in ReloadRequest.model_fields}
        text = json.dumps(fields | {"table": self._table})
        if len(text) > MAX_FILE_BYTES:
            raise RequestError(f"its extra has more than {MAX_FILE_BYTES} bytes; ask for less at once")
        return text

    def _describe(self, event: RequestEvent, reason: str) -> str:
        who = f"event on requested/{self._table} of {event.timestamp.isoformat()} by {event.origin}"
        return printable(shorten(f"{who}: {reason}", LONGEST_SENTENCE))

    def _reject(self, sentences: Mapping[str, str]) -> None:
        """Leave the sentences where rejected files have theirs; the events themselves stay in Airflow's log."""
        if not sentences:
            return
        folder = self._queue.folder("rejected")
        note_rejections(self._queue.landing, [f"{name}{NOTE}" for name in sentences])
        write_all_atomically({folder / f"{name}{NOTE}": f"{sentence}\n" for name, sentence in sentences.items()})
        for sentence in sentences.values():
            self.result.rejected.append(sentence)
            log.warning("rejected %s", sentence)

    def _put_off(self, texts: Mapping[str, str]) -> None:
        """Drop the requests as files; a crash before the mark is written drops them once more."""
        if not texts:
            return
        write_all_atomically({self._queue.landing / f"{name}.json": text for name, text in texts.items()})
        log.warning("table '%s' is broken; %d events wait in the drop folder", self._table, len(texts))

    def _write(self, mark: EventMark) -> None:
        self.mark = mark
        if mark != self._written:
            write_watermark(self._queue.landing, "events", self._table, mark.text())
            self._written = mark


def _digest(event: RequestEvent) -> str:
    return sha256(event.origin.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _calls_to_look_back(event: RequestEvent) -> bool:
    return isinstance(event.extra, Mapping) and event.extra.get("request") == LOOK_AGAIN
