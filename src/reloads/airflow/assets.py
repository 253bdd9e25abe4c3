"""The assets and aliases that connect the DAGs."""

from __future__ import annotations

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetNameRef

REQUESTED = AssetAlias("requested", group="reloads")
"""Through it one task emits as many events on as many ``requested/<table>`` assets as it needs."""


def request_asset(table: str) -> Asset:
    """An event on it asks for the days that its extra names: ``start_date`` and ``end_date``."""
    return Asset(f"requested/{table}", group="reloads")


def request_schedule(table: str) -> list[AssetNameRef]:
    """The schedule that an event on ``requested/<table>`` wakes.

    By name, because Airflow hands each task of a run all events that its DAG was scheduled on as an asset: with 3,000
    of them the API server needs seconds to start a task, with 20,000 it starts none (Airflow 3.3.2).
    """
    return [Asset.ref(name=request_asset(table).name)]


def warehouse_asset(table: str) -> Asset:
    """An event on it says that partitions of the table were published; its extra names them."""
    return Asset(f"warehouse/{table}", group="reloads")


def rewritten_alias(table: str) -> AssetAlias:
    """Through it the last task of a run says what was published, and wakes the next run if something is left."""
    return AssetAlias(f"rewritten/{table}", group="reloads")
