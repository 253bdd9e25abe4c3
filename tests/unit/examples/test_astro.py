"""The Astro project: what can be known of it without the Astro CLI and its image."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reloads.settings import Settings
from tests.support.clone import CLONE

PROJECT = CLONE / "examples" / "astro"
HOME_IN_IMAGE = "/usr/local/airflow"
# What the Astro CLI looks for in a project.
EXPECTED = {
    ".astro/config.yaml",
    "Dockerfile",
    "requirements.txt",
    "packages.txt",
    "airflow_settings.yaml",
    "dags",
    "include",
}
PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
pools = sorted({task.pool for dag in bag.dags.values() for task in dag.tasks})
print(json.dumps({"dags": sorted(bag.dags), "errors": bag.import_errors, "pools": pools}))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, in the place of the one in the image."""
    return Path(shutil.copytree(PROJECT, tmp_path / "airflow"))


def settings_of_the_image(project: Path) -> dict[str, str]:
    """The variables that the Dockerfile sets, with the project where it lies here."""
    lines = re.findall(r"^ENV (\w+)=(\S+)$", (project / "Dockerfile").read_text(), re.MULTILINE)
    return {name: value.replace(HOME_IN_IMAGE, str(project)) for name, value in lines}


def run(project: Path, *command: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELOADS_", "AIRFLOW"))}
    environment = kept | {"AIRFLOW_HOME": str(project / ".airflow")} | settings_of_the_image(project)
    done = subprocess.run(
        [sys.executable, "-P", *command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_pools(project: Path) -> dict[str, int]:
    content: Any = yaml.safe_load((project / "airflow_settings.yaml").read_text())
    return {pool["pool_name"]: pool["pool_slot"] for pool in content["airflow"]["pools"]}


def test_it_has_what_the_astro_cli_looks_for(project: Path) -> None:
    assert {name for name in EXPECTED if not (project / name).exists()} == set()
    assert yaml.safe_load((project / ".astro" / "config.yaml").read_text())["project"]["name"]


def test_its_image_is_that_of_an_airflow_which_the_wheel_fits(project: Path) -> None:
    [image] = re.findall(r"^FROM (\S+)$", (project / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"astrocrpublic\.azurecr\.io/runtime:3\.3-\d+", image)


def test_its_dags_are_built_with_the_settings_of_its_image(project: Path) -> None:
    parsed = json.loads(run(project, "-c", PARSE, str(project / "dags")).splitlines()[-1])
    assert parsed["errors"] == {}
    assert parsed["dags"] == ["reloads_maintain", "request_partitions", "rewrite_readings"]
    assert set(parsed["pools"]) - {"default_pool"} == read_pools(project).keys()


def test_its_pool_has_a_slot_for_each_task_at_once(project: Path) -> None:
    settings = Settings.from_environment(settings_of_the_image(project))
    assert read_pools(project) == {settings.pool: settings.tasks_at_once}


def test_its_table_is_good_and_its_example_can_be_asked_for_and_loaded(project: Path) -> None:
    example = "include/reloads/landing/examples/january.json"
    assert run(project, "-m", "reloads.cli.main", "check") == "all tables are good: readings\n"
    assert "(31 days)" in run(project, "-m", "reloads.cli.main", "check", example)
    run(project, "-m", "reloads.cli.main", "run", "readings", "2025-01-01", "2025-01-02")
    published = (project / "include" / "reloads" / "warehouse").glob("readings/*/data.parquet")
    assert sorted(file.parent.name for file in published) == ["reading_date=2025-01-01", "reading_date=2025-01-02"]


def test_its_dag_files_are_those_that_init_makes() -> None:
    template = CLONE / "src" / "reloads" / "template" / "project" / "dags"
    for file in template.glob("*.py"):
        assert (PROJECT / "dags" / file.name).read_text() == file.read_text()
