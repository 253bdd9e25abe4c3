"""A folder for a test whose homes are synced to their disk hundreds of times: it lies in memory."""

from __future__ import annotations

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
