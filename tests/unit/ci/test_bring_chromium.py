"""Bringing a Chromium for the tests of the page: only where none is, and never a reason to stop."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.clone import CLONE

SCRIPT = CLONE / ".ci" / "bring-chromium"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only folder with programs: those of the shell, and no apt-get."""
    for name in ("bash", "id"):
        program = shutil.which(name)
        assert program
        (tmp_path / name).symlink_to(program)
    return tmp_path


def bring(programs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(programs / "bash"), str(SCRIPT)]
    return subprocess.run(
        command, env={"PATH": str(programs), **environment}, capture_output=True, text=True, check=False
    )


def make_program(path: Path, says: str) -> None:
    path.write_text(f"#!{path.parent / 'bash'}\necho {says} >&2\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome", "another"])
def test_nothing_is_brought_where_a_chromium_is(programs: Path, name: str) -> None:
    make_program(programs / name, "never started")
    make_program(programs / "apt-get", "never started")

    done = bring(programs, CHROMIUM=name if name == "another" else "")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_where_none_can_be_brought_it_says_which_tests_are_left_out(programs: Path) -> None:
    done = bring(programs)

    sentence = "no Chromium is here, and apt-get cannot bring one; the tests in tests/browser are left out\n"
    assert (done.returncode, done.stderr) == (0, sentence)


def test_a_failure_of_apt_get_stops_nothing(programs: Path) -> None:
    for name, code in (("apt-get", "exit 1"), ("id", "echo 0")):
        (programs / name).unlink(missing_ok=True)
        (programs / name).write_text(f"#!{programs / 'bash'}\n{code}\n")
        (programs / name).chmod(0o755)

    done = bring(programs)

    assert (done.returncode, done.stderr) == (
        0,
        "apt-get brings no Chromium; the tests in tests/browser are left out\n",
    )
