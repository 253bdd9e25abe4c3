"""The last line of `.ci/run`: it counts what pytest's own report says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CLONE = Path(__file__).resolve().parents[3]
TESTS = """
import pytest

def test_good(): pass
def test_as_good(): pass
def test_bad(): assert False
def test_broken(nothing): pass
@pytest.mark.skip
def test_skipped(): pass
"""


def count(report: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CLONE / ".ci" / "count_tests.py"), str(report)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_counts_what_passed_failed_and_was_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_all.py").write_text(TESTS)
    options = ["-p", "no:cacheprovider", "--junitxml=report.xml", "--rootdir=."]
    subprocess.run([sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, check=False)

    assert count(tmp_path / "report.xml").stdout == "2 passed, 2 failed, 1 skipped\n"


def test_without_a_report_it_fails_and_says_so(tmp_path: Path) -> None:
    completed = count(tmp_path / "report.xml")

    assert (completed.returncode, completed.stdout) == (1, "no test ran: something before the tests failed\n")


def test_the_script_calls_commands_of_the_makefile_and_names_nothing_outside_the_clone() -> None:
    script = (CLONE / ".ci" / "run").read_text()

    assert "../" not in script.replace('cd "$(dirname "$0")/.."', "")
    assert [line for line in script.splitlines() if line.startswith("make ")] == [
        "make demo",
        "make down",
        "make check",
    ]
