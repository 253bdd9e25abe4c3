"""What the shell completes: tables, requests, keys and their values; and how a shell gets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.chain import Chain


@pytest.fixture
def home(chain: Chain) -> Path:
    """A home with a keyed table of two days, and a request."""
    chain.define("shops", "select day, 'N' || amount as shop, amount from raw", 'keys = ["shop"]')
    chain.ask("shops", "2025-01-01", "2025-01-02", file="march.json")
    chain.work_off("shops")
    return chain.settings.home


def completed(home: Path, line: str) -> list[str]:
    """What bash offers at the end of the line."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "RELOADS_HOME": str(home),
        "_RELOADS_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = str(Path(sys.executable).with_name("reloads"))
    done = subprocess.run([command], env=environment, text=True, capture_output=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_tables_are_completed_where_a_table_is_asked_for(home: Path) -> None:
    for command in ("plan", "request", "run", "history", "tables", "status"):
        assert "shops" in completed(home, f"reloads {command} sh"), command


def test_requests_are_completed_where_an_id_is_asked_for(home: Path) -> None:
    for command in ("cancel", "retry", "undo", "logs", "status"):
        [name] = completed(home, f"reloads {command} mar")
        assert name.startswith("march-shops-"), command


def test_keys_and_their_values_are_completed_for_the_table_that_was_named(home: Path) -> None:
    assert completed(home, "reloads request shops 2025-01-01 --keys s") == ["shop="]
    assert completed(home, "reloads request shops 2025-01-01 --keys shop=N") == ["shop=N1", "shop=N2"]
    assert completed(home, "reloads request shops 2025-01-01 --keys shop=N1,N") == ["shop=N1,N1", "shop=N1,N2"]


def test_in_a_folder_that_is_not_a_project_nothing_is_completed(tmp_path: Path) -> None:
    assert completed(tmp_path, "reloads plan sh") == []


def test_a_shell_can_ask_for_the_script_that_completes() -> None:
    command = [str(Path(sys.executable).with_name("reloads")), "--show-completion", "bash"]
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=60, check=True)
    assert "_RELOADS_COMPLETE" in shown.stdout
