"""The assets and aliases that connect the DAGs."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.sdk import Asset, AssetAlias, AssetWatcher
from airflow.sdk.definitions.asset import AssetNameRef

from reloads.names import Names
from reloads.settings import Settings

GROUP = "reloads"


@dataclass(frozen=True)
class Assets:
    """The assets and aliases by the names of one deployment."""

    names: Names

    @property
    def requested(self) -> AssetAlias:
        """Through it one task emits as many events on as many ``requested/<table>`` assets as it needs."""
        return AssetAlias(self.names.requested_alias, group=GROUP)

    def request(self, table: str) -> Asset:
        """An event on it asks for the days that its extra names: ``start_date`` and ``end_date``."""
        return Asset(self.names.request_asset(table), group=GROUP)

    def request_schedule(self, table: str) -> list[AssetNameRef]:
        """The schedule that an event on ``requested/<table>`` wakes.

        By name, because Airflow hands each task of a run all events that its DAG was scheduled on as an asset: with
        3,000 of them the API server needs seconds to start a task, with 20,000 it starts none (Airflow 3.3.2).
        """
        return [Asset.ref(name=self.names.request_asset(table))]

    def warehouse(self, table: str) -> Asset:
        """An event on it says that partitions of the table were published; its extra names them."""
        return Asset(self.names.warehouse_asset(table), group=GROUP)

    def rewritten(self, table: str) -> AssetAlias:
        """Through it the last task of a run says what was published, and wakes the next run if something is left."""
        return AssetAlias(self.names.rewritten_alias(table), group=GROUP)


def landing_asset(settings: Settings) -> Asset:
    """The drop folder as an asset: an event on it means that something is to be done there, or with raw files.

    The doorbell watches it, in Airflow's triggerer.
    """
    # It imports what watches folders, and most tasks need none of that.
    from reloads.airflow.doorbell import Doorbell

    doorbell = Doorbell(
        landing=str(settings.landing),
        source=str(settings.source),
        tables=str(settings.tables),
        observer=settings.observer,
        rescan_seconds=settings.rescan_seconds,
        stable_seconds=settings.stable_seconds,
        time_zone=settings.time_zone,
    )
    watchers = [AssetWatcher(name="doorbell", trigger=doorbell)]
    return Asset(settings.names.landing_asset, group=GROUP, watchers=watchers)
