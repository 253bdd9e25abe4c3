"""The processes that a stack may leave behind."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from stack.native.folders import Folders
from stack.native.leftovers import find_leftovers


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(home=tmp_path, clone=tmp_path)
    made.make()
    return made


def test_a_process_of_the_home_folder_is_found_and_no_other(folders: Folders) -> None:
    def sleeper(home: Path) -> psutil.Popen:
        return psutil.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(home)})

    ours, theirs = sleeper(folders.airflow), sleeper(folders.home / "other" / ".local" / "airflow")
    try:
        assert [process.pid for process in find_leftovers(folders)] == [ours.pid]
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()
