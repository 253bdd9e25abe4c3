"""The asset ``landing``, whose event wakes the DAG that takes requests: files in ``landing/``, or raw files, came.

To be woken by something else, as by a message, give the asset another watcher here.
"""

from __future__ import annotations

from airflow.sdk import Asset

from reloads.airflow.assets import landing_asset
from reloads.settings import Settings


def make_landing(settings: Settings) -> Asset:
    """The asset with its watcher. It is a function, as only the DAG that takes requests needs it."""
    return landing_asset(settings)
