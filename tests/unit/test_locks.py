"""Locks: held by one at a time, and given back at the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reloads.locks import file_lock, take_lock


def test_a_lock_is_held_by_one_at_a_time_and_ends_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    with file_lock(path), pytest.raises(BlockingIOError):
        take_lock(path)
    os.close(take_lock(path))
