"""The DAG files: which DAGs there are and what shape they have, parsed as Airflow parses them, without a database."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reloads.requests.form import is_filled_in
from tests.support.clone import CLONE

DAGS = CLONE / "dags"
FILES = {"reloads_dags.py", "reloads_broken_tables.py"}

PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

def assets(dag):
    condition = getattr(dag.timetable, "asset_condition", None)
    return [asset.name for asset in condition.objects] if condition else []

def task_as_json(task):
    return {
        "after": sorted(task.upstream_task_ids),
        "mapped": task.is_mapped,
        "teardown": task.is_teardown,
        "reddens the run": task.on_failure_fail_dagrun,
        "retries": task.retries,
        "weight rule": str(task.weight_rule),
        "queue": task.queue,
        "pool": task.pool,
        "minutes": task.execution_timeout.total_seconds() / 60 if task.execution_timeout else None,
        "inlets": [inlet.name for inlet in task.inlets],
        "outlets": [outlet.name for outlet in task.outlets],
    }

def dag_as_json(dag):
    return {
        "tasks": {task.task_id: task_as_json(task) for task in dag.tasks},
        "assets": assets(dag),
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "doc": dag.doc_md,
        "description": dag.description,
        "defaults": dag.params.dump(),
    }

heavy = {"duckdb", "pyarrow", "polars", "pandas", "reloads.inspection.check_tables"}
parsed = {"dags": {}, "errors": {}, "heavy": {}}
for file in sys.argv[1:]:
    bag = DagBag(file)
    for path, error in bag.import_errors.items():
        parsed["errors"][path.rpartition("/")[2]] = error
    parsed["heavy"][file.rpartition("/")[2]] = sorted(heavy & sys.modules.keys())
    for dag_id, dag in bag.dags.items():
        parsed["dags"][dag_id] = dag_as_json(dag)
        if dag_id == "request_partitions":
            [asset] = dag.timetable.asset_condition.objects
            [watcher] = asset.watchers
            cron = dag.timetable.timetable
            parsed["clock"] = [cron.expression, cron.timezone]
            parsed["doorbell"] = watcher.trigger.serialize()
print(json.dumps(parsed, default=str))
"""


def parse(home: Path, **environment: str) -> Any:
    """What Airflow reads from the DAG files, opened one after another; those that import more come later."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RELOADS_", "AIRFLOW"))}
    files = [str(DAGS / name) for name in sorted(FILES, reverse=True)]
    run = subprocess.run(
        [sys.executable, "-c", PARSE, *files],
        env=inherited
        | {"RELOADS_HOME": str(home), "AIRFLOW_HOME": str(home / "airflow"), "PYTHONPATH": str(DAGS.parent)}
        | environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def make_table(home: Path, name: str, query: str = "select date '2025-01-01' as day, 1 as n", toml: str = "") -> None:
    folder = home / "tables" / name
    folder.mkdir(parents=True)
    (folder / "query.sql").write_text(query)
    (folder / "table.toml").write_text(f'day_column = "day"\nfirst_day = 2024-01-01\n{toml}\n')


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("good")
    make_table(home, "sales", "select day, n from visits")
    (home / "tables" / "sales" / "README.md").write_text(
        "# Sales\n\nSold goods, one row each.\n\nReturned goods are left out.\n"
    )
    make_table(home, "visits")
    return parse(
        home,
        RELOADS_TIME_ZONE="Europe/Berlin",
        RELOADS_DAILY_SCHEDULE="15 4 * * *",
        RELOADS_OBSERVER="polling",
        RELOADS_RETRIES="5",
    )


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("broken")
    make_table(home, "sales")
    make_table(home, "typo", "selec 1")
    make_table(home, "unbound", "from nowhere")
    make_table(home, "Bad Name")
    (home / "tables" / "empty").mkdir()
    return parse(home)


def test_every_dag_file_is_one_that_is_tested_here() -> None:
    assert {path.name for path in DAGS.rglob("*.py")} == FILES


def test_there_is_one_dag_that_asks_and_one_for_each_table(good: Any) -> None:
    assert good["errors"] == {}
    assert sorted(good["dags"]) == ["reloads_maintain", "request_partitions", "rewrite_sales", "rewrite_visits"]


def test_parsing_imports_nothing_heavy(good: Any) -> None:
    assert good["heavy"]["reloads_dags.py"] == []


def test_every_dag_explains_itself_and_runs_once_at_a_time(good: Any) -> None:
    for dag in good["dags"].values():
        assert dag["doc"].strip().startswith("###")
        runs_at_once = 2 if dag["doc"].strip().startswith("### Who asks") else 1
        assert (dag["max_active_runs"], dag["catchup"]) == (runs_at_once, False)


def test_request_partitions_is_a_task_that_announces_and_one_that_shows_what_was_rejected(good: Any) -> None:
    request, rejected = good["dags"]["request_partitions"]["tasks"].values()
    assert (request["outlets"], request["retries"], request["after"]) == (["requested"], 5, [])
    assert (rejected["mapped"], rejected["retries"], rejected["after"]) == (True, 0, ["request"])


def test_request_partitions_listens_to_the_clock_and_the_doorbell(good: Any) -> None:
    assert good["dags"]["request_partitions"]["assets"] == ["landing"]
    assert good["clock"] == ["15 4 * * *", "Europe/Berlin"]
    path, arguments = good["doorbell"]
    assert path == "reloads.airflow.doorbell.Doorbell"
    assert (arguments["observer"], arguments["rescan_seconds"], arguments["stable_seconds"]) == ("polling", 60, 3)
    assert arguments["landing"].endswith("/landing")


def test_request_partitions_has_a_form(good: Any) -> None:
    params = good["dags"]["request_partitions"]["params"]
    assert [name for name in params if "section" not in params[name]] == ["table", "start_date", "end_date", "reason"]
    more = [name for name in params if "section" in params[name]]
    assert more == ["only", "keys", "parameters", "cascade", "mode"]
    assert len({params[name]["section"] for name in more}) == 1
    assert params["only"]["enum"] == ["all", "missing", "stale"]
    assert params["mode"]["enum"] == [None, "daily", "custom"]
    assert params["table"]["enum"] == [None, "sales", "visits"]
    assert params["start_date"]["format"] == params["end_date"]["format"] == "date"


@pytest.mark.parametrize("table", ["sales", "visits"])
def test_a_table_is_planned_rewritten_in_mapped_tasks_and_settled_whatever_happens(good: Any, table: str) -> None:
    dag = good["dags"][f"rewrite_{table}"]
    tasks = dag["tasks"]
    assert {name: task["after"] for name, task in tasks.items()} == {
        "plan": [],
        "rewrite": ["plan"],
        "settle": ["rewrite"],
    }
    assert [name for name, task in tasks.items() if task["mapped"]] == ["rewrite"]
    assert [name for name, task in tasks.items() if task["teardown"]] == ["settle"]
    assert not tasks["settle"]["reddens the run"], "it would be the only task that counts"
    assert {task["retries"] for task in tasks.values()} == {5}


def test_a_run_that_began_goes_on_before_another_begins(good: Any) -> None:
    tasks = good["dags"]["rewrite_sales"]["tasks"]
    assert {task["weight rule"] for task in tasks.values()} == {"upstream"}, "the later the task, the sooner its turn"
    assert tasks["rewrite"]["after"] == ["plan"]


def test_only_the_rewrites_of_a_table_have_the_queue_and_all_have_the_pool_and_the_time_that_it_asks_for(
    tmp_path: Path,
) -> None:
    make_table(tmp_path, "plain")
    make_table(tmp_path, "big", toml='queue = "big-machines"\npool = "big"\nbatch_minutes = 200')
    make_table(tmp_path, "pooled", toml='pool = "small"')
    make_table(tmp_path, "broken", toml='queue = 3\npool = "small"')
    here = parse(tmp_path)["dags"]
    assert {name: places(here[f"rewrite_{name}"]) for name in ("plain", "big", "pooled", "broken")} == {
        "plain": {"plan": ("default", "default_pool", 95), "rewrite": ("default", "default_pool", 95)},
        "big": {"plan": ("default", "default_pool", 205), "rewrite": ("big-machines", "big", 205)},
        "pooled": {"plan": ("default", "small", 95), "rewrite": ("default", "small", 95)},
        "broken": {"plan": ("default", "default_pool", 95), "rewrite": ("default", "default_pool", 95)},
    }
    away = parse(tmp_path, RELOADS_QUEUE="workers", RELOADS_POOL="rewrites", RELOADS_BATCH_MINUTES="30")["dags"]
    assert {name: places(away[f"rewrite_{name}"]) for name in ("plain", "big")} == {
        "plain": {"plan": ("default", "rewrites", 35), "rewrite": ("workers", "rewrites", 35)},
        "big": {"plan": ("default", "rewrites", 205), "rewrite": ("big-machines", "big", 205)},
    }
    for dag in (*here.values(), *away.values()):
        assert {task["queue"] for name, task in dag["tasks"].items() if name != "rewrite"} == {"default"}


def places(dag: Any) -> dict[str, tuple[str, str, float]]:
    """Where the tasks run that may rewrite, and for how long."""
    return {
        name: (task["queue"], task["pool"], task["minutes"]) for name, task in dag["tasks"].items() if task["minutes"]
    }


def test_a_table_wakes_for_its_own_events_only(good: Any) -> None:
    dag = good["dags"]["rewrite_sales"]
    assert dag["assets"] == ["requested/sales"]
    assert dag["tasks"]["plan"]["inlets"] == ["requested/sales", "warehouse/sales"]
    assert dag["tasks"]["settle"]["outlets"] == ["rewritten/sales"]
    assert dag["tasks"]["rewrite"]["outlets"] == []


def test_a_table_can_be_asked_for_by_hand(good: Any) -> None:
    params = good["dags"]["rewrite_sales"]["params"]
    assert [name for name in params if "section" not in params[name]] == ["start_date", "end_date", "reason"]
    assert [name for name in params if "section" in params[name]] == ["only", "keys", "parameters", "cascade"]


@pytest.mark.parametrize("dag", ["request_partitions", "rewrite_sales"])
def test_a_form_as_it_is_opened_has_nothing_filled_in(good: Any, dag: str) -> None:
    assert not is_filled_in(good["dags"][dag]["defaults"])


def test_a_table_has_the_text_of_its_folder(good: Any) -> None:
    sales, visits = good["dags"]["rewrite_sales"], good["dags"]["rewrite_visits"]
    assert sales["description"] == "Sold goods, one row each"
    assert "Returned goods are left out." in sales["doc"]
    assert "**Reads**: visits" in sales["doc"]
    assert (visits["description"], "**Reads**: no other table" in visits["doc"]) == (
        "Rewrite the partitions of visits",
        True,
    )
    assert all("### Rewrite the partitions asked for" in dag["doc"] for dag in (sales, visits))


def test_broken_tables_are_one_import_error_that_names_each_file_and_rule(broken: Any) -> None:
    assert list(broken["errors"]) == ["reloads_broken_tables.py"]
    error = broken["errors"]["reloads_broken_tables.py"]
    for sentence in (
        "tables/typo/query.sql does not parse",
        "tables/unbound/query.sql: Catalog Error: Table with name nowhere does not exist",
        "tables/empty/table.toml is missing",
        "tables/Bad Name: a table's name is lower case",
    ):
        assert sentence in error


def test_the_other_tables_keep_their_dags(broken: Any) -> None:
    assert {"request_partitions", "rewrite_sales"} <= broken["dags"].keys()
    assert "rewrite_Bad Name" not in broken["dags"]


def test_a_wrong_setting_is_an_import_error_that_names_it(tmp_path: Path) -> None:
    make_table(tmp_path, "sales")
    parsed = parse(tmp_path, RELOADS_TIME_ZONE="Mars/Base")
    assert parsed["dags"] == {}
    assert set(parsed["errors"]) == FILES
    assert all("RELOADS_TIME_ZONE='Mars/Base' is not valid" in error for error in parsed["errors"].values())


def test_parsing_writes_nothing_into_the_home(tmp_path: Path) -> None:
    make_table(tmp_path, "sales")
    parse(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tables", "airflow"}


def test_maintain_archives_and_expires_by_the_clock_alone(good: Any) -> None:
    dag = good["dags"]["reloads_maintain"]
    assert (list(dag["tasks"]), dag["assets"]) == (["archive", "expire"], [])
    assert dag["params"]["older_than_days"]["type"] == "integer"
