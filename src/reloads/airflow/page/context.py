"""What the handlers look at: the settings, the tables as they lie on disk now, the queue and the time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Annotated

from fastapi import Depends

from reloads.airflow.page.kept_overview import kept_overview
from reloads.airflow.page.open_look import OpenLook
from reloads.inspection.overview import Overview
from reloads.requests.queue import Queue
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog

Stamp = tuple[str, int, int]


@dataclass(frozen=True)
class Context:
    """What one request to the server looks at."""

    settings: Settings
    catalog: Catalog
    overview: Overview
    open_look: OpenLook
    now: datetime

    @property
    def queue(self) -> Queue:
        """The folders of requests."""
        return Queue(self.settings.landing)


class CatalogCache:
    """Keeps the tables until a file of their folders changes: to read fifty takes a second, to look at them 2 ms."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stamps: tuple[Settings, frozenset[Stamp]] | None = None
        self._catalog: Catalog | None = None

    def load(self, settings: Settings) -> Catalog:
        """The tables as they are on disk now."""
        with self._lock:
            stamps = settings, frozenset(_stamps(settings.tables))
            if self._catalog is None or self._stamps != stamps:
                # The stamps are from before the reading, so what changes meanwhile is read next time.
                self._catalog, self._stamps = open_catalog(settings), stamps
            return self._catalog


def _stamps(folder: Path) -> Iterator[Stamp]:
    """What changes with any file of the tables: name, time and size of each."""
    for place in (folder, *(child for child in folder.glob("*/"))):
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat()
                    yield entry.path, status.st_mtime_ns, status.st_size


class Contexts:
    """Makes contexts, and keeps for the next one what was read for this one."""

    def __init__(self) -> None:
        self._catalogs = CatalogCache()
        self._open_look = OpenLook()

    def current(self) -> Context:
        """The context of this moment."""
        settings = Settings.from_environment(os.environ)
        overview = kept_overview(settings).overview
        return Context(settings, self._catalogs.load(settings), overview, self._open_look, datetime.now(UTC))


CONTEXTS = Contexts()
"""Those of this process: what answers and what runs in the background share what they have read."""


def current_context() -> Context:
    """What a request to the server looks at."""
    return CONTEXTS.current()


ContextDep = Annotated[Context, Depends(current_context)]
