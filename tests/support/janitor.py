"""Cleaning up by a process of its own, so that it is done however the tests end.

Ctrl-C ends the processes that run tests side by side within seconds, and a kill at once.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.clone import CLONE


@contextmanager
def cleaned_up(code: str, *arguments: str) -> Iterator[None]:
    """Have this Python code run at the end, with these arguments; raises ``RuntimeError`` if it fails."""
    # Nothing is ever written to it: it reads the end, also where this process does not come to close it.
    command = [sys.executable, "-c", f"import sys\nsys.stdin.read()\n{code}", *arguments]
    janitor = subprocess.Popen(command, cwd=CLONE, stdin=subprocess.PIPE, start_new_session=True)
    assert janitor.stdin
    try:
        yield
    finally:
        janitor.stdin.close()
        if janitor.wait():
            raise RuntimeError("the cleaning up failed; its own words stand above")
