"""The rooms: ``make check`` refuses an import that goes up, or sideways."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, beside the contract."""
    shutil.copy(CLONE / "pyproject.toml", tmp_path)
    shutil.copytree(CLONE / "src" / "reloads", tmp_path / "reloads", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "reloads"


def lint(package: Path) -> subprocess.CompletedProcess[str]:
    # The script itself: the package has no entry point for `python -m`.
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    return subprocess.run(command, cwd=package.parent, env=environment, capture_output=True, text=True, check=False)


def test_the_package_keeps_to_its_rooms(package: Path) -> None:
    done = lint(package)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("requests/queue.py", "from reloads.warehouse.partitions import TableFolder"),
        ("rewriting/rewrite.py", "from reloads.requests.record import Record"),
        ("tables/catalog.py", "from reloads.requests.request import ReloadRequest"),
        ("days.py", "from reloads.tables.catalog import Catalog"),
        ("planning/batching.py", "from reloads.rewriting.engine import Share"),
    ],
    ids=["sideways: requests see the warehouse", "rewriting sees a request", "tables up", "vocabulary up", "sideways"],
)
def test_one_arrow_the_wrong_way_fails(package: Path, module: str, line: str) -> None:
    path = package / module
    path.write_text(f"{path.read_text()}\n{line}\n")
    done = lint(package)
    assert done.returncode != 0
    assert module.removesuffix(".py").replace("/", ".") in done.stdout


def test_a_module_that_stands_in_no_room_fails(package: Path) -> None:
    (package / "utils.py").write_text('"""A stranger."""\n')
    assert lint(package).returncode != 0
