"""The DAGs that a DAG file of three lines makes, as Airflow reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reloads.names import Names
from reloads.tables.template import make_project
from tests.support.clone import CLONE

PARSE = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1], bundle_path=Path(sys.argv[1]), bundle_name="theirs")
dags = {dag.dag_id: [dag.fileloc, dag.relative_fileloc] for dag in bag.dags.values()}
names = set()
for dag in bag.dags.values():
    names |= {asset.name for task in dag.tasks for asset in (*task.inlets, *task.outlets)}
    condition = getattr(dag.timetable, "asset_condition", None)
    names |= {asset.name for asset in condition.objects} if condition else set()
executors = {task.task_id: task.executor for dag in bag.dags.values() for task in dag.tasks}
watching = sorted(name for name in sys.modules if name.startswith("watchdog"))
print(json.dumps({"dags": dags, "names": sorted(names), "errors": bag.import_errors, "watching": watching,
    "executors": executors}))
"""


def parse(folder: Path, home: Path, **settings: str) -> Any:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RELOADS_", "AIRFLOW"))}
    environment = {"RELOADS_HOME": str(home), "AIRFLOW_HOME": str(home / ".airflow"), **settings}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PARSE, str(folder)],
        env=inherited | environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("prefix", ["", "shop_"])
def test_every_dag_and_asset_has_the_name_that_names_has_for_it(tmp_path: Path, prefix: str) -> None:
    make_project(tmp_path)
    parsed = parse(tmp_path / "dags", tmp_path, RELOADS_PREFIX=prefix)
    names = Names(prefix)
    tables = ("orders", "daily_sales")
    assert parsed["errors"] == {}
    assert parsed["dags"].keys() == {names.intake_dag, names.maintain_dag, *map(names.rewrite_dag, tables)}
    of_tables = (names.request_asset, names.warehouse_asset, names.rewritten_alias)
    expected = {names.landing_asset, names.requested_alias, *(name(table) for name in of_tables for table in tables)}
    assert set(parsed["names"]) == expected
    assert all(name.startswith(prefix) for name in expected)


def test_the_process_of_a_task_makes_the_dag_of_that_task_alone_and_imports_nothing_that_watches(
    tmp_path: Path,
) -> None:
    make_project(tmp_path)
    of_task = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": "rewrite_orders", "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "plan"}
    parsed = parse(tmp_path / "dags", tmp_path, **of_task)
    assert (list(parsed["dags"]), parsed["watching"], parsed["errors"]) == (["rewrite_orders"], [], {})
    elsewhere = parse(tmp_path / "dags", tmp_path, _AIRFLOW_PARSING_CONTEXT_DAG_ID="theirs")
    assert (elsewhere["dags"], elsewhere["errors"]) == ({}, {})


def test_a_dag_is_of_the_file_that_asks_for_it_wherever_that_lies(tmp_path: Path) -> None:
    make_project(tmp_path / "shop")
    theirs = tmp_path / "their dags" / "deep"
    theirs.mkdir(parents=True)
    (tmp_path / "shop" / "dags" / "reloads_dags.py").rename(theirs / "warehouse.py")
    parsed = parse(theirs.parent, tmp_path / "shop")
    assert set(map(tuple, parsed["dags"].values())) == {(str(theirs / "warehouse.py"), "deep/warehouse.py")}


def test_the_dag_file_of_a_project_has_three_lines_and_stands_in_the_manual() -> None:
    text = (CLONE / "src/reloads/template/project/dags/reloads_dags.py").read_text()
    assert len([line for line in text.splitlines() if line]) == 3
    assert f"```python\n{text}```" in (CLONE / "docs" / "existing-airflow.md").read_text()


def test_our_own_dag_files_are_what_a_user_has_and_the_sensor_of_our_own() -> None:
    project = CLONE / "src/reloads/template/project/dags"
    ours = {path.name: path.read_text() for path in (CLONE / "dags").glob("*.py")}
    theirs = {path.name: path.read_text() for path in project.glob("*.py")}
    sensor = "from sensors.landing import make_landing\n"
    assert sensor in ours["reloads_dags.py"]
    ours["reloads_dags.py"] = ours["reloads_dags.py"].replace(sensor, "").replace("landing=make_landing", "")
    assert ours == theirs


def test_a_broken_table_is_an_import_error_of_a_file_of_its_own(tmp_path: Path) -> None:
    make_project(tmp_path)
    (tmp_path / "tables" / "daily_sales" / "query.sql").write_text("selec 1")
    parsed = parse(tmp_path / "dags", tmp_path)
    [error] = parsed["errors"].values()
    assert "daily_sales/query.sql does not parse" in error
    assert "rewrite_orders" in parsed["dags"]


def test_only_batches_go_to_the_executor_of_workers(tmp_path: Path) -> None:
    make_project(tmp_path)
    both = "reloads.airflow.warm_executor.WarmLocalExecutor,LocalExecutor"
    parsed = parse(tmp_path / "dags", tmp_path, RELOADS_EXECUTOR="LocalExecutor", AIRFLOW__CORE__EXECUTOR=both)

    assert parsed["errors"] == {}
    assert {task for task, executor in parsed["executors"].items() if executor} == {"rewrite"}
    assert parsed["executors"]["rewrite"] == "LocalExecutor"


def test_an_executor_that_airflow_does_not_have_is_an_import_error_that_names_it(tmp_path: Path) -> None:
    make_project(tmp_path)
    parsed = parse(
        tmp_path / "dags", tmp_path, RELOADS_EXECUTOR="CeleryExecutor", AIRFLOW__CORE__EXECUTOR="LocalExecutor"
    )

    [error] = parsed["errors"].values()
    assert "CeleryExecutor" in error
