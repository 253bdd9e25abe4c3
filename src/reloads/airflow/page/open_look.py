"""Where the open requests stand, for all who look at the page: a look that takes long serves for a while.

Of 12,000 open requests it takes three seconds to say what each waits for, and every open page asks every two seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from time import monotonic

from reloads.inspection.open_requests import list_open_requests
from reloads.planning.standing import Standing
from reloads.requests.record import Record
from reloads.requests.record_cache import RecordCache
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

AT_ONCE_SECONDS = 0.1
"""A look that takes no longer is made anew each time."""

PAUSE_SHARE = 5
"""A longer one serves for so many times as long as it took."""

OpenRequests = Mapping[str, tuple[Record, Standing]]
"""By id, oldest first."""


@dataclass(frozen=True)
class _Look:
    settings: Settings
    paused: frozenset[str]
    found: OpenRequests
    good_until: float


class OpenLook:
    """The last look of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._look: _Look | None = None

    def read(
        self, settings: Settings, catalog: Catalog, records: RecordCache, *, now: datetime, paused: Collection[str]
    ) -> OpenRequests:
        """All accepted requests by id, each with its progress and with where it stands."""
        with self._lock:
            look, begun, paused = self._look, monotonic(), frozenset(paused)
            if look and (look.settings, look.paused) == (settings, paused) and begun < look.good_until:
                return look.found
            listed = list_open_requests(settings, now=now, catalog=catalog, paused=paused, cache=records)
            found = {record.id: (record, standing) for record, standing in listed}
            seconds = monotonic() - begun
            pause = PAUSE_SHARE * seconds if seconds > AT_ONCE_SECONDS else 0
            self._look = _Look(settings, paused, found, monotonic() + pause)
            return found
