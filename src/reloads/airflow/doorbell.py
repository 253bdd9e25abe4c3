"""The doorbell: an Airflow trigger that rings when there is something to do in the drop folder, or with raw files.

It only wakes ``request_partitions``; what is to be done stands in the folders. So a ring too many costs a moment, and a
ring too few is made up for by the next look. Airflow's triggerer loads this class by its path,
``reloads.airflow.doorbell``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from reloads.airflow.attention import Attention, Pace, Signature
from reloads.airflow.drop_folder_listener import DropFolderListener
from reloads.airflow.source_watch import SourceWatch
from reloads.errors import ReloadsError, one_line, shorten
from reloads.files import printable_name
from reloads.requests.drop_folder import list_arrivals
from reloads.requests.neglect import find_neglected
from reloads.requests.queue import Queue
from reloads.requests.untold import find_untold

log = logging.getLogger(__name__)
MAX_NAMES = 20
MAX_NAME_LENGTH = 120
FIRST_PAUSE_SECONDS = 1.0
_WHAT = {
    "files": "dropped files",
    "neglected": "open requests that nobody takes care of",
    "untold": "tables that changed outside of Airflow",
    "arrived": "raw files that came, changed or went",
}


class Doorbell(BaseEventTrigger):
    """Rings for complete request files, for accepted requests that nobody takes care of, and for untold tables.

    It rings too for the raw files below ``source`` that came, changed or went, of the days that ``tables`` look at or
    wait for. The last day that they look at is today in ``time_zone``.

    ``landing`` is scanned whole at the start, soon after every file event and every ``rescan_seconds``; ``observer`` is
    ``auto`` (the operating system tells) or ``polling`` (for file systems that report nothing).

    It does not end by itself: whatever goes wrong is one sentence in the log, and it begins afresh. The drop folder and
    the raw files are watched side by side, so that trouble with one does not hold up the other.
    """

    def __init__(
        self,
        *,
        landing: str,
        source: str,
        tables: str,
        observer: str,
        rescan_seconds: float,
        stable_seconds: float,
        time_zone: str = "UTC",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.landing = landing
        self.source = source
        self.tables = tables
        self.observer = observer
        self.rescan_seconds = rescan_seconds
        self.stable_seconds = stable_seconds
        self.time_zone = time_zone

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and the arguments that make this trigger again."""
        names = ("landing", "source", "tables", "observer", "rescan_seconds", "stable_seconds", "time_zone")
        return "reloads.airflow.doorbell.Doorbell", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each ring; its payload names the files, the neglected requests and the raw files.

        A payload holds at most ``MAX_NAMES`` names of each, shortened and printable: one that Airflow cannot encode
        would end its triggerer, again at every start.
        """
        # One at a time, so that no ring is made before the one before it was handed on.
        rings: asyncio.Queue[dict[str, list[str]]] = asyncio.Queue(maxsize=1)
        sources = SourceWatch(
            source=Path(self.source),
            tables=Path(self.tables),
            landing=Path(self.landing),
            polling=self.observer == "polling",
            rescan_seconds=self.rescan_seconds,
            stable_seconds=self.stable_seconds,
            time_zone=self.time_zone,
        )
        watches = [
            asyncio.create_task(self._watch("the drop folder", self._rings, rings)),
            asyncio.create_task(self._watch("the source folder", sources.rings, rings)),
        ]
        try:
            while True:
                ring = await rings.get()
                payload: dict[str, object] = {kind: _printable_names(names) for kind, names in ring.items()}
                yield TriggerEvent({"about": _describe(ring), **payload})  # type: ignore[no-untyped-call]
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _watch(
        self,
        what: str,
        watch: Callable[[], AsyncGenerator[dict[str, list[str]], None]],
        rings: asyncio.Queue[dict[str, list[str]]],
    ) -> None:
        """Hand on the rings of one watch for ever, and begin it afresh when something goes wrong."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = loop.time()
            try:
                async with aclosing(watch()) as its_rings:
                    async for ring in its_rings:
                        await rings.put(ring)
            except Exception as error:  # noqa: BLE001 - a trigger that ends sees nothing any more, whatever ended it
                log.error("%s cannot be watched, it is tried again: %s", what, _sentence(error))  # noqa: TRY400
            has_held = loop.time() - began > pause
            pause = min(FIRST_PAUSE_SECONDS if has_held else 2 * pause, self.rescan_seconds)
            await asyncio.sleep(pause)

    async def _rings(self) -> AsyncGenerator[dict[str, list[str]], None]:
        """The payloads of the rings, until something goes wrong."""
        loop = asyncio.get_running_loop()
        attention = Attention(stable_seconds=self.stable_seconds, rescan_seconds=self.rescan_seconds)
        pace = Pace()
        listener = DropFolderListener(Path(self.landing), polling=self.observer == "polling")
        next_rescan = loop.time()
        try:
            while True:
                began = loop.time()
                # Taken before the folder is read: a file heard of later may not be seen by this look.
                finished = listener.take_finished()
                files = await asyncio.to_thread(self._look, listener, attention, finished, loop)
                ring = {"files": files}
                took = loop.time() - began
                if listener.was_knocked() or loop.time() >= next_rescan:
                    next_rescan = loop.time() + self.rescan_seconds
                    ring["neglected"] = await asyncio.to_thread(self._find_neglected)
                    ring["untold"] = await asyncio.to_thread(self._find_untold)
                ring = {kind: names for kind, names in ring.items() if names}
                if ring:
                    yield ring
                await asyncio.sleep(pace.gap_after_look(rang=bool(ring), took=took, now=loop.time()))
                now = loop.time()
                await listener.wait(min(attention.seconds_to_next_look(now=now), next_rescan - now))
        finally:
            # Joined in a thread, because the observer's own thread may be in the middle of a slow stat.
            await asyncio.shield(asyncio.to_thread(listener.close))

    def _look(
        self,
        listener: DropFolderListener,
        attention: Attention,
        finished: set[str],
        loop: asyncio.AbstractEventLoop,
    ) -> list[str]:
        """The files to ring for. Called in a thread: a folder of 20,000 files takes a tenth of a second."""
        listener.listen(loop.call_soon_threadsafe)
        signatures = _read_signatures(Path(self.landing))
        return attention.look(signatures, finished=finished, now=loop.time())

    def _find_neglected(self) -> list[str]:
        """The ids of accepted requests that nobody takes care of. Trouble with them does not hold up the files."""
        after = timedelta(seconds=self.rescan_seconds)
        try:
            records = find_neglected(Queue(Path(self.landing)), now=datetime.now(UTC), after=after)
        except Exception as error:  # noqa: BLE001 - anybody may have put a file into accepted/
            log.error("the waiting requests cannot be read, it is tried again: %s", _sentence(error))  # noqa: TRY400
            return []
        return [record.id for record in records]

    def _find_untold(self) -> list[str]:
        """The tables of which Airflow is still to be told. Trouble with them does not hold up the files."""
        try:
            return find_untold(Path(self.landing), now=datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - as above
            log.error("the untold tables cannot be read, it is tried again: %s", _sentence(error))  # noqa: TRY400
            return []


def _describe(ring: Mapping[str, Sequence[str]]) -> str:
    """What a ring is for, in one sentence, which a page shows first as its name does."""
    return "; ".join(f"{_WHAT.get(kind, kind)}: {len(names):,}" for kind, names in ring.items())


def _printable_names(names: list[str]) -> list[str]:
    """The first names, such that anything can encode and show them."""
    return [shorten(printable_name(name), MAX_NAME_LENGTH) for name in names[:MAX_NAMES]]


def _sentence(error: Exception) -> str:
    """What went wrong, on one line of the log; the kind of an error that is not ours says most of it."""
    text = one_line(error if isinstance(error, ReloadsError | OSError) else repr(error))
    # Not every text comes from a file system: what none can hold is escaped before the rest is.
    return printable_name(text.encode("utf-8", "backslashreplace").decode())


def _read_signatures(landing: Path) -> dict[str, Signature]:
    """What there is to look at now, by name; a file that a crash left taken has one of our own."""
    return {file.path.name: Signature(file.inode, file.size, file.arrived_ns) for file in list_arrivals(landing)}
