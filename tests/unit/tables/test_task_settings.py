"""What Airflow has to know of a table's tasks: what the table says, or else the deployment."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.settings import Settings
from reloads.tables.task_settings import TaskSettings, read_task_settings
from tests.conftest import define_table

DEFAULTS = TaskSettings("", "default_pool", 90)


def read(home: Path, toml: str, **variables: str) -> TaskSettings:
    define_table(home / "tables", "sales", "select 1", toml)
    return read_task_settings(Settings.from_environment({"RELOADS_HOME": str(home), **variables}), "sales")


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        pytest.param("", DEFAULTS, id="nothing"),
        pytest.param('queue = "gpu"', TaskSettings("gpu", "default_pool", 90), id="queue"),
        pytest.param('pool = "big one"', TaskSettings("", "big one", 90), id="pool"),
        pytest.param("batch_minutes = 7", TaskSettings("", "default_pool", 7), id="minutes"),
        pytest.param("batch_minutes = 0.5", TaskSettings("", "default_pool", 0.5), id="part of a minute"),
        pytest.param('queue = "gpu"\nbatch_minutes = 0', DEFAULTS, id="a value that is wrong"),
        pytest.param('queue = "gpu"\npool = ""', DEFAULTS, id="an empty one"),
        pytest.param('queue = "gpu"\ncolour = "red"', DEFAULTS, id="an unknown setting"),
        pytest.param('queue = "gpu', DEFAULTS, id="no TOML"),
    ],
)
def test_a_table_decides_unless_its_settings_are_wrong(tmp_path: Path, toml: str, expected: TaskSettings) -> None:
    assert read(tmp_path, toml) == expected


def test_the_deployment_decides_where_the_table_says_nothing(tmp_path: Path) -> None:
    variables = {"RELOADS_QUEUE": "workers", "RELOADS_POOL": "rewrites", "RELOADS_BATCH_MINUTES": "30"}
    assert read(tmp_path, "", **variables) == TaskSettings("workers", "rewrites", 30)
    assert read(tmp_path, 'queue = "gpu"', **variables) == TaskSettings("gpu", "rewrites", 30)


def test_where_several_machines_rewrite_no_more_batches_run_at_once_than_the_table_says(tmp_path: Path) -> None:
    assert read(tmp_path, "parallelism = 3").at_once is None, "on one machine a run has no more"
    assert read(tmp_path, "parallelism = 3", RELOADS_WORKERS="2").at_once == 3
    assert read(tmp_path, "", RELOADS_WORKERS="2").at_once is None


def test_a_table_that_is_gone_has_the_defaults(tmp_path: Path) -> None:
    assert read_task_settings(Settings.from_environment({"RELOADS_HOME": str(tmp_path)}), "sales") == DEFAULTS


def test_only_a_queue_takes_the_rewrites_elsewhere(tmp_path: Path) -> None:
    assert not read(tmp_path, 'pool = "big"').is_elsewhere
    assert read(tmp_path, 'queue = "gpu"').is_elsewhere
    assert read(tmp_path, "", RELOADS_QUEUE="workers").is_elsewhere
