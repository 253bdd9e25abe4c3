"""Airflow plugin: the Warehouse page, in the navigation, on each DAG and on each run.

Airflow finds it by the entry point ``airflow.plugins`` of the package. Every Airflow process loads this module, tasks
too, and only the API server serves anything: so nothing is imported here but what describes the page.
"""

from __future__ import annotations

import asyncio
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from reloads.airflow.page.documents import DocumentPolicy
from reloads.airflow.page.keeper import KeeperInServer
from reloads.names import PAGE

PREFIX = "/reloads"
NAME = "Warehouse"
"""What the user interface calls the page, and by which name it keeps the loaded component."""


class LazyApp:
    """The API of the page, made when the first request comes: tasks load plugins, too, and serve nothing."""

    def __init__(self) -> None:
        self._app: Any = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by the app."""
        if self._app is None:
            async with self._lock:
                # In a thread: all that it imports takes a second, in which the server answers others.
                self._app = self._app or await asyncio.to_thread(_make_app)
        await self._app(scope, receive, send)


def _make_app() -> Any:
    from reloads.airflow.page.app import make_app

    return make_app()


def _page(route: str, destination: str) -> dict[str, str]:
    return {
        "name": NAME,
        "bundle_url": f"{PREFIX.removeprefix('/')}/static/page.js",
        "url_route": route,
        "destination": destination,
    }


class WarehousePlugin(AirflowPlugin):
    """What Airflow finds."""

    name = "reloads"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": PREFIX, "name": "Reloads"}]  # noqa: RUF012 - Airflow's own form
    fastapi_root_middlewares = [  # noqa: RUF012 - Airflow's own form
        {"name": "reloads_document_policy", "middleware": DocumentPolicy, "kwargs": {"own_plugin": name}},
        {"name": "reloads_keeper", "middleware": KeeperInServer},
    ]
    react_apps = [  # noqa: RUF012 - Airflow's own form
        _page(PAGE, "nav"),
        _page(f"{PAGE}-table", "dag"),
        _page(f"{PAGE}-requests", "dag_run"),
    ]
