"""The wheel: what comes with it, and that nothing of it stands beside the package."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_string
from zipfile import ZipFile

import pytest

from tests.support.clone import CLONE, LIST_TRACKED_FILES
from tests.support.command import run_command
from tests.support.wheel import build_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    with ZipFile(build_wheel(tmp_path_factory.mktemp("dist"))) as file:
        yield file


def test_nothing_but_the_package_is_importable(wheel: ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"reloads"}


def test_every_file_of_the_package_comes_with_it(wheel: ZipFile) -> None:
    listed = run_command(*LIST_TRACKED_FILES, "src/reloads", folder=CLONE).split("\0")
    files = {name.removeprefix("src/") for name in listed if (CLONE / name).is_file()}
    assert files - set(wheel.namelist()) == set()


def test_it_fits_any_airflow_of_three_from_three_three_on(wheel: ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    needs = message_from_string(wheel.read(name).decode()).get_all("Requires-Dist")
    assert needs
    [airflow] = [need.replace(" ", "") for need in needs if need.startswith("apache-airflow<")]
    assert airflow.startswith("apache-airflow<4,>=3.3;")


def test_airflow_finds_its_page_and_a_shell_its_command(wheel: ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(name).decode()
    assert "[airflow.plugins]\nreloads = reloads.airflow.page.plugin:WarehousePlugin" in text
    assert "[console_scripts]\nreloads = reloads.cli.main:main" in text
