"""Settings that have another name now: one that is still set is refused instead of being passed over.

`make env` and `make stack` look at `.env` and the environment. For whoever calls `docker compose up` by hand, this file
is the entrypoint of the service that all others wait for: ``python renamed_settings.py COMMAND …``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

NEW_NAMES = {
    "HISTORY_DAYS": "AIRFLOW_HISTORY_DAYS",
    "RELOADS_SETTLE_SECONDS": "RELOADS_STABLE_SECONDS",
}


def why_refused(settings: Mapping[str, str]) -> str:
    """The sentence about the first setting that has an old name and a value; empty if there is none."""
    for old, new in NEW_NAMES.items():
        if value := settings.get(old):
            return f"{old}={value} has another name now: write {new}={value}, in .env or where else it is set"
    return ""


def main(command: list[str]) -> None:
    """Become the command unless a setting has an old name."""
    if why := why_refused(os.environ):
        sys.exit(f"error: {why}")
    os.execvp(command[0], command)  # noqa: S606 - a command of the compose file


if __name__ == "__main__":
    main(sys.argv[1:])
