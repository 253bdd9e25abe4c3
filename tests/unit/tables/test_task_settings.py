"""What Airflow has to know of a table's tasks: what the table says, or else the deployment."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.settings import Settings
from reloads.tables.task_settings import TaskSettings, read_task_settings
from tests.conftest import define_table


def read(home: Path, toml: str, **variables: str) -> TaskSettings:
    define_table(home / "tables", "sales", "select 1", toml)
    return read_task_settings(Settings.from_environment({"RELOADS_HOME": str(home), **variables}), "sales")


@pytest.mark.parametrize(
    ("toml", "minutes"),
    [
        pytest.param("", 90, id="nothing"),
        pytest.param("batch_minutes = 7", 7, id="minutes"),
        pytest.param("batch_minutes = 0.5", 0.5, id="part of a minute"),
        pytest.param("batch_minutes = 0", 90, id="a value that is wrong"),
        pytest.param('batch_minutes = 7\ncolour = "red"', 90, id="an unknown setting"),
        pytest.param("batch_minutes = ", 90, id="no TOML"),
    ],
)
def test_a_table_decides_unless_its_settings_are_wrong(tmp_path: Path, toml: str, minutes: float) -> None:
    assert read(tmp_path, toml) == TaskSettings(minutes)


def test_the_deployment_decides_where_the_table_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "", RELOADS_BATCH_MINUTES="30") == TaskSettings(30)
    assert read(tmp_path, "batch_minutes = 7", RELOADS_BATCH_MINUTES="30") == TaskSettings(7)


def test_a_table_that_is_gone_has_the_defaults(tmp_path: Path) -> None:
    assert read_task_settings(Settings.from_environment({"RELOADS_HOME": str(tmp_path)}), "sales") == TaskSettings(90)
