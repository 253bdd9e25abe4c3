"""The table of Airflow's settings that both stacks share."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.airflow_settings import FILE, read_shared_settings
from stack.errors import StackError


def test_the_table_holds_settings_of_airflow_and_no_secret_address_or_folder() -> None:
    settings = read_shared_settings()

    assert settings["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert all(name.startswith("AIRFLOW__") for name in settings)
    assert not [name for name in settings if name.endswith(("_KEY", "_SECRET", "_CONN", "_FOLDER", "_URL", "__PORT"))]
    assert not [value for value in settings.values() if "/" in value]


def test_each_setting_stands_in_the_table_once() -> None:
    lines = [line for line in FILE.read_text().splitlines() if line.startswith("AIRFLOW__")]

    assert len(lines) == len(read_shared_settings())


@pytest.mark.parametrize(
    "line",
    ["AIRFLOW__CORE__A='x'", "AIRFLOW__CORE__A=$HOME", "AIRFLOW__CORE__A = x", "A=1", "AIRFLOW__CORE__A=1 # why"],
)
def test_a_line_that_python_and_compose_would_read_differently_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "airflow.env"
    path.write_text(f"# why\n\n{line}\n")

    with pytest.raises(StackError, match=r"airflow\.env:3: .* is not NAME=value without quotes"):
        read_shared_settings(path)
