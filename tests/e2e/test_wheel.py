"""The wheel in somebody's own Airflow, which has DAGs, assets and plugins that are called as ours are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.waiting import wait_until
from tests.support.clone import CLONE
from tests.support.outsider import log_in
from tests.support.page_api import PageApi
from tests.support.rest import Rest
from tests.support.standalone import Standalone
from tests.support.wheel import build_wheel, install

PREFIX = "shop_"
TABLES = ("orders", "daily_sales")
OUR_DAGS = {
    f"{PREFIX}{name}" for name in ("request_partitions", "reloads_maintain", "rewrite_orders", "rewrite_daily_sales")
}
THEIR_DAGS = {"request_partitions", "rewrite_orders", "their_reader"}
PATIENCE_SECONDS = 120
BUNDLES = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"

THEIRS = """
from airflow.sdk import DAG, Asset, task

warehouse = Asset("warehouse/orders", uri="s3://theirs/orders")

for name, schedule in (("request_partitions", None), ("rewrite_orders", None), ("their_reader", [warehouse])):
    with DAG(name, schedule=schedule) as dag:

        @task(outlets=[warehouse] if schedule is None else [])
        def work():
            return "theirs"

        work()
"""
THEIR_PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
from sensors import landing

class Theirs(AirflowPlugin):
    name = "warehouse"
    external_views = [{"name": "Theirs", "href": "https://theirs.example/", "url_route": "warehouse"}]
"""


def read_bundles(shop: Path) -> str:
    """The setting as the manual has it, with the folder of this project."""
    manual = (CLONE / "docs" / "existing-airflow.md").read_text(encoding="utf-8")
    [setting] = re.findall(rf"^export {BUNDLES}='(.*)'$", manual, re.MULTILINE)
    assert "/srv/shop" in setting
    return str(setting).replace("/srv/shop", str(shop))


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Standalone:
    """An Airflow with their DAGs, a plugin and a module ``sensors``; ours are a bundle beside theirs."""
    folder = tmp_path_factory.mktemp("wheel")
    install(build_wheel(folder / "dist"), folder / "venv")
    dags, plugins, shop = folder / "dags", folder / "plugins", folder / "shop"
    (plugins / "sensors").mkdir(parents=True)
    dags.mkdir()
    (dags / "theirs.py").write_text(THEIRS)
    (plugins / "sensors" / "__init__.py").touch()
    (plugins / "sensors" / "landing.py").write_text("THEIRS = True\n")
    (plugins / "theirs.py").write_text(THEIR_PLUGIN)
    settings = {
        "RELOADS_HOME": str(shop),
        "RELOADS_PREFIX": PREFIX,
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        BUNDLES: read_bundles(shop),
    }
    airflow = Standalone(folder, venv=folder / "venv", settings=settings)
    assert "made 12 files" in airflow.run("reloads", "init", str(shop))
    return airflow


@pytest.fixture(scope="module")
def rest(standalone: Standalone) -> Iterator[Rest]:
    with standalone.running() as rest:
        yield rest


def await_that(what: str, is_so: Any) -> None:
    assert wait_until(is_so, seconds=PATIENCE_SECONDS), f"{what}: not within {PATIENCE_SECONDS} s"


def published(standalone: Standalone) -> dict[str, int]:
    """How many partitions of each table are published, as any reader sees them, of the week asked for."""
    shop = standalone.folder / "shop" / "warehouse"
    return {name: len(list(shop.glob(f"{name}/order_date=2025-01-0*/data.parquet"))) for name in TABLES}


def test_a_file_dropped_in_somebodys_airflow_becomes_partitions_and_stands_on_the_page(
    standalone: Standalone, rest: Rest
) -> None:
    await_that("all DAGs", lambda: {dag["dag_id"] for dag in rest.get("/dags")["dags"]} >= OUR_DAGS | THEIR_DAGS)
    assert rest.get("/importErrors")["import_errors"] == []
    for dag in OUR_DAGS:
        rest.unpause(dag)
    shop = standalone.folder / "shop"
    shutil.copy(shop / "landing" / "examples" / "first-week.json", shop / "landing" / "first-week.json")
    await_that("the week", lambda: published(standalone) == {"orders": 7, "daily_sales": 7})

    token = json.loads(log_in(standalone.url, "admin", standalone.password).text)["access_token"]
    page = PageApi(standalone.url, token=token)
    tables = page.get("/api/tables")["tables"]
    assert [(table["name"], table["dag"]) for table in tables] == [
        ("orders", "shop_rewrite_orders"),
        ("daily_sales", "shop_rewrite_daily_sales"),
    ]
    days = page.get("/api/tables/orders/days?first=2025-01-01&last=2025-01-07")["days"]
    assert {day["state"] for day in days} == {"fresh"}

    # It ends with 1 if anything is wrong.
    findings = json.loads(standalone.run("reloads", "doctor", "--json"))["findings"]
    warnings = [finding["sentence"] for finding in findings if finding["level"] not in ("good", "wrong")]
    assert [warning.partition(",")[0] for warning in warnings] == [
        "[core] dags_are_paused_at_creation is on",
        "its database is SQLite",
    ]
    rest.pause("shop_rewrite_orders")
    with pytest.raises(RuntimeError, match="shop_rewrite_orders is paused"):
        standalone.run("reloads", "doctor")


def test_their_dags_assets_and_plugins_stay_theirs(rest: Rest) -> None:
    await_that("their DAGs", lambda: {dag["dag_id"] for dag in rest.get("/dags")["dags"]} >= THEIR_DAGS)
    dags = {dag["dag_id"]: dag for dag in rest.get("/dags")["dags"]}
    assert {dags[name]["bundle_name"] for name in OUR_DAGS} == {"reloads"}
    assert {dags[name]["relative_fileloc"] for name in OUR_DAGS} == {"reloads_dags.py"}
    assert {dags[name]["relative_fileloc"] for name in THEIR_DAGS} == {"theirs.py"}
    [theirs] = [asset for asset in rest.get("/assets", limit=100)["assets"] if asset["name"] == "warehouse/orders"]
    assert theirs["uri"] == "s3://theirs/orders"
    assert rest.events("warehouse/orders") == [], "what we publish is no news of theirs"
    plugins = {plugin["name"]: plugin for plugin in rest.get("/plugins")["plugins"]}
    assert [view["url_route"] for view in plugins["warehouse"]["external_views"]] == ["warehouse"]
    routes = [app["url_route"] for app in plugins["reloads"]["react_apps"]]
    assert routes == ["reloads", "reloads-table", "reloads-requests"]
