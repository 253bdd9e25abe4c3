"""The open requests, each with its progress and with where it stands."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from reloads.errors import TableError
from reloads.planning.standing import Standing, find_standings
from reloads.requests.paused_tables import read_paused
from reloads.requests.progress import with_progress
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.requests.record_cache import RecordCache
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.raw_files import RawFiles


def list_open_requests(
    settings: Settings,
    *,
    now: datetime,
    catalog: Catalog | None = None,
    paused: Collection[str] | None = None,
    cache: RecordCache | None = None,
) -> list[tuple[Record, Standing]]:
    """All accepted requests, oldest first. Who does not know which tables are ``paused`` takes Airflow's last note."""
    accepted = (cache or RecordCache()).read(Queue(settings.landing), "accepted")
    records = with_progress(settings.landing, accepted, now=now)
    if not records:
        return []
    if paused is None:
        paused = read_paused(settings.landing, now=now)
    catalog = catalog or _load_catalog(settings)
    raw = RawFiles.look_to_show(settings)
    standings = find_standings(records, catalog=catalog, raw=raw, names=settings.names, paused=paused)
    return [(record, standings[record.id]) for record in records]


def _load_catalog(settings: Settings) -> Catalog:
    """The catalog; an empty one where the folder of tables is away, which must not hide the requests."""
    try:
        return Catalog.load(settings.tables)
    except TableError:
        return Catalog({}, {})
