"""Start a service only once its clock is right, which is PostgreSQL's: ``python clock.py COMMAND …``.

A worker knows no way to the database, and takes the time of the API server, whose clock is compared with it.

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
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import psycopg2

LIMIT_SECONDS = 30
PAUSE_SECONDS = 2
STARTED_RIGHT = Path("/tmp/clock-was-right")  # noqa: S108 - this container's own, gone with its restart
NOW = "select extract(epoch from clock_timestamp())::float8"
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
API = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
HEALTH = "/api/v2/monitor/health"


class WrongClockError(Exception):
    """``str(error)`` is the sentence to show."""


class AwayError(Exception):
    """Nobody tells the time now; ``str(error)`` is the sentence to show."""


def check() -> None:
    """Compare this clock with the right one; raises ``WrongClockError``, or ``AwayError`` if nobody tells it."""
    ahead = _compare_with_database() if DATABASE in os.environ else _compare_with_api()
    if abs(ahead) > LIMIT_SECONDS:
        raise WrongClockError(
            f"the clock of {socket.gethostname()} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} "
            f"the database's and may be {LIMIT_SECONDS} s off; set it, the service goes on by itself"
        )


def _compare_with_database() -> float:
    url = os.environ[DATABASE].replace("+psycopg2", "")
    try:
        connection = psycopg2.connect(url, connect_timeout=5, options="-c statement_timeout=5000")
    except psycopg2.OperationalError as error:
        raise AwayError(f"the database does not answer ({_on_one_line(error)}); it is asked again") from error
    try:
        with connection.cursor() as cursor:
            before = time.time()
            cursor.execute(NOW)
            [now] = cursor.fetchone() or [before]
            return seconds_ahead(before, now, time.time())
    except psycopg2.OperationalError as error:
        raise AwayError(f"the database does not answer ({_on_one_line(error)}); it is asked again") from error
    finally:
        connection.close()


def _compare_with_api() -> float:
    """By the date that the API server writes into every answer, in whole seconds."""
    url = os.environ[API].partition("/execution")[0] + HEALTH
    before = time.time()
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=5) as answer:
            now = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (OSError, HTTPException, TypeError, ValueError) as error:
        raise AwayError(f"the API server does not answer ({_on_one_line(error)}); it is asked again") from error
    return seconds_ahead(before, now, time.time())


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


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
    except (WrongClockError, AwayError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
