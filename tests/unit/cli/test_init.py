"""The command init, as a person runs it: what it made works at once, and the lines that it prints are right."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

RELOADS = [sys.executable, "-m", "reloads.cli.main"]


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELOADS_")}
    done = subprocess.run(
        [*RELOADS, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def commands(text: str) -> list[list[str]]:
    """The commands of ours among the lines of an output."""
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith("  reloads ")]
    return [line[1:] for line in lines if line[1] != "doctor"]


def test_the_commands_that_it_names_next_work_in_the_project_that_it_made(tmp_path: Path) -> None:
    text = run(tmp_path, "init", "my shop")
    shop = tmp_path / "my shop"
    assert f"  cd '{shop}'" in text
    assert [run(shop, *command) and command[0] for command in commands(text)] == ["check", "run"]
    assert len(list(shop.glob("warehouse/daily_sales/*/data.parquet"))) == 7, "the downstream table follows"
    assert "good: " in run(shop, "check", "landing/examples/first-week.json")


def test_without_a_folder_the_project_is_here(tmp_path: Path) -> None:
    run(tmp_path, "init")
    assert (tmp_path / "tables" / "orders" / "query.sql").exists()


def test_a_table_is_added_to_the_project_and_works_at_once(tmp_path: Path) -> None:
    text = run(tmp_path, "init", "--table", "mine")
    assert [run(tmp_path, *command) and command[0] for command in commands(text)] == ["check", "run"]
    assert (tmp_path / "warehouse" / "mine" / "day=2025-01-01" / "data.parquet").exists()


def test_a_table_can_be_added_to_a_project_elsewhere(tmp_path: Path) -> None:
    run(tmp_path, "init", "shop")
    run(tmp_path, "init", "shop", "--table", "mine")
    assert (tmp_path / "shop" / "tables" / "mine" / "query.sql").exists()


def test_json_tells_what_was_made_and_what_was_kept(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    told = json.loads(run(tmp_path, "init", "--json"))
    assert (told["folder"], told["kept"]) == (str(tmp_path), ["README.md"])
    assert "dags/reloads_dags.py" in told["made"]


def test_a_table_that_is_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    run(tmp_path, "init", "--table", "mine")
    text = run(tmp_path, "init", "--table", "mine", code=1)
    assert (
        text == f"reloads: {tmp_path / 'tables' / 'mine'} is there already; choose another name, or change its files\n"
    )
