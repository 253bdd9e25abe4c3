"""The whole examination, from what everything depends on to what depends on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from reloads.errors import OperatorError, ReloadsError
from reloads.inspection.check_tables import check_tables
from reloads.inspection.doctor.airflow_state import examine_airflow
from reloads.inspection.doctor.clock import examine_clock
from reloads.inspection.doctor.file_events import examine_events
from reloads.inspection.doctor.finding import Finding, good, warning, wrong
from reloads.inspection.doctor.folders import examine_folders, examine_room
from reloads.inspection.doctor.requests import examine_requests
from reloads.inspection.doctor.versions import examine_versions
from reloads.settings import Settings
from reloads.warehouse.move_notes import list_begun


def examine(environment: Mapping[str, str], *, now: datetime) -> Iterator[Finding]:
    """What is wrong with the deployment that these variables describe, and what is as it should be.

    Small files are written and removed again; nothing else changes.
    """
    faults = Settings.find_faults(environment)
    for sentence in faults.values():
        yield wrong("settings", sentence)
    if not faults:
        yield good("settings", "every RELOADS_ variable is a setting with a good value")
    # The rest is looked at as if those were not set.
    rest = {name: text for name, text in environment.items() if name not in faults}
    settings = Settings.from_environment(rest)
    yield from examine_versions()
    yield from examine_folders(settings)
    if settings.sees_landing:
        yield from examine_events(settings)
    yield from examine_clock(settings, now=now)
    yield from examine_room(settings)
    yield from _examine_moves(settings)
    yield from _examine_tables(settings)
    if settings.sees_landing:
        yield from examine_requests(settings, now=now)
    yield from examine_airflow(settings, rest)


def _examine_moves(settings: Settings) -> Iterator[Finding]:
    """Tables that are away, because a rename or drop of them was interrupted."""
    try:
        for move in list_begun(settings.warehouse):
            yield wrong("tables", f"{move.command} was interrupted, and {move.table} is away; give that command again")
    except OperatorError as error:
        yield wrong("tables", str(error))


def _examine_tables(settings: Settings) -> Iterator[Finding]:
    try:
        checked = check_tables(settings)
    except ReloadsError as error:
        for sentence in str(error).splitlines():
            yield wrong("tables", sentence)
    else:
        for sentence in checked.gaps():
            yield warning("tables", sentence)
        yield good("tables", f"all are good: {', '.join(checked.names) or 'there are none yet'}")
