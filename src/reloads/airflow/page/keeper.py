"""What the API server does every few seconds beside answering.

It writes the notes of runs and which tables are paused, and has requests announced again that no DAG heard of: nobody
else can, as only the API server has Airflow's database. It looks at all tables, so that nobody waits for that. And it
sends messages, as it runs also where DAGs are paused, and in containers has the only way out. This runs from its start
to its end, in threads.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reloads.airflow.page.heard_tables import HeardTables
    from reloads.airflow.page.messenger import Messenger
    from reloads.airflow.page.run_notes import RunNotes
    from reloads.names import Names
    from reloads.settings import Settings

EVERY_SECONDS = 5.0
STOP_SECONDS = 10.0
Work = Callable[[], object]
log = logging.getLogger(__name__)


class Keeper:
    """A thread that does one thing at once and some every few seconds, until it is stopped, whatever goes wrong."""

    def __init__(
        self,
        works: Mapping[str, Work],
        *,
        at_once: Work = lambda: None,
        every_seconds: float = EVERY_SECONDS,
        first_after_seconds: float | None = None,
        name: str = "reloads-keeper",
    ) -> None:
        self._works, self._at_once, self._every_seconds = works, at_once, every_seconds
        self._first_after_seconds = every_seconds if first_after_seconds is None else first_after_seconds
        self._stop = Event()
        # As a daemon: a server that was told to end does not wait for a look at all tables.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._faults: dict[str, str] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, after what it does just now."""
        self._stop.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        self._try("beginning", self._at_once)
        pause = self._first_after_seconds
        while not self._stop.wait(pause):
            for name, work in self._works.items():
                self._try(name, work)
            pause = self._every_seconds

    def _try(self, name: str, work: Work) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the next time it may go well
            fault = f"{type(error).__name__}: {error}".partition("\n")[0]
            # One line for each fault, not one every few seconds.
            if self._faults.get(name) != fault:
                log.warning("%s failed (%s); it is tried again", name, fault)
            self._faults[name] = fault
        else:
            self._faults.pop(name, None)


class KeeperInServer:
    """Runs the keeper for as long as Airflow's API server runs, as a middleware of that server."""

    def __init__(
        self,
        app: Any,
        *,
        make_works: Callable[[], Mapping[str, Work]] | None = None,
        make_messages: Callable[[], Mapping[str, Work]] | None = None,
    ) -> None:
        self._app, self._make_works = app, make_works or make_works_of_server
        self._make_messages = make_messages or make_messages_of_server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the server answer; its whole life is one call of its own."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        # What waits for other servers has a thread of its own; and the outbox is there before a run can end anything.
        messenger = Keeper(self._make_messages(), first_after_seconds=0, name="reloads-messenger")
        keepers = [Keeper(self._make_works(), at_once=import_answers), messenger]
        for keeper in keepers:
            keeper.start()
        try:
            await self._app(scope, receive, send)
        finally:
            for keeper in keepers:
                keeper.stop()


def import_answers() -> None:
    """Import all that answers a request: it takes a second, which otherwise the first who opens the page waits for."""
    import reloads.airflow.page.app  # noqa: F401


def make_works_of_server() -> Mapping[str, Work]:
    """What the API server does each time, by what it is called. Nothing is imported or read yet."""
    works = ServerWorks()
    return {
        "noting the paused tables": works.note_paused,
        "announcing what nobody heard": works.announce_unheard,
        "writing the notes of runs": works.write_run_notes,
        "looking at all tables": works.look_at_tables,
    }


def make_messages_of_server() -> Mapping[str, Work]:
    """How the API server tells people what happened. Nothing is imported or read yet."""
    return {"sending messages": ServerMessages().send}


class ServerMessages:
    """The messenger of the server, made when it is needed first: not where the server waits for it to start."""

    def __init__(self) -> None:
        self._messenger: Messenger | None = None

    def send(self) -> None:
        """Tell people what happened."""
        from reloads.airflow.page.messenger import Messenger

        self._messenger = self._messenger or Messenger()
        self._messenger.send()


class ServerWorks:
    """What the API server does from time to time; where the folders are not there, nothing."""

    def __init__(self) -> None:
        self._notes: dict[tuple[Path, Names], RunNotes] = {}
        self._has_metrics = False
        self._heard: dict[Path, HeardTables] = {}

    def note_paused(self) -> None:
        """Write down which tables are paused, for the terminal."""
        from airflow.utils.session import create_session

        from reloads.airflow.page.paused_dags import find_paused_tables
        from reloads.requests.paused_tables import note_paused

        if settings := find_settings():
            with create_session() as session:
                paused = find_paused_tables(session, settings.names)
            note_paused(settings.landing, paused, now=datetime.now(UTC))

    def announce_unheard(self) -> None:
        """Have requests announced again whose tables' DAGs were not there, or paused, until now."""
        from airflow.utils.session import create_session

        from reloads.airflow.page.heard_tables import HeardTables, find_heard_tables
        from reloads.requests.queue import Queue

        if settings := find_settings():
            with create_session() as session:
                heard = find_heard_tables(session, settings.names)
            known = self._heard.setdefault(settings.landing, HeardTables())
            known.look(Queue(settings.landing), heard, now=datetime.now(UTC))

    def write_run_notes(self) -> None:
        """Write the notes of runs that are missing."""
        from reloads.airflow.page.run_notes import RunNotes

        if settings := find_settings():
            place = settings.landing, settings.names
            self._notes.setdefault(place, RunNotes(*place)).look(now=datetime.now(UTC))

    def look_at_tables(self) -> None:
        """Look at what may have changed in any table, keep that for the next server, and measure how things stand."""
        from reloads.airflow.metrics import are_on, initialize_in_server, measure
        from reloads.airflow.page.context import CONTEXTS
        from reloads.airflow.page.kept_overview import kept_overview

        if not find_settings():
            return
        context = CONTEXTS.current()
        kept = kept_overview(context.settings)
        summaries = kept.keep(context.catalog, now=context.now)
        if not are_on():
            return
        if not self._has_metrics:
            initialize_in_server()
            self._has_metrics = True
        measure(summaries, kept.overview.records.read(context.queue, "accepted"), now=context.now)


def find_settings() -> Settings | None:
    """The settings, if the drop folder is there."""
    from reloads.settings import Settings

    settings = Settings.from_environment(os.environ)
    return settings if settings.landing.is_dir() else None
