"""Does a file lie in the drop folder that nobody takes, or a request that nobody works at?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from reloads.errors import ReloadsError, one_line
from reloads.inspection.doctor.finding import Finding, good, wrong
from reloads.inspection.open_requests import list_open_requests
from reloads.requests.drop_folder import list_arrivals
from reloads.settings import Settings

PATIENCE = timedelta(minutes=10)
"""How long an open request may wait for its turn."""

NOT_HANGING = ("running", "waiting_for_file", "waiting_for_input")
"""What works, and what waits for something that is looked at by itself."""


def examine_requests(settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """The files and requests that wait for longer than they should."""
    if not settings.landing.is_dir():
        return
    try:
        hanging = [*_find_files(settings, now), *_find_requests(settings, now)]
    except ReloadsError as error:
        hanging = [str(error)]
    for sentence in hanging:
        yield wrong("requests", sentence)
    if not hanging:
        yield good("requests", "no file and no request waits for longer than it should")


def _find_files(settings: Settings, now: datetime) -> Iterator[str]:
    patience = timedelta(seconds=2 * settings.rescan_seconds + settings.stable_seconds)
    for file in list_arrivals(settings.landing):
        arrived = datetime.fromtimestamp(file.arrived_ns / 1e9, UTC)
        if now - arrived > patience:
            dag = settings.names.intake_dag
            sentence = f"{file.name} lies in the drop folder since {_show(arrived)} and {dag} does not take it"
            yield f"{sentence}; see that Airflow runs, its triggerer too, and that {dag} is on"


def _find_requests(settings: Settings, now: datetime) -> Iterator[str]:
    for record, standing in list_open_requests(settings, now=now):
        if standing.kind not in NOT_HANGING and now - record.accepted_at > PATIENCE:
            since = f"{record.id} is open since {_show(record.accepted_at)}"
            dag = settings.names.rewrite_dag(record.table)
            yield f"{since}: {one_line(standing.sentence)}; see that Airflow runs and what the last run of {dag} says"


def _show(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
