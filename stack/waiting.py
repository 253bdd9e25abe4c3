"""Waiting for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], bool], *, seconds: float, every: float = 0.2) -> bool:
    """Ask until it is so, or ``seconds`` have passed; whether it is so."""
    end = time.monotonic() + seconds
    while not (answer := is_so()) and time.monotonic() < end:
        time.sleep(every)
    return answer
