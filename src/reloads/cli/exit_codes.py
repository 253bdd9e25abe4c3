"""The exit codes of the command ``reloads``: the one list, which its help and the manual show."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    WRONG = 2
    TIMED_OUT = 3
    STOPPED = 130


MEANINGS = {
    Exit.DONE: "it did what it says, and found nothing wrong",
    Exit.FAILED: "the request is refused or failed, or something wrong was found",
    Exit.WRONG: "it was called wrongly, or the environment does not let it work",
    Exit.TIMED_OUT: "the time of --timeout was over; the request goes on",
    Exit.STOPPED: "you stopped it with Ctrl-C; what was accepted goes on",
}
