"""The environment of the processes here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stack.airflow_settings import read_shared_settings
from stack.credentials import Credentials
from stack.loopback import HOST
from stack.native.environment import database_url, environment
from stack.native.folders import Folders
from stack.native.ports import Ports

FOLDERS = Folders(home=Path("/srv/home"), clone=Path("/srv/clone"))
CREDENTIALS = Credentials.generate()


def variables(**inherited: str) -> dict[str, str]:
    return environment(FOLDERS, Ports(), CREDENTIALS, inherited=inherited, cores=2)


def test_every_address_is_on_the_loopback_interface() -> None:
    found = variables()
    urls = [urlsplit(value) for value in found.values() if "://" in value]
    assert len(urls) >= 4
    assert {found["AIRFLOW__API__HOST"], *(url.hostname for url in urls)} == {HOST}


def test_everything_is_written_below_the_home_folder() -> None:
    outside = {name: value for name, value in variables().items() if value.startswith("/") and "/srv/home" not in value}
    assert outside == {
        "AIRFLOW__CORE__DAGS_FOLDER": "/srv/clone/dags",
        "AIRFLOW__CORE__PLUGINS_FOLDER": "/srv/clone/stack/plugins",
        "PYTHONPATH": "/srv/clone",
    }


def test_every_shared_setting_of_airflow_is_in_force() -> None:
    assert read_shared_settings().items() <= variables().items()


def test_more_people_may_log_in_beside_the_administrator() -> None:
    users = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
    assert variables(AIRFLOW_USERS="ada:user,vera:viewer")[users] == "admin:admin,ada:user,vera:viewer"
    assert variables(AIRFLOW_USERS="")[users] == "admin:admin"


def test_dag_files_can_import_the_sensors_of_the_clone_and_nobody_elses_python_path_counts() -> None:
    assert variables(PYTHONPATH="/x")["PYTHONPATH"] == "/srv/clone"


def test_somebody_elses_airflow_database_and_python_do_not_leak_in() -> None:
    foreign = {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor", "PYTHONHOME": "/x", "PGHOST": "db", "MAKEFLAGS": "j"}
    found = variables(**foreign)
    assert found["AIRFLOW__CORE__EXECUTOR"] == "reloads.airflow.warm_executor.WarmLocalExecutor"
    assert not foreign.keys() - {"AIRFLOW__CORE__EXECUTOR"} & found.keys()


def test_the_callers_settings_stay_in_force_but_the_home_folder_is_the_stacks() -> None:
    found = variables(RELOADS_TIME_ZONE="Europe/Berlin", RELOADS_HOME="/elsewhere", RELOADS_TASKS_AT_ONCE="1")
    assert (found["RELOADS_TIME_ZONE"], found["RELOADS_TASKS_AT_ONCE"]) == ("Europe/Berlin", "1")
    assert found["RELOADS_HOME"] == "/srv/home"


@pytest.mark.parametrize(("cores", "tasks", "parallelism"), [(1, "4", "6"), (2, "4", "6"), (8, "16", "18")])
def test_as_many_tasks_run_at_once_as_suit_the_cores_and_two_short_ones(
    cores: int, tasks: str, parallelism: str
) -> None:
    found = environment(FOLDERS, Ports(), CREDENTIALS, inherited={}, cores=cores)
    assert (found["RELOADS_TASKS_AT_ONCE"], found["AIRFLOW__CORE__PARALLELISM"]) == (tasks, parallelism)


def test_a_proxy_is_never_asked_for_the_way_to_this_machine() -> None:
    assert variables(no_proxy="intra.net")["NO_PROXY"] == "intra.net,127.0.0.1,localhost"


def test_the_database_is_reached_with_its_password() -> None:
    assert database_url(Ports(), CREDENTIALS).startswith(
        f"postgresql://airflow:{CREDENTIALS.database}@127.0.0.1:15432/"
    )


def test_where_metrics_and_lineage_go_is_decided_by_the_caller() -> None:
    wanted = {"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__OPENLINEAGE__TRANSPORT": '{"type": "console"}'}
    assert wanted.items() <= variables(**wanted).items()
