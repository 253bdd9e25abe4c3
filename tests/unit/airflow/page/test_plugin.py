"""What Airflow finds: the page in its places, its server below the prefix, and nothing that tasks have to load."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from reloads.airflow.page.plugin import PREFIX, LazyApp, WarehousePlugin
from reloads.airflow.page.static_files import FOLDER

LOADED = """
import sys
import airflow.plugins_manager
import reloads
import reloads.names
before = set(sys.modules)
import reloads.airflow.page.plugin
new = {name for name in set(sys.modules) - before if not name.startswith("reloads.airflow")}
print(sorted(new), [name for name in sys.modules if name.startswith("reloads.airflow.page.")])
"""


def test_the_package_announces_the_plugin() -> None:
    [found] = [each for each in entry_points(group="airflow.plugins") if each.name == "reloads"]
    assert found.load() is WarehousePlugin
    assert issubclass(WarehousePlugin, AirflowPlugin)


def test_a_task_that_loads_the_plugin_loads_nothing_that_serves() -> None:
    printed = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True).stdout
    served = ("documents", "keeper", "plugin")
    assert printed.splitlines()[-1] == f"[] {[f'reloads.airflow.page.{name}' for name in served]}"


def test_every_file_that_a_page_names_is_below_the_prefix() -> None:
    [app] = WarehousePlugin.fastapi_apps
    assert app["url_prefix"] == PREFIX
    for page in WarehousePlugin.react_apps:
        # Without the slash: Airflow itself may stand below a path.
        prefix, folder, name = page["bundle_url"].split("/")
        assert (f"/{prefix}", folder) == (PREFIX, "static")
        assert (FOLDER / name).is_file()


def test_the_server_of_the_page_is_made_once_by_the_first_requests() -> None:
    lazy, answered = LazyApp(), list[int]()

    async def ask() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answered.append(message["status"])

        scope = {"type": "http", "method": "GET", "path": "/api/tables", "headers": [], "query_string": b""}
        await lazy(scope | {"root_path": "", "http_version": "1.1", "scheme": "http"}, receive, send)

    async def ask_at_once() -> None:
        await asyncio.gather(ask(), ask(), ask())

    asyncio.run(ask_at_once())
    made = lazy._app
    asyncio.run(ask())
    assert answered == [401] * 4
    assert lazy._app is made
