"""The pods of the KubernetesExecutor as Airflow renders them from the template; nobody has tried them on a cluster.

Airflow's command ends with an error at a mapped task, as `rewrite` is one (provider 10.25.0: the serialized task has no
DAG). So a DAG without one is rendered; the template does not depend on the task.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

from reloads.settings import PREFIX, Settings
from tests.support.clone import CLONE

FOLDER = CLONE / "examples" / "kubernetes"
DAG = "reloads_maintain"
IMAGE = "registry.example.org/another:1"


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The pod of each task of a DAG."""
    home = tmp_path_factory.mktemp("kubernetes")
    for name in ("dags", "sensors", "tables"):
        shutil.copytree(CLONE / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELOADS_", "AIRFLOW"))}
    repository, _, tag = IMAGE.partition(":")
    environment = kept | {
        "RELOADS_HOME": str(home),
        "RELOADS_EXECUTOR": "KubernetesExecutor",
        "PYTHONPATH": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "reloads.airflow.warm_executor.WarmLocalExecutor,KubernetesExecutor",
        "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE": str(FOLDER / "pod-template.yaml"),
        "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": "reloads",
        "AIRFLOW__KUBERNETES_EXECUTOR__WORKER_CONTAINER_REPOSITORY": repository,
        "AIRFLOW__KUBERNETES_EXECUTOR__WORKER_CONTAINER_TAG": tag,
    }
    for command in (
        ["db", "migrate"],
        ["kubernetes", "generate-dag-yaml", DAG, "--output-path", str(home), "--logical-date", "2024-01-01"],
    ):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "airflow", *command],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    files = (home / "airflow_yaml_output").glob("*.yml")
    return {file.name.removeprefix(f"{DAG}_").partition("_")[0]: yaml.safe_load(file.read_text()) for file in files}


@pytest.fixture(scope="module")
def pod(pods: dict[str, Any]) -> Any:
    """The pod of one of them."""
    return pods[min(pods)]


@pytest.fixture(scope="module")
def container(pod: Any) -> Any:
    [only] = pod["spec"]["containers"]
    return only


def variables(container: Any) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def values() -> Any:
    return yaml.safe_load((FOLDER / "values.yaml").read_text())


def test_airflow_renders_a_pod_for_each_task(pods: dict[str, Any]) -> None:
    assert pods.keys() == {"archive", "expire"}


def test_airflow_puts_in_the_task_the_name_and_the_image(pods: dict[str, Any], pod: Any, container: Any) -> None:
    assert (pod["metadata"]["annotations"]["dag_id"], pod["metadata"]["annotations"]["task_id"]) == (DAG, min(pods))
    assert (pod["metadata"]["namespace"], container["name"], container["image"]) == ("reloads", "base", IMAGE)
    assert "set-by-airflow" not in pod["metadata"]["name"]
    assert container["args"]


def test_a_pod_has_the_warehouse_what_it_reads_and_no_drop_folder(pod: Any, container: Any) -> None:
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}

    assert mounts == {
        "/tmp": False,
        "/opt/airflow": False,
        "/opt/reloads/warehouse": False,
        **dict.fromkeys([f"/opt/reloads/{name}" for name in ("source", "dags", "sensors", "tables")], True),
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {each["name"] for each in pod["spec"]["volumes"]}


def test_a_pod_can_do_nothing_but_its_work(pod: Any, container: Any) -> None:
    spec, rights = pod["spec"], container["securityContext"]

    assert (spec["restartPolicy"], spec["automountServiceAccountToken"]) == ("Never", False)
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 50000)
    assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, True)
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


def test_a_pod_is_told_no_secret_and_no_way_to_the_database(container: Any) -> None:
    assert [name for name in variables(container) if any(part in name for part in ("SECRET", "KEY", "SQL"))] == []
    assert "envFrom" not in container


def test_the_settings_of_pods_and_values_are_settings(container: Any) -> None:
    of_values = {variable["name"]: variable["value"] for variable in values()["env"]}
    for environment in (variables(container), of_values):
        settings = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
        assert settings
        assert Settings.find_faults(settings) == {}


def test_pods_and_the_rest_look_at_the_same_folders_and_executors(pod: Any, container: Any) -> None:
    of_values, of_pod = values(), variables(container)
    environment = {variable["name"]: variable["value"] for variable in of_values["env"]}
    for name in (
        "RELOADS_HOME",
        "RELOADS_WAREHOUSE",
        "RELOADS_TABLES",
        "RELOADS_SOURCE",
        "RELOADS_EXECUTOR",
        "PYTHONPATH",
    ):
        assert of_pod[name] == environment[name]
    assert of_pod["AIRFLOW__CORE__EXECUTOR"] == of_values["executor"]
    claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in pod["spec"]["volumes"]}
    for service in ("scheduler", "apiServer", "dagProcessor", "triggerer"):
        of_service = {each["name"]: each["persistentVolumeClaim"] for each in of_values[service]["extraVolumes"]}
        assert {name: claims[name] for name in ("warehouse", "source", "project")}.items() <= of_service.items()
        mounts = {mount["mountPath"] for mount in of_values[service]["extraVolumeMounts"]}
        assert mounts >= {
            "/opt/reloads/warehouse",
            "/opt/reloads/source",
            "/opt/reloads/tables",
            "/opt/reloads/landing",
        }
