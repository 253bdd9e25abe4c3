"""Watching raw files: rings when one of a watched day came, changed or went, and leaves a note first.

The note in ``landing/.arrived/`` outlasts the event, which Airflow may drop, and the process, which may be killed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns
from zoneinfo import ZoneInfo

from reloads.airflow.arrival_news import ArrivalNews, News
from reloads.airflow.source_listener import DEAF_LOOK_SECONDS, SourceListener
from reloads.airflow.source_look import SourceView, look_at_sources
from reloads.errors import ReloadsError, one_line
from reloads.files import printable_name
from reloads.requests.doorbell_notes import arrived
from reloads.stores.address import store_url
from reloads.tables.file_sources import FileSource

log = logging.getLogger(__name__)
LOOK_GAP_SECONDS = 0.2
"""How long no look follows a look, whatever is heard."""


class SourceWatch:
    """Rings for news of raw files, and again for those that nobody took care of."""

    def __init__(
        self,
        *,
        source: Path,
        tables: Path,
        landing: Path,
        polling: bool,
        rescan_seconds: float,
        stable_seconds: float,
        time_zone: str,
    ) -> None:
        self._source = source
        self._tables = tables
        self._landing = landing
        self._polling = polling
        self._time_zone = ZoneInfo(time_zone)
        self._rescan_seconds = rescan_seconds
        self._news = ArrivalNews(stable_seconds)
        self._troubles = _Troubles()
        self._unnoted: set[str] = set()
        self._odd_paths: set[str] = set()

    async def rings(self) -> AsyncGenerator[dict[str, list[str]], None]:
        """The names of each ring, until something goes wrong; begun afresh, it goes on where it was.

        ``arrived`` are paths below the source folder, ``untaken`` are sources of which nobody took the note.
        """
        loop = asyncio.get_running_loop()
        listener = SourceListener(polling=self._polling)
        next_round = loop.time()
        try:
            while True:
                began = loop.time()
                # Taken before the look: what is heard of later may not be seen by it.
                heard = listener.take_heard()
                view, is_added = await asyncio.to_thread(self._look, listener, loop)
                now = loop.time()
                self._warn_of_days_that_do_not_exist(heard, view.sources)
                news = self._news.look(view.groups, began=began, now=now, wall_ns=time_ns())
                await asyncio.to_thread(self._leave_notes, {item.source for item in news})
                ring = {"arrived": _unique_paths(news)}
                if now >= next_round:
                    next_round = now + self._rescan_seconds
                    due = await asyncio.to_thread(self._find_untaken)
                    ring["untaken"] = [name for name in due if name not in {item.source for item in news}]
                if news:
                    # Whoever was just woken has until then to take the notes.
                    next_round = now + self._rescan_seconds
                ring = {kind: names for kind, names in ring.items() if names}
                if ring:
                    yield ring
                await asyncio.sleep(max(LOOK_GAP_SECONDS, now - began))
                if not is_added:
                    await listener.wait(self._pause(listener, next_round, loop.time()))
        finally:
            # Joined in a thread, because the observer's own thread may be in the middle of a slow stat.
            await asyncio.shield(asyncio.to_thread(listener.close))

    def _pause(self, listener: SourceListener, next_round: float, now: float) -> float:
        """How long nothing is to be done unless something is heard."""
        pause = min(self._news.seconds_to_next_look(now=now), next_round - now, self._rescan_seconds)
        # A look at a store is paid for, and nothing is heard of it in any case.
        is_deaf = listener.is_deaf and not store_url(self._source)
        return min(pause, DEAF_LOOK_SECONDS) if is_deaf else pause

    def _look(self, listener: SourceListener, loop: asyncio.AbstractEventLoop) -> tuple[SourceView, bool]:
        """What lies there, and whether a folder is listened to from now on, so that a look must follow."""
        today = datetime.now(self._time_zone).date()
        view = look_at_sources(source=self._source, tables=self._tables, landing=self._landing, today=today)
        self._troubles.note(view)
        return view, listener.listen(view.folders, loop.call_soon_threadsafe)

    def _leave_notes(self, sources: Collection[str]) -> None:
        """Leave a note for each source; where that fails it is said, and tried again at the next look."""
        self._unnoted |= set(sources)
        for name in sorted(self._unnoted):
            try:
                arrived(self._landing).leave(name)
            except (OSError, ReloadsError) as error:
                self._troubles.note_one("notes", f"no note of arrived files can be left: {one_line(error)}")
                return
            self._unnoted.discard(name)
        self._troubles.note_one("notes", "")

    def _find_untaken(self) -> list[str]:
        try:
            return arrived(self._landing).find_due(now=datetime.now(UTC))
        except OSError as error:
            self._troubles.note_one("due", f"the notes of arrived files cannot be read: {one_line(error)}")
            return []

    def _warn_of_days_that_do_not_exist(self, heard: Collection[Path], sources: Mapping[str, FileSource]) -> None:
        for full in sorted(heard):
            if not full.is_relative_to(self._source):
                continue
            path = str(full.relative_to(self._source))
            for template in {source.files for source in sources.values()}:
                if template.has_no_such_day(path) and path not in self._odd_paths:
                    self._odd_paths.add(path)
                    shown = printable_name(path)
                    log.warning("%s fits %s, but there is no such day; rename it", shown, template.text)


class _Troubles:
    """Says what is wrong once when it begins, and of a folder when it ends."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._said_alone: dict[str, str] = {}

    def note(self, view: SourceView) -> None:
        """All that is wrong with the sources by this look."""
        for subject in self._said.keys() - view.troubles.keys():
            # What is said of a store is no more once it answers.
            if Path(subject) in view.folders or "://" in subject:
                log.warning("the folder %s is there again", printable_name(subject))
        for subject, sentence in view.troubles.items():
            if self._said.get(subject) != sentence:
                log.warning("%s", printable_name(sentence))
        self._said = dict(view.troubles)

    def note_one(self, subject: str, sentence: str) -> None:
        """What is wrong now with something else; nothing where the sentence is empty."""
        if sentence and self._said_alone.get(subject) != sentence:
            log.warning("%s", printable_name(sentence))
        self._said_alone[subject] = sentence


def _unique_paths(news: Collection[News]) -> list[str]:
    return list(dict.fromkeys(item.path for item in news))
