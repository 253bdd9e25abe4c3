"""Start a service only once its clock is right, which is PostgreSQL's: ``python clock.py COMMAND …``.

With a clock of its own a service does harm: Airflow plans runs for the time that it takes for now, so that others wait
for hours, refuses tokens as expired, and ends tasks because they seem to have been silent for long.

This is for whoever runs services on several machines, or on one whose clock is set while they run (a virtual machine
that was suspended); on a single machine that keeps its time it never has to wait.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import psycopg2

LIMIT_SECONDS = 30
PAUSE_SECONDS = 2
STARTED_RIGHT = Path("/tmp/clock-was-right")  # noqa: S108 - this container's own, gone with its restart
NOW = "select extract(epoch from clock_timestamp())::float8"


class WrongClockError(Exception):
    """``str(error)`` is the sentence to show."""


def check() -> None:
    """Compare this clock with the database's; raises ``WrongClockError``, or psycopg2's if the database is away."""
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    connection = psycopg2.connect(url, connect_timeout=5, options="-c statement_timeout=5000")
    try:
        with connection.cursor() as cursor:
            before = time.time()
            cursor.execute(NOW)
            [now] = cursor.fetchone() or [before]
            ahead = seconds_ahead(before, now, time.time())
    finally:
        connection.close()
    if abs(ahead) > LIMIT_SECONDS:
        raise WrongClockError(
            f"the clock of {socket.gethostname()} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} "
            f"the database's and may be {LIMIT_SECONDS} s off; set it, the service goes on by itself"
        )


def seconds_ahead(before: float, now: float, after: float) -> float:
    """How far this clock, read before and after the database's was, is ahead of it for sure; behind is negative."""
    return before - now if before > now else min(0.0, after - now)


def main(command: list[str]) -> None:
    """Wait, saying what for, and become the service."""
    printed = ""
    while why := _why_not_yet():
        if why != printed:
            print(f"waiting: {why}", flush=True)
        printed = why
        time.sleep(PAUSE_SECONDS)
    STARTED_RIGHT.touch()
    os.execvp(command[0], command)  # noqa: S606 - a command of the compose file


def _why_not_yet() -> str:
    try:
        check()
    except WrongClockError as error:
        return str(error)
    except psycopg2.OperationalError as error:
        return f"the database does not answer ({' '.join(str(error).split())}); it is asked again"
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
