"""Whether anybody works at requests: Airflow's API server leaves a note every few seconds while it runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from reloads.cli.console import session
from reloads.requests.paused_tables import STALE_AFTER, read_noted_at

CURE = "start it, with make up or make stack, or see whether its API server has the plugin reloads"


def describe_absence(landing: Path, *, now: datetime) -> str | None:
    """A sentence that says that Airflow does not run here; None while it does."""
    from reloads.cli.screen import format_time

    noted_at = read_noted_at(landing)
    if noted_at and abs(now - noted_at) < STALE_AFTER:
        return None
    since = f"was heard of last at {format_time(noted_at, session.zone)}" if noted_at else "was never heard of here"
    return f"Airflow {since}, so nobody may be at work; {CURE}"
