"""The asset ``landing``, whose event wakes the DAG that takes requests: files in ``landing/``, or raw files, came.

To be woken by something else, as by a message, give the asset another watcher here.
"""

from __future__ import annotations

import os

from reloads.airflow.assets import landing_asset
from reloads.settings import Settings

LANDING = landing_asset(Settings.from_environment(os.environ))
