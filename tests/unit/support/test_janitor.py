"""The cleaning up after tests: it is done however they end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stack.waiting import wait_until
from tests.support.clone import CLONE
from tests.support.janitor import cleaned_up

TOUCH = "open(sys.argv[1], 'x').close()"
TESTS = f"""
import signal, sys
from tests.support.janitor import cleaned_up
with cleaned_up({TOUCH!r}, sys.argv[1]):
    print("up", flush=True)
    signal.pause()
"""


def test_it_is_done_at_the_end_and_not_before(tmp_path: Path) -> None:
    with cleaned_up(TOUCH, str(tmp_path / "done")):
        assert not (tmp_path / "done").exists()
    assert (tmp_path / "done").exists()


def test_it_is_done_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), cleaned_up(TOUCH, str(tmp_path / "done")):
        raise KeyboardInterrupt
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_is_done_where_the_tests_are_killed(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", TESTS, str(tmp_path / "done")]
    with subprocess.Popen(command, cwd=CLONE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tests:
        assert tests.stdout
        assert tests.stdout.readline() == "up\n"
        tests.send_signal(number)
    assert wait_until((tmp_path / "done").exists, seconds=30)


def test_one_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="the cleaning up failed"), cleaned_up("sys.exit(3)"):
        pass
