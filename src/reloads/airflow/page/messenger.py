"""Whoever wants word is told, by the API server: it always runs, and in containers has the only way out."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from airflow.configuration import conf

from reloads.airflow.page.context import CONTEXTS
from reloads.airflow.page.keeper import find_settings
from reloads.requests.outbox import Outbox
from reloads.runs.late_days import note_late_days
from reloads.runs.receivers import Receivers
from reloads.runs.sending import Sender

log = logging.getLogger(__name__)


class Messenger:
    """Tells people what happened, from the outbox of the drop folder; where the folders are not there, nothing."""

    def __init__(self) -> None:
        self._senders: dict[Path, Sender] = {}
        self._unknown: Mapping[str, tuple[str, ...]] = {}

    def send(self) -> None:
        """Have written what somebody wants to hear of, look for late days, and send what can be sent now."""
        if not find_settings():
            return
        context = CONTEXTS.current()
        settings, landing = context.settings, context.settings.landing
        receivers = Receivers.of(settings, context.catalog.tables.values(), os.environ)
        self._complain(receivers.unknown)
        outbox = Outbox(landing)
        outbox.open(receivers.events())
        if not receivers.events():
            return
        page_url = settings.page_url or conf.get("api", "base_url", fallback="").rstrip("/")
        with outbox.held() as is_alone:
            if is_alone:
                if "late" in receivers.events():
                    note_late_days(settings, context.catalog, now=context.now)
                sender = self._senders.setdefault(landing, Sender(outbox))
                sender.send(receivers, page_url=page_url, clock=lambda: datetime.now(UTC))

    def _complain(self, unknown: Mapping[str, tuple[str, ...]]) -> None:
        """Log the names that tables ask for and nobody set, once."""
        for table, names in unknown.items():
            if names and self._unknown.get(table) != names:
                log.warning("%s: notify names %s, which nobody set; set RELOADS_NOTIFY_%s", table, names[0], names[0])
        self._unknown = unknown
