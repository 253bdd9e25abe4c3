"""Homes that are made, copied and synced to their disk hundreds of times: they lie in memory."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process_kill import SCRATCH


@pytest.fixture(name="tmp_path")
def tmp_path_in_memory() -> Iterator[Path]:
    """A folder of this test alone, in the place of pytest's."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        yield Path(folder)


def copy_home(home: Path, other: Path) -> None:
    """Copy a home to a folder that is not there yet and does not lie in it."""
    # With its hard links: a version and what readers see of it are one file.
    subprocess.run(["cp", "--archive", home, other], check=True)
