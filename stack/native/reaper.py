"""Run by supervisor beside the programs: ends what a program left behind that ended by itself.

The workers of a killed scheduler hold its database session open, and with it the locks of whatever it was doing: the
scheduler that supervisor starts in its place would pass over the locked rows for ever.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from supervisor import childutils


def main() -> None:
    """Listen to supervisor until it ends this process."""
    while True:
        headers, payload = childutils.listener.wait()
        if headers["eventname"] == "PROCESS_STATE_EXITED":
            end_group(int(childutils.get_headers(payload)["pid"]))
        childutils.listener.ok()


def end_group(leader: int) -> None:
    """Kill what is left of the process group; supervisor makes each program the leader of its own."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    main()
