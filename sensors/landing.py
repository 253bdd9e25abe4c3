"""The drop folder as an asset: an event on it means that something is to be done in ``landing/``, or with raw files."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from reloads.airflow.doorbell import Doorbell
from reloads.settings import Settings


def landing_asset(settings: Settings) -> Asset:
    """The asset ``landing``, watched by the doorbell, which runs in Airflow's triggerer."""
    doorbell = Doorbell(
        landing=str(settings.landing),
        source=str(settings.source),
        tables=str(settings.tables),
        observer=settings.observer,
        rescan_seconds=settings.rescan_seconds,
        stable_seconds=settings.stable_seconds,
        time_zone=settings.time_zone,
    )
    return Asset("landing", group="reloads", watchers=[AssetWatcher(name="doorbell", trigger=doorbell)])
