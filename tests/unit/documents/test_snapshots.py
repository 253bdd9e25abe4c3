"""Each reader of the page on snapshots reads one, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.documents.pages import CLONE

PAGE = (CLONE / "docs" / "snapshots.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[SETTING] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
RELOADS = Path(sys.executable).with_name("reloads")
QUERY = """
select cast(day as date) as day, n
from generate_series(date '2024-01-01', date '2024-01-31', interval 1 day) as days(day)
cross join generate_series(1::bigint, 3) as numbers(n)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    folder = home / "tables" / "shops"
    folder.mkdir(parents=True)
    (folder / "query.sql").write_text(QUERY, encoding="utf-8")
    settings = 'day_column = "day"\nfirst_day = 2024-01-01\n' + SETTING
    (folder / "table.toml").write_text(settings, encoding="utf-8")
    _run_in(home, RELOADS, "run", "shops", "2024-01-01", "2024-01-03")
    (folder / "query.sql").write_text(QUERY.replace("n\nfrom", "n + 1 as n\nfrom"), encoding="utf-8")
    _run_in(home, RELOADS, "run", "shops", "2024-01-02")
    return home


def _run_in(home: Path, *command: str | Path) -> str:
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_has_readers() -> None:
    packages = set(re.findall(r"^(?:import|from) (\w+)", "\n".join(BLOCKS), re.MULTILINE))
    assert packages == {"duckdb", "deltalake", "polars", "pyarrow"}
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("block", BLOCKS[:-1], ids=["duckdb", "polars", "pyarrow"])
def test_a_reader_of_the_page_reads_all_days(home: Path, block: str) -> None:
    output = _run_in(home, sys.executable, "-c", block)
    assert all(day in output for day in ("2024-01-01", "2024-01-02", "2024-01-03"))
    assert "2024-01-04" not in output


def test_history_names_the_request_of_each_commit(home: Path) -> None:
    lines = _run_in(home, sys.executable, "-c", BLOCKS[-1]).splitlines()
    newest, first = lines[0], lines[1]
    assert newest.startswith("1 ['command/")
    assert first.startswith("0 ['command/")
    assert "['command-shops-" in newest
    assert "['command-shops-" in first
