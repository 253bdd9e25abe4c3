"""What ends the leftovers of a program."""

from __future__ import annotations

import subprocess
import sys

import psutil

from stack.native.reaper import end_group


def test_what_a_killed_program_leaves_behind_is_ended() -> None:
    code = "import subprocess as s; print(s.Popen(['sleep', '600'], stdout=s.DEVNULL).pid, flush=True)"
    leader = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, process_group=0)
    out, _ = leader.communicate(timeout=60)
    left = psutil.Process(int(out))
    assert left.is_running()
    end_group(leader.pid)
    psutil.wait_procs([left], timeout=60)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_a_program_that_left_nothing_behind_is_no_trouble() -> None:
    leader = subprocess.Popen([sys.executable, "-c", ""], process_group=0)
    leader.wait(timeout=60)
    end_group(leader.pid)
