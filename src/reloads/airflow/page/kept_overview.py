"""The list of all tables, as the answers and the keeper of one server share it, and as the next server begins with it.

What was looked at lies in ``landing/.page/overview.json``. To look at all days of fifty tables takes ten seconds, and
nobody waits for that: an answer leaves out what is not known yet, and the keeper goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Lock

from reloads.errors import OperatorError
from reloads.files import make_own_folder, write_atomically
from reloads.inspection.overview import Overview, TableSummary
from reloads.settings import Settings
from reloads.tables.catalog import Catalog

PATIENCE_SECONDS = 0.3
"""So long an answer waits for tables that were never looked at."""

log = logging.getLogger(__name__)


class KeptOverview:
    """The overview of one deployment, begun with what the last server kept."""

    def __init__(self, settings: Settings) -> None:
        self.overview = Overview(settings)
        self._file = settings.landing / ".page" / "overview.json"
        self._kept: object = None
        with suppress(OSError, ValueError, AttributeError):
            self.overview.restore(json.loads(self._file.read_bytes()))

    def keep(self, catalog: Catalog, *, now: datetime) -> Mapping[str, TableSummary | None]:
        """Look at what no answer has looked at, or not for long, and write down what is new; how all tables stand."""
        summaries = self.overview.summarize(catalog, now=now)
        stamp = self.overview.stamp()
        if stamp == self._kept:
            return summaries
        try:
            make_own_folder(self._file.parent)
            write_atomically(self._file, json.dumps(self.overview.to_json(), separators=(",", ":")))
        except OperatorError as error:
            log.warning("%s; until then a server that is started anew looks at all days", error)
        self._kept = stamp
        return summaries


_lock = Lock()
_overviews: dict[Path, KeptOverview] = {}


def kept_overview(settings: Settings) -> KeptOverview:
    """The one of this deployment in this server."""
    with _lock:
        kept = _overviews.get(settings.home)
        if kept is None or kept.overview.settings != settings:
            kept = _overviews[settings.home] = KeptOverview(settings)
        return kept
