"""The command `reloads` of a stack that is up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stack.api import Api
from stack.errors import StackError
from stack.running import RunningStack


def running(tmp_path: Path, code: str) -> RunningStack:
    return RunningStack(
        api=Api("http://127.0.0.1:9", user="admin", password="", log=""),
        clone=tmp_path,
        landing=tmp_path / "landing",
        warehouse=tmp_path / "warehouse",
        source=tmp_path / "source",
        reloads=(sys.executable, "-c", code),
        environment=os.environ,
        login="",
        start_command="make up",
        stop_command="make down",
    )


def test_it_runs_in_the_clone(tmp_path: Path) -> None:
    running(tmp_path, "import sys; open('said', 'w').write(sys.argv[2])").run_reloads("undo", "an-id")

    assert (tmp_path / "said").read_text() == "an-id"


def test_what_it_says_last_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"^`reloads undo an-id` failed: an-id is no request; mend that"):
        running(tmp_path, "raise SystemExit('a\\nan-id is no request')").run_reloads("undo", "an-id")
